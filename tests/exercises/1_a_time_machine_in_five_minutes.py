"""Answers to the exercises of notebook 1."""

from tests.exercises.answers import Answers

_COUNT = """moves = ek.Projection("moves", initial=lambda: 0)


@moves.on({types})
def moved(state, event):
    return {state}
"""

ANSWERS = {
    "exercise-ada": Answers(
        solution='answer = store.replay(balance, key="account-1", as_of="2026-01-05T13:30:00Z")',
        wrong={
            'answer = store.replay(balance, as_of="2026-01-05T13:30:00Z")': "we asked for Ada alone",
            'answer = store.replay(balance, key="account-1", as_of="2026-01-05T12:30:00Z")': "before she went shopping",
            'answer = store.replay(balance, key="account-1")': "what she has now",
            'answer = store.replay(balance, key="account-2", as_of="2026-01-05T13:30:00Z")': "look up account-1",
        },
    ),
    "exercise-moves": Answers(
        solution=_COUNT.format(types="MoneyDeposited, MoneyWithdrawn", state="state + 1"),
        wrong={
            "moves = 4": "should be a projection",
            _COUNT.format(types="AccountOpened, MoneyDeposited, MoneyWithdrawn", state="state + 1"): "leave it out",
            _COUNT.format(types="MoneyDeposited, MoneyWithdrawn", state="state + event.amount"): "count the events",
        },
    ),
}
