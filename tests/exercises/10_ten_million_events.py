"""Answers to the exercises of notebook 10."""

from tests.exercises.answers import Answers

_ACCOUNT = """account = ek.Projection("account", fields={{
    "moves": ek.fold.count({moves}),
    "largest": ek.fold.{largest},
    "{latest}": ek.fold.last({{MoneyDeposited: "{came}", MoneyWithdrawn: "{went}"}}),
}})
"""
_RIGHT = {
    "moves": "MoneyDeposited, MoneyWithdrawn",
    "largest": 'largest(MoneyDeposited, "amount")',
    "latest": "latest",
    "came": "in",
    "went": "out",
}


def _account(**other: str) -> str:
    return _ACCOUNT.format(**_RIGHT | other)


ANSWERS = {
    "exercise-year": Answers(
        solution="answer = sum(range(1, 366)) * 10_000_000 // 365",
        wrong={
            "answer = 10_000_000": "the last evening alone",
            "answer = 365 * 10_000_000": "who pays for all 365",
            "answer = 365 * 10_000_000 // 2": "is not their mean",
            "answer = 505_000_000": "add up 1 + 2 + … + 365 days",
        },
    ),
    "exercise-declare": Answers(
        solution=_account(),
        wrong={
            'account = {"moves": 0}': "should be a projection",
            _account(latest="status"): "the fields are",
            "account = expected": "made of handlers",
            _account(moves="MoneyDeposited"): "takes several types",
            _account(largest='total(MoneyDeposited, "amount")'): "of the deposits only, and the largest",
            _account(largest='largest(MoneyWithdrawn, "amount")'): "of the deposits only",
            _account(came="out", went="in"): "a dict from types to texts",
        },
    ),
}
