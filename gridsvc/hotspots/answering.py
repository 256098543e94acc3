"""Who answers for a hotspot: asked of the router when the list is read, never kept."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from gridsvc.crs import Floats, from_wgs84, to_wgs84
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
    lon, lat = found.places["lon"].to_numpy(float), found.places["lat"].to_numpy(float)
    return _responsible(session, lon, lat, [found.question.category] * len(lon))


def parties_at(
    session: Session, spots: Sequence[tuple[float, float, str | None]], *, crs: str
) -> list[str | None]:
    """Ask who is responsible at places, now.

    Args:
        session: Reads only.
        spots: x, y and class of each; one that is no class of the scheme asks for none.
        crs: What x and y are in.

    Returns:
        Party codes, in order; None where nobody is.
    """
    if not spots:
        return []
    x, y, categories = zip(*spots, strict=True)
    lon, lat = to_wgs84(np.array(x), np.array(y), crs=crs)
    holders = _responsible(session, lon, lat, categories)
    return [holder["party"]["code"] if holder else None for holder in holders]


def _responsible(
    session: Session, lon: Floats, lat: Floats, categories: Sequence[str | None]
) -> list[dict[str, Any] | None]:
    scheme = current_scheme(session)
    known = {one.code for one in scheme.categories}
    # In a CRS that the door accepts, whichever they are.
    x, y = from_wgs84(lon, lat, crs=scheme.input_crs[0])
    questions = [
        Question(x=float(x), y=float(y), category=category if category in known else None)
        for x, y, category in zip(x, y, categories, strict=True)
    ]
    _, answers = answer_many(session, questions)
    return [
        None if isinstance(answer, GridsvcError) else answer.get("responsible")
        for answer in answers
    ]
