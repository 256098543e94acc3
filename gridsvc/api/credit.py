"""What proved true: a reporter's points, and the record of an area or a party."""

from typing import Annotated, Self

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, model_validator
from pydantic_core import PydanticCustomError

from gridsvc.api.deps import MaySeeCredit, MaySeeRecords, SessionDep
from gridsvc.api.fields import Strict, Text
from gridsvc.api.reports import ReporterToken
from gridsvc.api.responses import JSON
from gridsvc.reports.credit import credit_of, record_of_area, record_of_party

router = APIRouter(tags=["credit"], default_response_class=JSON)


class Reporter(Strict):
    """Whose credit; in a body, for nothing personal is in an address."""

    reporter: ReporterToken
    """The token that you send with their reports."""


class _Told(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Credit(_Told):
    """What a reporter has earned."""

    points: int
    """By the scheme's `[credit]`, once a case; 0 where it has none."""
    accepted: int
    """Reports whose case was verified."""
    reports: int
    """All reports."""


class Whose(Strict):
    """Whose record: that of an area, by `layer` and `area`, or that of a `party`."""

    layer: Text | None = None
    """Code of the area's layer."""
    area: Text | None = None
    """Code of the area."""
    party: Text | None = None
    """Code of the party that was responsible."""

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        area = (self.layer is not None, self.area is not None)
        if area not in {(True, True), (False, False)} or all(area) == (self.party is not None):
            raise PydanticCustomError("whose", "Give layer and area, or else party")
        return self


class RecordEntry(_Told):
    """What proved true in a month, of one category."""

    month: str
    """In which the cases were opened, YYYY-MM, by the city's clock."""
    category: str | None
    cases: int
    reports: int
    """Reports in these cases."""


class Record(_Told):
    """All that proved true, by month and category."""

    records: list[RecordEntry]


@router.post("/v1/credit", response_model=Credit, summary="What a reporter has earned")
def credit(body: Reporter, caller: MaySeeCredit, session: SessionDep) -> Response:
    """Scope `report`. Of reports filed with the same key: another key's token is somebody else."""
    return JSON(credit_of(session, body.reporter, source=caller.name))


@router.get("/v1/records", response_model=Record, summary="The record of an area or a party")
def records(
    whose: Annotated[Whose, Query()],
    caller: MaySeeRecords,  # noqa: ARG001
    session: SessionDep,
) -> Response:
    """Scope `manage`.

    Cases that were verified and are not open again, by the area and the party that their first
    report was answered with.
    """
    if whose.party is not None:
        rows = record_of_party(session, whose.party)
    else:
        rows = record_of_area(session, layer=whose.layer or "", code=whose.area or "")
    return JSON({"records": rows})
