"""Is the service alive, and can it answer?"""

from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel

from gridsvc.api.deps import SessionDep
from gridsvc.api.responses import JSON
from gridsvc.grids.areas import moment

router = APIRouter(tags=["health"], default_response_class=JSON)


class Alive(BaseModel):
    """The process runs."""

    status: Literal["alive"]


class Ready(BaseModel):
    """The service answers."""

    status: Literal["ready"]
    revision: int
    """The published state that it answers from."""


@router.get("/healthz", response_model=Alive, summary="Alive")
async def healthz() -> Response:
    """Needs no key and asks nothing of the database."""
    return JSON({"status": "alive"})


@router.get("/readyz", response_model=Ready, summary="Ready, with the revision served")
def readyz(session: SessionDep) -> Response:
    """Needs no key. 503 while the database is away or nothing is published."""
    return JSON({"status": "ready", "revision": moment(session).revision})
