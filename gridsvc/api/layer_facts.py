"""What a revision holds of each layer is found out once in each process."""

from fastapi import Request
from sqlalchemy.orm import Session

from gridsvc.grids.areas import Moment
from gridsvc.grids.viewers import LayerFacts, layer_facts

# The newest one, and some that viewers of the past look at.
_KEPT = 8


def facts_of(request: Request, session: Session, now: Moment) -> dict[str, LayerFacts]:
    """Give counts and bounds of every layer in the revision of a moment.

    They tell a viewer where to look and from which zoom on; no answer is left out by them.
    """
    kept: dict[int, dict[str, LayerFacts]] = request.app.state.layer_facts
    facts = kept.get(now.revision)
    if facts is None:
        facts = layer_facts(session, now=now)
        # Two calls at once may both find out; they find the same.
        for oldest in list(kept)[: max(len(kept) - _KEPT + 1, 0)]:
            kept.pop(oldest, None)
        kept[now.revision] = facts
    return facts
