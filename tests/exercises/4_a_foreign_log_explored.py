"""Answers to the exercises of notebook 4."""

from tests.exercises.answers import Answers

_RED = 'red = dan[dan["state"] < 0]\nanswer = '
_VAIN = """refused = {event.stream for event in store.read(types="TransferRefused")}
vain = sum(e.data["amount"] for e in store.read(types="TransferRequested")"""

ANSWERS = {
    "exercise-red": Answers(
        solution=f'{_RED}red["valid_to"].max() - red["valid_from"].min()',
        wrong={
            f'{_RED}red["valid_to"].iloc[0] - red["valid_from"].iloc[0]': "the first state below zero",
            f'{_RED}red["valid_from"].min() - red["valid_to"].max()': "the other way round",
            f'{_RED}red["valid_from"].max() - red["valid_from"].min()': "last valid_to minus first",
        },
    ),
    "exercise-vain": Answers(
        solution=f"{_VAIN} if e.stream in refused)",
        wrong={
            'vain = len(list(store.read(types="TransferRefused")))': "how many were refused",
            f"{_VAIN})": "everything that was requested",
            f"{_VAIN} if e.stream not in refused)": "for each transfer with a TransferRefused",
        },
    ),
}
