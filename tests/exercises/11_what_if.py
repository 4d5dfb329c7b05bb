"""Answers to the exercises of notebook 11."""

from tests.exercises.answers import Answers

_KITCHEN = 'own = decisions[[command.who == "kitchen" for command in decisions["command"]]]\nanswer = '
_FORTY = """def at_most_40(command, level):
    if command.litres > 40:
        raise ValueError("40 litres at once is the most")
    return decide(command, level)


tried = store.redecide(
    ek.Decider(decide=at_most_40, evolve=evolve, initial=lambda: 0, name="tank", log_commands=True)
).df()
answer = """

ANSWERS = {
    "exercise-kitchen": Answers(
        solution=f'{_KITCHEN}(own["now"] == "rejected").sum()',
        wrong={
            f'{_KITCHEN}(own["was"] == "rejected").sum()': "what happened in July",
            'answer = (decisions["now"] == "rejected").sum()': "that is everybody",
            f'{_KITCHEN}(decisions["now"] == "rejected").sum() - (own["now"] == "rejected").sum()': "the guests",
            f"{_KITCHEN}len(own)": "and count them",
        },
    ),
    "exercise-forty": Answers(
        solution=f'{_FORTY}(tried["differs"] & ~tried["follows"]).sum()',
        wrong={
            f'{_FORTY}tried["differs"].sum()': "those all differ",
            f'{_FORTY}(tried["now"] == "rejected").sum()': "were rejected",
            'answer = (store.redecide(tank).df()["differs"]).sum()': "is your rule in the",
            f"{_FORTY}len(tried)": "differs is True and follows is False",
        },
    ),
}
