"""Answers to the exercises of notebook 13."""

from tests.exercises.answers import Answers

_OPEN = """def decide_open(wish, state):
    if state["closed"]:
        raise Refused(f"{wish[1]} is closed")
"""

ANSWERS = {
    "exercise-query": Answers(
        solution='answer = ek.Query(tags=["course:pottery"]) | ek.Query(tags=["student:dan"])',
        wrong={
            'answer = ["course:pottery", "student:dan"]': "make it with ek.Query",
            'answer = ek.Query(tags=["course:pottery", "student:dan"])': "in one query all tags must be there",
            'answer = ek.Query(types=[Enrolled], tags=["course:pottery"])': "leave the types out",
            'answer = ek.Query("*")': "and nothing else",
        },
    ),
    "exercise-closed": Answers(
        solution=f"{_OPEN}    return decide(wish, state)",
        wrong={
            "decide_open = 5": "should be a function",
            f"{_OPEN}    return []": "an open course with a seat",
            f"{_OPEN}    return Enrolled(student=wish[0], course=wish[1])": "is still full",
            "decide_open = decide": "closed: raise Refused",
        },
    ),
}
