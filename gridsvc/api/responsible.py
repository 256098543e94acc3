"""Who is responsible here, for this, at this moment: one point, or ten thousand at once."""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from gridsvc.api.deps import MayLocate, SessionDep
from gridsvc.api.fields import Instant, Strict, Text
from gridsvc.api.problems import Problem, problem_of
from gridsvc.api.responses import JSON
from gridsvc.errors import GridsvcError
from gridsvc.grids.terms import Duty, StandInBy
from gridsvc.routing.live import Live
from gridsvc.routing.router import Question, answer_many

PATH = "/v1/responsible"

MAX_POINTS = 10_000

router = APIRouter(tags=["responsible"], default_response_class=JSON)


class PointQuery(Strict):
    """A point, and what is asked about it."""

    lon: float = Field(examples=[116.4612])
    """Longitude, or the easting (x) of a projected CRS."""
    lat: float = Field(examples=[39.9219])
    """Latitude, or the northing (y)."""
    crs: Text | None = Field(None, examples=["EPSG:4326", "gcj02"])
    """What lon and lat are in; the first CRS of the scheme's `input_crs` where left out."""
    category: Text | None = None
    """Class code of the event or component."""
    at: Instant | None = None
    """The time asked about; now where left out."""
    accuracy_m: float | None = None
    """Radius of the point's error, metres: then others who may be responsible are named."""

    def question(self, *, name: str | None = None) -> Question:
        """Put it to the router."""
        return Question(
            x=self.lon,
            y=self.lat,
            crs=self.crs,
            at=self.at,
            category=self.category,
            accuracy_m=self.accuracy_m,
            id=name,
        )


class BatchPoint(PointQuery):
    """A point of a batch."""

    id: Annotated[str, Field(max_length=200)] | None = None
    """Comes back with the answer."""


class Batch(Strict):
    """Points to be asked at once, from one revision."""

    points: list[BatchPoint] = Field(max_length=MAX_POINTS)


class _Told(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Party(_Told):
    """A person or a body; name and phone are masked unless the key has `people:read`."""

    code: str
    name: str
    phone: str | None
    kind: Literal["person", "body"]


class AreaName(_Told):
    """An area without its layer."""

    code: str
    name: str | None


class AreaOfLayer(AreaName):
    """The area of a layer that covers the point; where several do, the lowest code."""

    also: list[AreaName] | None = None
    """The other areas of an overlay layer that cover the point."""


class AreaRef(AreaName):
    """An area."""

    layer: str


class StandIn(_Told):
    """Why it is not the lead of the area."""

    model_config = ConfigDict(extra="forbid", serialize_by_alias=True)

    away: Party = Field(alias="for")
    """The lead who is off."""
    why: Literal["absent", "off_shift"]
    by: StandInBy
    """Who stands in: the assistant of the area, or the pair of a neighbour."""
    source: AreaRef | None = Field(alias="from")
    """The neighbour whose pair stands in; null where the assistant does."""


class Alternate(_Told):
    """A holder of a duty."""

    party: Party
    role: str
    area: AreaRef
    """The area on which the duty is held, or looked after by one who stands in."""
    stand_in: StandIn | None = None
    """Where the lead of the area is off: for whom this one stands in."""


class Holder(Alternate):
    """A holder of a duty, and why it is this one."""

    area: AreaRef | None  # type: ignore[assignment]
    """Null only for a component's owner, where nobody is responsible by the ladder."""
    reason: str
    """Which rung of the ladder decided."""


class Enforcement(_Told):
    """The pair that enforces."""

    lead: Holder
    assistant: Holder | None


class Step(_Told):
    """A step of the escalation; without a party nobody holds it."""

    step: int
    duty: Duty
    party: Party | None
    role: str | None
    area: AreaRef | None
    stand_in: StandIn | None = None
    within: str
    """ISO 8601 duration of working time: P1D is a working day, PT4H four hours of work."""


class Candidate(_Told):
    """A registered component near the point."""

    code: str
    distance_m: float
    owner: Party


class Component(Candidate):
    """The component whose owner is responsible."""

    category: str


class Edge(_Told):
    """The nearest edge of the area that decided; all null where no rung's area covers the point."""

    distance_m: float | None
    of: AreaRef | None
    """The area that decided."""
    across: AreaRef | None
    """Its neighbour there; null at the edge of the city."""


class Alternative(_Told):
    """Who is responsible if the point is really elsewhere within its error."""

    probability: float
    """The share of the disc of error."""
    area: AreaRef
    responsible: Alternate


class Point(_Told):
    """EPSG:4326."""

    lon: float
    lat: float


class AsGiven(_Told):
    """The point as given."""

    x: float
    y: float
    crs: str
    accuracy_m: float | None


class Answer(_Told):
    """Who is responsible, and what that rests on."""

    id: str | None
    revision: int
    """The published state that it comes from."""
    at: datetime
    category: str | None
    point: Point
    input: AsGiven
    areas: dict[str, AreaOfLayer]
    """By layer; layers that do not cover the point are absent."""
    responsible: Holder | None
    management: Holder | None
    enforcement: Enforcement | None
    supervisor: Holder | None
    vacant: list[Literal["responsible", "management", "enforcement", "supervisor"]]
    """Duties that nobody holds at any rung."""
    component: Component | None
    """Of a category of components: the nearest registered one, if it is clear whose it is."""
    candidates: list[Candidate]
    """Where that is unclear: those within reach, the nearest first."""
    tier: str | None
    """`ownership_unclear` where that tier of the scheme takes it."""
    escalation: list[Step]
    edge: Edge
    ambiguous: bool
    """Whether another answer is possible: see `alternatives` and `edge`."""
    probability: float | None
    """With accuracy_m: the share of the disc of error in which this answer holds."""
    alternatives: list[Alternative]
    """With accuracy_m: the others, the likeliest first."""
    stale: bool
    """Whether the database was away and an older state answered."""


class Failed(_Told):
    """A point of a batch that has no answer."""

    id: str | None
    error: Problem


class Answers(_Told):
    """Answers in the order of the points."""

    revision: int
    answers: list[Answer | Failed]


@router.get(
    PATH,
    response_model=Answer,
    summary="Who is responsible at a point",
)
def one(
    point: Annotated[PointQuery, Query()],
    request: Request,
    caller: MayLocate,
    session: SessionDep,
) -> Response:
    """Scope `locate`.

    404 `outside-service-area`, with the nearest area, where no area covers the point.
    """
    live: Live = request.app.state.live
    (told,) = live.answer_each(session, [point.question()], reveal=caller.reveal)
    if isinstance(told, GridsvcError):
        raise told
    caller.log_read(session, set(_party_codes(told)))
    return JSON(told)


@router.post(
    PATH,
    response_model=Answers,
    summary=f"Who is responsible at up to {MAX_POINTS:,} points",
)
def many(batch: Batch, request: Request, caller: MayLocate, session: SessionDep) -> Response:
    """Scope `locate`.

    A point that cannot be answered has `error`, a problem, in its place; the others are answered.
    """
    questions = [point.question(name=point.id) for point in batch.points]
    live: Live = request.app.state.live
    answerer = live.answerer
    if answerer is None or caller.reveal:
        revision, results = answer_many(session, questions, reveal=caller.reveal)
    else:
        revision = answerer.snapshot.revision
        results = live.answer_each(session, questions)
    answers = [
        {
            "id": question.id,
            "error": problem_of(
                result, instance=request.url.path, loc=("body", "points", position)
            ),
        }
        if isinstance(result, GridsvcError)
        else result
        for position, (question, result) in enumerate(zip(questions, results, strict=True))
    ]
    caller.log_read(session, set(_party_codes(answers)))
    return JSON({"revision": revision, "answers": answers})


def _party_codes(told: object) -> Iterator[str]:
    """Find every party that an answer names, however deep."""
    if isinstance(told, dict):
        for key in ("party", "for", "owner"):
            if party := told.get(key):
                yield party["code"]
        for value in told.values():
            yield from _party_codes(value)
    elif isinstance(told, list):
        for value in told:
            yield from _party_codes(value)
