"""Answers to the exercises of notebook 2."""

from tests.exercises.answers import Answers

ANSWERS = {
    "exercise-version": Answers(
        solution='answer = store.version("account-2") + 1',
        wrong={
            "answer = store.position + 2": "its position in the whole log",
            'answer = store.version("account-2")': "the version now",
            'answer = store.version("account-1") + 1': "count the events of account-2",
        },
    ),
    "exercise-read": Answers(
        solution="read = store.read(types=[MoneyWithdrawn], after=4)",
        wrong={
            "read = list(store.read(types=[MoneyWithdrawn], after=4))": "what store.read(…) gives",
            "read = store.read(after=4)": "not all of these are withdrawals",
            "read = store.read(types=[MoneyWithdrawn], after=5)": "leaves out 5 itself",
            "read = store.read(types=[MoneyWithdrawn], after=4, backwards=True)": "leave backwards out",
            "read = store.read(types=[MoneyWithdrawn], after=8)": "some are missing",
        },
    ),
}
