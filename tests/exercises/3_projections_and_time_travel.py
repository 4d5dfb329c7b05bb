"""Answers to the exercises of notebook 3."""

from tests.exercises.answers import Answers

_WAITING = """waiting = ek.Projection("waiting", initial=lambda: 0{key})


@waiting.on(TransferRequested)
def up(state, event):
    return state + 1
"""
_DOWN = """

@waiting.on({types})
def down(state, event):
    return state - 1
"""
_ALL = "TransferCompleted, TransferRefused"

ANSWERS = {
    "exercise-cleo": Answers(
        solution='answer = store.replay(balance, key="account-3", as_of="2026-01-05T18:30:00Z")',
        wrong={
            'answer = store.replay(balance, key="account-3")': "what she has now",
            'answer = store.replay(balance, key="account-3", as_of="2026-01-05T06:30:00Z")': "nobody had an account",
            'answer = history.at("2026-01-05T18:30:00Z")': "look up account-3",
        },
    ),
    "exercise-waiting": Answers(
        solution=_WAITING.format(key=", key=None") + _DOWN.format(types=_ALL),
        wrong={
            "waiting = 0": "should be a projection",
            _WAITING.format(key="") + _DOWN.format(types=_ALL): "needs key=None",
            _WAITING.format(key=", key=None"): "completed ones no longer wait",
            _WAITING.format(key=", key=None") + _DOWN.format(types="TransferCompleted"): "refused transfer",
            _WAITING.format(key=", key=None") + _DOWN.format(types="MoneyWithdrawn, TransferCompleted"): "at all times",
        },
    ),
}
