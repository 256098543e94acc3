"""Who answers for a hotspot: asked of the router when the list is read, never kept."""

from typing import Any

from sqlalchemy.orm import Session

from gridsvc.errors import GridsvcError
from gridsvc.grids.scheme_store import current_scheme
from gridsvc.hotspots.store import Hotspots
from gridsvc.routing.router import Question, answer_many


def responsible_for(session: Session, found: Hotspots) -> list[dict[str, Any] | None]:
    """Ask who is responsible in each hotspot's strongest area, now.

    Args:
        session: Reads only.
        found: The hotspots; where they are of one class it is asked for, else for none.

    Returns:
        For each by rank the Answer's `responsible`, names and phones masked; None where nobody is.
    """
    wanted = found.question.category
    known = any(one.code == wanted for one in current_scheme(session).categories)
    questions = [
        Question(x=lon, y=lat, crs="EPSG:4326", category=wanted if known else None)
        for lon, lat in zip(found.places["lon"], found.places["lat"], strict=True)
    ]
    _, answers = answer_many(session, questions)
    return [
        None if isinstance(answer, GridsvcError) else answer.get("responsible")
        for answer in answers
    ]
