"""Answers to the exercises of notebook 6."""

from tests.exercises.answers import Answers

_PRICE = 'folded = store.folded(kept, key="account-5")\nanswer = '
_AMOUNTS = """kept_amounts = ek.Projection("kept amounts", initial={initial}{policy})


@kept_amounts.on(MoneyDeposited)
def keep(state, event):
    return {state}
"""
_IN_PLACE = "(state.append(event.amount), state)[1]"
_POLICY, _LIST = ", snapshots=25", "sorted({*state, event.amount})"

ANSWERS = {
    "exercise-price": Answers(
        solution=f'{_PRICE}folded["with_snapshots"].max(), folded["without"].max()',
        wrong={
            f'{_PRICE}folded["with_snapshots"].max()': "two numbers",
            f'{_PRICE}folded["without"].max(), folded["with_snapshots"].max()': "the other way round",
            f'{_PRICE}25, folded["without"].max()': "the 25th event",
            f'{_PRICE}folded["with_snapshots"].mean(), folded["without"].mean()': "the greatest of both columns",
        },
    ),
    "exercise-amounts": Answers(
        solution=_AMOUNTS.format(initial="list", policy=_POLICY, state=_LIST),
        wrong={
            "kept_amounts = sorted({2, 3, 4, 5, 6})": "should be a new ek.Projection",
            _AMOUNTS.format(initial="list", policy=_POLICY, state="[event.amount]"): "which amounts",
            _AMOUNTS.format(initial="list", policy=_POLICY, state="[*state, event.amount]"): "only once",
            _AMOUNTS.format(initial="list", policy=_POLICY, state=f"{_LIST}[::-1]"): "sort them",
            _AMOUNTS.format(initial="list", policy=_POLICY, state=_IN_PLACE): "in place",
            _AMOUNTS.format(initial="tuple", policy=_POLICY, state=f"tuple({_LIST})"): "no snapshots",
            _AMOUNTS.format(initial="list", policy="", state=_LIST): "has no policy for snapshots",
        },
    ),
}
