"""Answers to the exercises of notebook 7."""

from tests.exercises.answers import Answers

_SPLIT = """{decorator}
def split_name(data):
    {body}"""
_DECORATOR = "@ek.upcast(AccountOpened, from_version=1)"
_BLANK = """given, _, family = data["owner"].partition(" ")
    return {"given_name": given, "family_name": family}"""
_TWO = """given, family = data["owner"].split(" ")
    return {"given_name": given, "family_name": family}"""
_FIRST_TWO = """given, family = (data["owner"].split(" ") + [""])[:2]
    return {"given_name": given, "family_name": family}"""

ANSWERS = {
    "exercise-upcast": Answers(
        solution='answer = store.check_schema()["upcast"].sum()',
        wrong={
            'answer = store.check_schema()["events"].sum()': "every event of the log",
            'answer = (store.check_schema()["upcast"] > 0).sum()': "how many rows",
            'answer = store.check_schema()["upcast"].max()': "version 1 alone",
            'answer = store.check_schema()["ok"].sum()': "read as they are; the others",
            "answer = len(store.check_schema())": "sum the column upcast",
        },
    ),
    "exercise-name": Answers(
        solution=_SPLIT.format(decorator=_DECORATOR, body=_BLANK),
        wrong={
            'split_name = {"given_name": "Ada", "family_name": "Lind"}': "should be a function",
            _SPLIT.format(decorator=_DECORATOR, body="return data"): "given_name 'Ada'",
            _SPLIT.format(decorator=_DECORATOR, body=_TWO): "not enough values",
            _SPLIT.format(decorator=_DECORATOR, body=_FIRST_TWO): "some have more",
            _SPLIT.format(decorator="# to be registered later", body=_BLANK): "decorate it",
        },
    ),
}
