"""Answers to the exercises of notebook 8."""

from tests.exercises.answers import Answers

_TAKE_IN = """def take_in(page, event):
    version, balance = page.get(event.stream, (0, 0))
    if {unseen}:
        page[event.stream] = event.version, {balance}"""
_MORE = "balance + event.data.amount"
_BARE = """def take_in(page, event):
    page[event.stream] = page.get(event.stream, 0) + event.data.amount"""

ANSWERS = {
    "exercise-lag": Answers(
        solution='answer = (lag["written"] - lag["projected"]).max()',
        wrong={
            'answer = lag["written"].max()': "how far the log was",
            'answer = (lag["written"] != lag["projected"]).sum()': "how many minutes",
            'answer = (lag["projected"] - lag["written"]).max()': "subtract projected from written",
        },
    ),
    "exercise-page": Answers(
        solution=_TAKE_IN.format(unseen="event.version > version", balance=_MORE),
        wrong={
            "take_in = page": "should be a function",
            _BARE: "be a pair (version, balance)",
            _TAKE_IN.format(unseen="event.version > version", balance="event.data.amount"): "each once",
            _TAKE_IN.format(unseen="True", balance=_MORE): "each twice in a row",
            _TAKE_IN.format(unseen="event.version != version", balance=_MORE): "compare with <=",
        },
    ),
}
