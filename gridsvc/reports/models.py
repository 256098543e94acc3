"""The tables: reports as received, their answers and cases, and what change sets would mean.

Reports, answers and events are only added to. A case's row says where its events have led; it is
written in the transaction that adds the event, and the log alone would make it again.

A report holds no name and no phone. Who sent it is a hash of the sender's own token.
"""

import uuid
from datetime import datetime
from typing import Any

from geoalchemy2 import Geometry, WKBElement
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    SmallInteger,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from gridsvc.db import Base
from gridsvc.reports.terms import CaseState, Cause, Channel, EventKind, Mark

Instant = DateTime(timezone=True)


class Report(Base):
    """One observation as received, never edited.

    `source` and `source_id` are who told it and under which name of theirs (over HTTP the key and
    its Idempotency-Key, from a file the file's own id): what is told twice is one report.
    """

    __tablename__ = "report"
    __table_args__ = (
        UniqueConstraint("source", "source_id"),
        CheckConstraint(f"channel IN {tuple(map(str, Channel))}", name="channel"),
        CheckConstraint("num_nonnulls(lon, lat) <> 1", name="place"),
        Index("report_point_idx", "point", postgresql_using="gist"),
        Index(
            "report_reporter_hash_idx",
            "reporter_hash",
            postgresql_where=text("reporter_hash IS NOT NULL"),
        ),
    )

    id: Mapped[uuid.UUID] = mapped_column(
        Uuid, primary_key=True, server_default=text("gen_random_uuid()")
    )
    source: Mapped[str] = mapped_column(Text)
    source_id: Mapped[str] = mapped_column(Text)
    body_hash: Mapped[bytes | None] = mapped_column(
        LargeBinary, comment="SHA-256 of what was sent; null from files"
    )
    channel: Mapped[str | None] = mapped_column(Text)
    x: Mapped[float | None] = mapped_column(Double, comment="as given, in crs")
    y: Mapped[float | None] = mapped_column(Double)
    crs: Mapped[str | None] = mapped_column(Text, comment="as given; null is the scheme's first")
    lon: Mapped[float | None] = mapped_column(Double, comment="EPSG:4326, degrees")
    lat: Mapped[float | None] = mapped_column(Double)
    point: Mapped[WKBElement | None] = mapped_column(
        Geometry("POINT", spatial_index=False), comment="storage CRS, not rounded"
    )
    accuracy_m: Mapped[float | None] = mapped_column(Double)
    category: Mapped[str | None] = mapped_column(Text)
    description: Mapped[str | None] = mapped_column(Text)
    photo_urls: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    reporter_hash: Mapped[bytes | None] = mapped_column(
        LargeBinary, comment="SHA-256 of the source and the reporter's token"
    )
    observed_at: Mapped[datetime | None] = mapped_column(Instant)
    received_at: Mapped[datetime | None] = mapped_column(
        Instant, index=True, comment="null only where a file's time cannot be read"
    )
    stored_at: Mapped[datetime] = mapped_column(Instant, server_default=func.now())
    closed_at: Mapped[datetime | None] = mapped_column(Instant, comment="history only")
    status: Mapped[str | None] = mapped_column(Text, comment="history only, as the file says")


class ReportAnswer(Base):
    """One answer to a report: number 1 is the one it was filed with, the last one holds."""

    __tablename__ = "report_answer"
    __table_args__ = (
        CheckConstraint(f"mark IN {tuple(map(str, Mark))}", name="mark"),
        CheckConstraint(f"cause IN {tuple(map(str, Cause))}", name="cause"),
        CheckConstraint(
            "CASE WHEN mark = 'routed' THEN num_nulls(answer, revision) = 0 AND reason IS NULL"
            " ELSE num_nonnulls(answer, revision) = 0 AND reason IS NOT NULL END",
            name="answered",
        ),
    )

    report_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("report.id"), primary_key=True)
    number: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    cause: Mapped[str] = mapped_column(Text)
    answered_at: Mapped[datetime] = mapped_column(Instant, server_default=func.now())
    mark: Mapped[str] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(Text, comment="why there is no answer")
    revision: Mapped[int | None] = mapped_column(ForeignKey("revision.number"))
    answer: Mapped[dict[str, Any] | None] = mapped_column(
        JSONB(none_as_null=True), comment="an Answer, masked; from a file codes alone"
    )


class Case(Base):
    """The work opened for one or more reports: where its events have led."""

    __tablename__ = "case"
    __table_args__ = (
        CheckConstraint(f"state IN {tuple(map(str, CaseState))}", name="state"),
        CheckConstraint("(state = 'closed') = (closed_at IS NOT NULL)", name="closed"),
        CheckConstraint("(state = 'merged') = (merged_into IS NOT NULL)", name="merged"),
        CheckConstraint("step >= 0", name="step"),
        # Open cases of a category near a place: what a new report may be a duplicate of.
        Index(
            "case_open_point_idx",
            "point",
            postgresql_using="gist",
            postgresql_where=text("closed_at IS NULL AND merged_into IS NULL"),
        ),
        # What times out next.
        Index(
            "case_step_due_at_idx",
            "step_due_at",
            postgresql_where=text("state = 'dispatched'"),
        ),
        Index("case_state_idx", "state", "opened_at"),
        # When anything last changed: what was derived from the cases is stale if it is older.
        Index("case_state_since_idx", "state_since"),
        # The record of an area, of whatever layer: areas @> {layer: code}.
        Index(
            "case_areas_idx",
            "areas",
            postgresql_using="gin",
            postgresql_ops={"areas": "jsonb_path_ops"},
        ),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    category: Mapped[str | None] = mapped_column(Text)
    point: Mapped[WKBElement | None] = mapped_column(
        Geometry("POINT", spatial_index=False), comment="of the first report; storage CRS"
    )
    areas: Mapped[dict[str, str]] = mapped_column(
        JSONB, server_default="{}", comment="code by layer, as the first report was answered"
    )
    responsible: Mapped[str | None] = mapped_column(
        Text, index=True, comment="party code, likewise"
    )
    opened_at: Mapped[datetime] = mapped_column(
        Instant, index=True, comment="when its first report came in"
    )
    state: Mapped[str] = mapped_column(Text)
    state_since: Mapped[datetime] = mapped_column(Instant)
    holder: Mapped[str | None] = mapped_column(
        Text, comment="code of the party that has it to act on"
    )
    step: Mapped[int] = mapped_column(
        SmallInteger, server_default="0", comment="of the escalation chain; 0 before any dispatch"
    )
    step_due_at: Mapped[datetime | None] = mapped_column(
        Instant, comment="when it climbs by itself; null on the last step"
    )
    tier: Mapped[str | None] = mapped_column(Text, comment="code of a tier of the scheme")
    due_at: Mapped[datetime | None] = mapped_column(
        Instant, index=True, comment="by when it should be closed; null without such a limit"
    )
    closed_at: Mapped[datetime | None] = mapped_column(Instant, index=True)
    report_count: Mapped[int] = mapped_column(server_default="1", comment="reports in it now")
    return_count: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    failed_verification_count: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    merged_into: Mapped[int | None] = mapped_column(ForeignKey("case.id"))
    last_event: Mapped[int] = mapped_column(comment="number of the newest event")


class CaseEvent(Base):
    """One thing that happened to a case; the log is only added to."""

    __tablename__ = "case_event"
    __table_args__ = (
        CheckConstraint(f"kind IN {tuple(map(str, EventKind))}", name="kind"),
        CheckConstraint(f"state IN {tuple(map(str, CaseState))}", name="state"),
    )

    case_id: Mapped[int] = mapped_column(ForeignKey("case.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(Instant)
    actor: Mapped[str] = mapped_column(
        Text, comment="who told it: a caller of the API, a file's source, or 'gridsvc' itself"
    )
    party: Mapped[str | None] = mapped_column(
        Text, comment="code of the party that did it, or had the case"
    )
    to_party: Mapped[str | None] = mapped_column(Text, comment="code of the party that gets it")
    reason: Mapped[str | None] = mapped_column(Text)
    details: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")
    state: Mapped[str] = mapped_column(Text, comment="of the case from then on")


class CaseReport(Base):
    """Which case a report belongs to now; the events tell which ones it belonged to before."""

    __tablename__ = "case_report"
    __table_args__ = (
        Index("case_report_case_id_idx", "case_id"),
        # The first reporter is the one who is credited.
        Index("case_report_first_idx", "case_id", unique=True, postgresql_where=text("is_first")),
    )

    report_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("report.id"), primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("case.id"))
    is_first: Mapped[bool]
    joined_at: Mapped[datetime] = mapped_column(Instant)
    distance_m: Mapped[float | None] = mapped_column(
        Double, comment="from the first report; null where a point is missing"
    )


class Impact(Base):
    """What a change set would mean, as last previewed (gridsvc.preview_impact)."""

    __tablename__ = "impact"

    change_set_id: Mapped[int] = mapped_column(
        ForeignKey("change_set.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    made_at: Mapped[datetime] = mapped_column(Instant)
    days: Mapped[int] = mapped_column(comment="whose reports were asked again")
    from_at: Mapped[datetime] = mapped_column(Instant, comment="reports received from then")
    to_at: Mapped[datetime] = mapped_column(Instant, comment="and before then")
    judged_at: Mapped[datetime] = mapped_column(Instant, comment="instant of both questions")
    base_revision: Mapped[int] = mapped_column(comment="that it was compared with")
    reports: Mapped[int] = mapped_column(comment="received in these days, anywhere")
    compared: Mapped[int] = mapped_column(comment="on ground or about duties that it touches")
    moved: Mapped[int] = mapped_column(comment="for which somebody else would have a duty")
    stops: Mapped[int] = mapped_column(comment="findings that would stop a publish")
    conflicts: Mapped[int] = mapped_column(comment="with what was published since its base")
    digest: Mapped[str] = mapped_column(Text, comment="of the edits that were previewed")


class ImpactParty(Base):
    """How many reports a party would gain and lose for a duty."""

    __tablename__ = "impact_party"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    change_set_id: Mapped[int] = mapped_column(
        ForeignKey("impact.change_set_id", ondelete="CASCADE"), index=True
    )
    party_code: Mapped[str | None] = mapped_column(Text, comment="null: nobody holds the duty")
    duty: Mapped[str] = mapped_column(Text, comment="as an Answer names it")
    gains: Mapped[int]
    losses: Mapped[int]


class ImpactArea(Base):
    """An area whose ground would change."""

    __tablename__ = "impact_area"
    __table_args__ = (CheckConstraint("what IN ('changed', 'new', 'ended')", name="what"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    change_set_id: Mapped[int] = mapped_column(
        ForeignKey("impact.change_set_id", ondelete="CASCADE"), index=True
    )
    layer: Mapped[str] = mapped_column(Text)
    code: Mapped[str] = mapped_column(Text)
    what: Mapped[str] = mapped_column(Text)
    area_before_m2: Mapped[float | None] = mapped_column(Double)
    area_after_m2: Mapped[float | None] = mapped_column(Double)
    length_before_m: Mapped[float | None] = mapped_column(
        Double, comment="of the boundary, or of the centre line where it is drawn as one"
    )
    length_after_m: Mapped[float | None] = mapped_column(Double)
    moved_edge_m: Mapped[float | None] = mapped_column(
        Double, comment="of the boundary after, along changed ground"
    )
    part: Mapped[WKBElement] = mapped_column(
        Geometry("MULTIPOLYGON", spatial_index=False), comment="ground taken or given"
    )


class ImpactReport(Base):
    """A report for which somebody else would have a duty, each duty with from whom to whom."""

    __tablename__ = "impact_report"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    change_set_id: Mapped[int] = mapped_column(
        ForeignKey("impact.change_set_id", ondelete="CASCADE"), index=True
    )
    # No foreign key: reports are never removed, and checking 100,000 takes a second.
    report_id: Mapped[uuid.UUID] = mapped_column(Uuid)
    point: Mapped[WKBElement] = mapped_column(
        Geometry("POINT", spatial_index=False), comment="storage CRS"
    )
    duties: Mapped[list[str]] = mapped_column(ARRAY(Text), comment="as an Answer names them")
    parties_from: Mapped[list[str | None]] = mapped_column(
        ARRAY(Text), comment="party codes, in that order; null: nobody"
    )
    parties_to: Mapped[list[str | None]] = mapped_column(ARRAY(Text))
