"""Answers to the exercises of notebook 9."""

from tests.exercises.answers import Answers

_ASKED = """rows = db.sql("SELECT {what} AS total FROM balances WHERE {where}", {{"time": "2026-01-09T18:00:00Z"}})
answer = rows{one}"""
_HELD, _ONE = "valid_from <= $time AND (valid_to IS NULL OR valid_to > $time)", '["total"][0]'
_TURNOVER = """turnover = ek.Projection("turnover", initial=lambda: {{"paid_in": 0, "paid_out": 0}})

@turnover.on({incoming})
def came_in(state, event):
    return state | {{"paid_in": state["paid_in"] + {amount}}}

@turnover.on("MoneyWithdrawn")
def went_out(state, event):
    return state | {{"paid_out": state["paid_out"] {sign} {amount}}}"""
_AMOUNT, _CASH = 'event["amount"]', '"MoneyDeposited"'

ANSWERS = {
    "exercise-friday": Answers(
        solution=_ASKED.format(what="sum(state)", where=_HELD, one=_ONE),
        wrong={
            _ASKED.format(what="sum(state)", where=_HELD, one=""): "one number, please",
            'answer = db.sql("SELECT sum(state) AS n FROM balances WHERE valid_to IS NULL")["n"][0]': "that is today",
            _ASKED.format(what="sum(state)", where="valid_from <= $time", one=_ONE): "what about valid_to",
            _ASKED.format(what="count(*)", where=_HELD, one=_ONE): "how many accounts",
            _ASKED.format(what="max(state)", where=_HELD, one=_ONE): "with the WHERE of AS_OF",
        },
    ),
    "exercise-turnover": Answers(
        solution=_TURNOVER.format(incoming=_CASH, amount=_AMOUNT, sign="+"),
        wrong={
            "turnover = cash": "a dict with the keys",
            'turnover = {"paid_in": 0, "paid_out": 0}': "should be a projection",
            _TURNOVER.format(incoming=_CASH, amount=_AMOUNT, sign="+").replace(
                "return state |", "state |="
            ): "in place",
            _TURNOVER.format(incoming=_CASH, amount=_AMOUNT, sign="-"): "paid_out should grow",
            _TURNOVER.format(incoming=_CASH, amount="1", sign="+"): "you count the events",
            _TURNOVER.format(incoming=f'{_CASH}, "TransferCompleted"', amount=_AMOUNT, sign="+"): "to neither",
        },
    ),
}
