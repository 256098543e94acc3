"""Cases: what the reports have led to, who has it, and what may be done to it.

Parties are told by code alone; `/v1/parties` has their names.
"""

from dataclasses import fields
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from gridsvc.api.deps import MayAct, MaySeeReports, SessionDep, WritingSessionDep
from gridsvc.api.fields import Link, Paging, Strict, Text
from gridsvc.api.responses import JSON, next_links
from gridsvc.reports.case_log import TRANSITIONS
from gridsvc.reports.case_records import CaseFilter, CaseRecord, CaseSummary, list_cases, read_case
from gridsvc.reports.cases import Act, act, act_on_report, merge, part
from gridsvc.reports.intake import report_key
from gridsvc.reports.terms import CaseState, EventKind

router = APIRouter(tags=["cases"], default_response_class=JSON)

CaseId = Annotated[int, Path(ge=1, le=2**63 - 1)]
Words = Annotated[str, Field(min_length=1, max_length=2000, pattern=r"^[^\x00]*$")]
Seen = Annotated[int, Field(ge=1, le=2**31 - 1)]


def _callers_own(kind: EventKind) -> EventKind:
    if kind not in TRANSITIONS:
        raise PydanticCustomError("act", "the service itself tells that; a caller cannot")
    return kind


ActKind = Annotated[
    EventKind,
    AfterValidator(_callers_own),
    WithJsonSchema({"type": "string", "enum": [kind.value for kind in TRANSITIONS]}),
]


class CaseQuery(Paging):
    """Which cases."""

    after: Annotated[int, Field(ge=0, le=2**63 - 1)] | None = None  # type: ignore[assignment]
    """From the `next` link of the page before; not made by hand."""
    state: CaseState | None = None
    """Only in this state."""
    category: Text | None = None
    """Only of this class or those whose code begins so."""
    layer: Text | None = None
    """With `area`, the layer it is of; alone, only cases that an area of this layer covers."""
    area: Text | None = None
    """Only in the area of this code, as the first report was answered."""
    holder: Text | None = None
    """Only those that the party of this code has to act on."""
    overdue: bool | None = None
    """Whether, while open and not suspended, the time to close them is over."""


class Details(Strict):
    """What may be said beyond the words of an act."""

    dispatch: Literal["internal", "external"] | None = None
    """Whether a dispatch stays within the service's own departments."""
    to: Words | None = None
    """Of `not_ours`: to whom it goes, in words, where that is no party of the city."""
    note: Words | None = None


class NewEvent(Strict):
    """Something done to a case."""

    kind: ActKind
    """What was done; the case's state must allow it."""
    party: Text | None = None
    """Code of the party that did it; left out, the one that has the case."""
    to_party: Text | None = None
    """Code of the party that gets it. Of `dispatched` left out: who is responsible by the last
    answer to the case's first report."""
    reason: Words | None = None
    """Why. `returned`, `no_effect`, `failed_verification`, `reopened`, `suspended`, `not_ours` and
    `declared_hard` need one. No names, no phones."""
    details: Details = Details()
    seen: Seen | None = None
    """`last_event` of the case as you saw it; if it has moved on since, nothing is done."""

    def act(self, actor: str) -> Act:
        """Hand it to the domain."""
        return Act(
            kind=self.kind,
            actor=actor,
            party=self.party,
            to_party=self.to_party,
            reason=self.reason,
            details=self.details.model_dump(exclude_none=True),
            seen=self.seen,
        )


class MergeInto(Strict):
    """Which case goes on."""

    into: Annotated[int, Field(ge=1, le=2**63 - 1)]
    """The case that gets the reports."""
    seen: Seen | None = None
    """`last_event` of the emptied case as you saw it."""


class PartWhat(Strict):
    """What was seen before a report is parted from its case."""

    seen: Seen | None = None
    """`last_event` of the case as you saw it."""


class _Told(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Case(_Told):
    """Where a case stands."""

    id: int
    category: str | None
    state: CaseState
    state_since: datetime
    opened_at: datetime
    """When its first report came in."""
    holder: str | None
    """Code of the party that has it to act on."""
    responsible: str | None
    """Code of the party that its first report was answered with."""
    areas: dict[str, str]
    """Code by layer, likewise."""
    step: int
    """Of the escalation chain; 0 before a dispatch."""
    step_due_at: datetime | None
    """When it climbs by itself; null where it does not."""
    tier: str | None
    due_at: datetime | None
    """By when it should be closed; null without such a limit."""
    closed_at: datetime | None
    report_count: int
    return_count: int
    failed_verification_count: int
    merged_into: int | None
    """The case that has its reports now."""
    last_event: int
    """Number of its newest event: what `seen` is compared with."""


class CaseEvent(_Told):
    """One thing that happened."""

    number: int
    kind: EventKind
    at: datetime
    actor: str
    """Who told it: a key, or `gridsvc` itself."""
    party: str | None
    """Code of the party that did it, or had the case."""
    to_party: str | None
    reason: str | None
    details: dict[str, Any]
    """Of a step: `step`, `within`, `due_at`; of an escalation also its `cause` and the steps
    `skipped` for nobody holds them, and `exhausted` where there is none further."""
    state: CaseState
    """From then on."""


class ReportOfCase(_Told):
    """A report of the case."""

    id: str
    is_first: bool
    """Whether its reporter is the one who is credited."""
    received_at: datetime | None
    joined_at: datetime
    distance_m: float | None
    """From the first report."""


class CaseWithLog(Case):
    """A case and all that happened to it."""

    stage_due_at: datetime | None
    """By when its stage (dispatch, handling, verification) should be over; null without a limit."""
    events: list[CaseEvent]
    """In order; the log is only added to."""
    reports: list[ReportOfCase]
    """The first one first."""


class Cases(_Told):
    """A page of cases in the order in which they came into being."""

    cases: list[Case]
    links: list[Link]


class Duplicate(_Told):
    """An open case that a report is likely one more of."""

    case_id: int
    report_id: str
    """The case's first report."""
    distance_m: float
    opened_at: datetime
    age_s: float
    """Seconds from then until this report came in."""
    category: str


@router.get("/v1/cases", response_model=Cases, summary="Cases, by page")
def cases(
    wanted: Annotated[CaseQuery, Query()],
    request: Request,
    caller: MaySeeReports,  # noqa: ARG001
    session: SessionDep,
) -> Response:
    """Scope `report` or `manage`."""
    page = list_cases(
        session,
        CaseFilter(
            state=wanted.state,
            category=wanted.category,
            layer=wanted.layer,
            area=wanted.area,
            holder=wanted.holder,
            overdue=wanted.overdue,
        ),
        limit=wanted.limit,
        after=wanted.after,
    )
    after = None if page.after is None else str(page.after)
    return JSON({"cases": page.rows, "links": next_links(request, wanted, after=after)})


@router.get("/v1/cases/{case_id}", response_model=CaseWithLog, summary="A case and its log")
def case(case_id: CaseId, caller: MaySeeReports, session: SessionDep) -> Response:  # noqa: ARG001
    """Scope `report` or `manage`."""
    return JSON(_with_log(read_case(session, case_id)))


@router.post(
    "/v1/cases/{case_id}/events", response_model=CaseWithLog, summary="Do something to a case"
)
def act_on_case(
    case_id: CaseId, event: NewEvent, caller: MayAct, session: WritingSessionDep
) -> Response:
    """Scope `report`.

    200: done, and stored durably; the case as it stands then. 409 `case-moved-on`: its state does
    not allow it, or it has moved on since `seen`; `case` says where it stands. Of two callers at
    once one wins, and the other gets this 409 if what it wanted is no longer possible.
    """
    done = act(session, case_id, event.act(caller.name))
    return JSON(_with_log(read_case(session, done.id)))


@router.post(
    "/v1/reports/{report_id}/events",
    response_model=CaseWithLog,
    summary="Do something to the case of a report",
)
def act_on_case_of_report(
    report_id: str, event: NewEvent, caller: MayAct, session: WritingSessionDep
) -> Response:
    """Scope `report`. As `POST /v1/cases/{case_id}/events`, on the case the report belongs to."""
    done = act_on_report(session, report_key(report_id), event.act(caller.name))
    return JSON(_with_log(read_case(session, done.id)))


@router.post(
    "/v1/cases/{case_id}/merge",
    response_model=CaseWithLog,
    summary="Give a case's reports to another case",
)
def merge_cases(
    case_id: CaseId, merging: MergeInto, caller: MayAct, session: WritingSessionDep
) -> Response:
    """Scope `report`.

    Both must be open. Of the two, the older one keeps the first reporter; the emptied one is
    `merged`. Gives the case that goes on.
    """
    done = merge(session, case_id, merging.into, actor=caller.name, seen=merging.seen)
    return JSON(_with_log(read_case(session, done.id)))


@router.post(
    "/v1/reports/{report_id}/part",
    response_model=CaseWithLog,
    summary="Take a report out of its case",
)
def part_report(
    report_id: str, parting: PartWhat, caller: MayAct, session: WritingSessionDep
) -> Response:
    """Scope `report`.

    For a report that is another matter: it gets a case of its own, which this gives. The only
    report of a case cannot leave it.
    """
    done = part(session, report_key(report_id), actor=caller.name, seen=parting.seen)
    return JSON(_with_log(read_case(session, done.id)))


def _with_log(record: CaseRecord) -> dict[str, Any]:
    row = record.case
    return {name.name: getattr(row, name.name) for name in fields(CaseSummary)} | {
        "stage_due_at": record.stage_due_at,
        "events": record.events,
        "reports": record.reports,
    }
