"""Answers to the exercises of notebook 12."""

from tests.exercises.answers import Answers

_PRICE = 'price = ek.Projection("price", fields={"price": ek.fold.last("orderChanged", "price")})\n'
_SENT = '[event for event in store.read(types="parcel sent") if '

ANSWERS = {
    "exercise-price": Answers(
        solution=_PRICE
        + 'paid = next(event for event in store.read(types="order paid") if "order:o1" in event.tags)\n'
        + 'answer = store.replay(price, key="order-o1", as_of=paid)["price"]',
        wrong={
            _PRICE + 'answer = store.replay(price, key="order-o1", as_of=1)["price"]': "when it was placed",
            "answer = 12": "a field of orderChanged",
        },
    ),
    "exercise-parcels": Answers(
        solution=f'count = len({_SENT}{{"order:o2", "order:o3"}} & set(event.tags)])',
        wrong={
            f'count = sum(len({_SENT}tag in event.tags]) for tag in ("order:o2", "order:o3"))': "carries both",
            'count = len(list(store.read(types="parcel sent")))': "that is all parcels",
            f'count = len({_SENT}{{"order:o2", "order:o3"}} <= set(event.tags)])': "the parcel with both",
        },
    ),
}
