"""Reports are answered from memory, where what is in memory is what the database would say."""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy.orm import Session

from gridsvc.errors import GridsvcError
from gridsvc.reports.intake import AnswerEach
from gridsvc.routing.answering import Answerer, NotHeld
from gridsvc.routing.router import Question
from gridsvc.routing.router import answer_each as ask_database
from gridsvc.routing.snapshot import Stamp


def from_memory(held: Callable[[], Answerer | None]) -> AnswerEach:
    """Make what answers reports out of what answers questions.

    A report gets the answer of the moment it came in. What was published a moment before, and has
    not reached this process yet, counts: so the database is asked which revision is the newest,
    once for all reports of a group, and answers itself where that is another one.

    Args:
        held: Gives what is in memory now; None while there is nothing.
    """

    def answer_each(
        session: Session, questions: Sequence[Question]
    ) -> list[dict[str, Any] | GridsvcError]:
        answerer = held()
        if answerer is None or answerer.snapshot.stamp != Stamp.read(session.connection()):
            return ask_database(session, questions)
        answers: list[dict[str, Any] | GridsvcError | None] = []
        for question in questions:
            try:
                answers.append(answerer.answer(question))
            except NotHeld:
                answers.append(None)
            except GridsvcError as error:
                answers.append(error)
        others = [n for n, answer in enumerate(answers) if answer is None]
        asked = ask_database(session, [questions[n] for n in others]) if others else []
        from_database = dict(zip(others, asked, strict=True))
        return [from_database[n] if one is None else one for n, one in enumerate(answers)]

    return answer_each
