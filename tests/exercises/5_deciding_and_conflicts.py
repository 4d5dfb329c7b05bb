"""Answers to the exercises of notebook 5."""

from tests.exercises.answers import Answers

_BY = 'by_mia = log[log["who"] == "Mia"]\nanswer = '
_OUT = 'out = log[log["type"] == "MoneyWithdrawn"]\nanswer = '
_COMPLETE = """def decide_transfer(command, state):
    if state == "unknown":
        {unknown}
    return {completed} if state == "completed" else TransferCompleted()"""

ANSWERS = {
    "exercise-mia": Answers(
        solution=f'{_OUT}out[out["who"] == "Mia"]["amount"].sum()',
        wrong={
            f'{_BY}by_mia["amount"].sum()': "took in the rest",
            f'{_OUT}out["amount"].sum()': "everybody's withdrawals",
            f'{_OUT}len(out[out["who"] == "Mia"])': "how many times",
            f'{_OUT}out[out["matter"] == "visit-1"]["amount"].sum()': "then sum their amount",
        },
    ),
    "exercise-complete": Answers(
        solution=_COMPLETE.format(unknown='raise LookupError("no such transfer")', completed="[]"),
        wrong={
            "decide_transfer = TransferCompleted()": "should be a function",
            "def decide_transfer(command, state):\n    return []": "a waiting transfer",
            _COMPLETE.format(unknown="raise LookupError()", completed="TransferCompleted()"): "already completed",
            _COMPLETE.format(unknown="return []", completed="[]"): "nobody requested this one",
        },
    ),
}
