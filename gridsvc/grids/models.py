"""The tables: areas and people as append-only versions, and the change sets that make them.

A version is live in the revisions [`rev_from`, `rev_to`) and says what holds in the instants
[`valid_from`, `valid_to`); an open end is null. Nothing is ever updated but `rev_to`.
"""

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
    Integer,
    LargeBinary,
    SmallInteger,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import (
    ARRAY,
    INT4MULTIRANGE,
    JSONB,
    ExcludeConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import TypeEngine

from gridsvc.db import Base

Instant = DateTime(timezone=True)

DUTIES = ("responsibility", "management", "enforcement", "supervision")
DUTY_CHECK = f"duty IN {DUTIES}"

LINE_CHECK = "num_nonnulls(centre_line, width_m) IN (0, 2) AND width_m > 0"

STAND_INS = ("assistant", "neighbour")

# GiST compares text with `=` through btree_gist.
VALID = text("tstzrange(valid_from, valid_to)")
LIVE = text("int4range(rev_from, rev_to)")


def polygon_column() -> TypeEngine[Any]:
    """Type of a boundary; loading a scheme gives the column the SRID of its storage CRS."""
    return Geometry("MULTIPOLYGON", spatial_index=False)


def line_column() -> TypeEngine[Any]:
    """Type of a centre line, in the storage CRS as `polygon_column` is."""
    return Geometry("MULTILINESTRING", spatial_index=False)


class SchemeVersion(Base):
    """One state of the city's set-up, as loaded; the newest one named by a revision rules."""

    __tablename__ = "scheme"

    id: Mapped[int] = mapped_column(Integer, Identity(always=True), primary_key=True)
    code: Mapped[str] = mapped_column(Text)
    document: Mapped[dict[str, Any]] = mapped_column(JSONB)
    srid: Mapped[int]
    time_zone: Mapped[str] = mapped_column(Text)
    loaded_at: Mapped[datetime] = mapped_column(Instant, server_default=func.now())


class Layer(Base):
    """One kind of area."""

    __tablename__ = "layer"
    __table_args__ = (
        CheckConstraint("kind IN ('tiling', 'overlay')", name="kind"),
        CheckConstraint("drawn_as IN ('polygon', 'line')", name="drawn_as"),
    )

    code: Mapped[str] = mapped_column(Text, primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    parent: Mapped[str | None] = mapped_column(ForeignKey("layer.code"))
    position: Mapped[int] = mapped_column(SmallInteger)
    drawn_as: Mapped[str] = mapped_column(
        Text, server_default="polygon", comment="a line has a width and is stored as its surface"
    )
    title_zh: Mapped[str] = mapped_column(Text)
    title_en: Mapped[str] = mapped_column(Text)


class Category(Base):
    """A class of events or components, as one scheme version knows it."""

    __tablename__ = "category"
    __table_args__ = (CheckConstraint("kind IN ('event', 'component')", name="kind"),)

    scheme_id: Mapped[int] = mapped_column(ForeignKey("scheme.id"), primary_key=True)
    code: Mapped[str] = mapped_column(Text, primary_key=True)
    valid_from: Mapped[datetime] = mapped_column(Instant, primary_key=True)
    valid_to: Mapped[datetime | None] = mapped_column(Instant)
    kind: Mapped[str] = mapped_column(Text)
    name_zh: Mapped[str] = mapped_column(Text)
    name_en: Mapped[str] = mapped_column(Text)


class Rung(Base):
    """One step of a ladder: which layer to ask next for a duty (and a category prefix)."""

    __tablename__ = "rung"
    __table_args__ = (CheckConstraint(DUTY_CHECK, name="duty"),)

    scheme_id: Mapped[int] = mapped_column(ForeignKey("scheme.id"), primary_key=True)
    duty: Mapped[str] = mapped_column(Text, primary_key=True)
    category: Mapped[str] = mapped_column(Text, primary_key=True, comment="prefix; '' is all")
    position: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    layer: Mapped[str] = mapped_column(ForeignKey("layer.code"))
    is_locality: Mapped[bool] = mapped_column(comment="the last rung, which is never empty")


class EscalationStep(Base):
    """Whom a case climbs to, and within which time each must act."""

    __tablename__ = "escalation_step"
    __table_args__ = (CheckConstraint(DUTY_CHECK, name="duty"),)

    scheme_id: Mapped[int] = mapped_column(ForeignKey("scheme.id"), primary_key=True)
    step: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    duty: Mapped[str] = mapped_column(Text)
    layer: Mapped[str | None] = mapped_column(ForeignKey("layer.code"))
    within: Mapped[str] = mapped_column(Text, comment="ISO 8601 duration")


class StandInRule(Base):
    """Who stands in for the lead of a duty who is off, in which order."""

    __tablename__ = "stand_in_rule"
    __table_args__ = (
        CheckConstraint(DUTY_CHECK, name="duty"),
        CheckConstraint(f"by IN {STAND_INS}", name="by"),
    )

    scheme_id: Mapped[int] = mapped_column(ForeignKey("scheme.id"), primary_key=True)
    duty: Mapped[str] = mapped_column(Text, primary_key=True)
    position: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    by: Mapped[str] = mapped_column(Text)


class ComponentRuleRow(Base):
    """How far a report may lie from the component that it is about."""

    __tablename__ = "component_rule"

    scheme_id: Mapped[int] = mapped_column(ForeignKey("scheme.id"), primary_key=True)
    category: Mapped[str] = mapped_column(Text, primary_key=True, comment="prefix; '' is all")
    within_m: Mapped[float] = mapped_column(Double)
    apart_m: Mapped[float] = mapped_column(Double)


class TierRow(Base):
    """Who takes a kind of problem."""

    __tablename__ = "tier"
    __table_args__ = (CheckConstraint(DUTY_CHECK, name="duty"),)

    scheme_id: Mapped[int] = mapped_column(ForeignKey("scheme.id"), primary_key=True)
    code: Mapped[str] = mapped_column(Text, primary_key=True)
    duty: Mapped[str] = mapped_column(Text)
    layer: Mapped[str] = mapped_column(ForeignKey("layer.code"))


class ChangeSet(Base):
    """Proposed edits on a base revision."""

    __tablename__ = "change_set"
    __table_args__ = (
        CheckConstraint("state IN ('open', 'checked', 'published', 'withdrawn')", name="state"),
        Index(
            "change_set_open_name_idx",
            "name",
            unique=True,
            postgresql_where=text("state IN ('open', 'checked')"),
        ),
    )

    id: Mapped[int] = mapped_column(Integer, Identity(always=True), primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text, server_default="open")
    base_revision: Mapped[int] = mapped_column(comment="0 before the first revision")
    author: Mapped[str] = mapped_column(Text, server_default=text("session_user"))
    note: Mapped[str] = mapped_column(Text, server_default="")
    created_at: Mapped[datetime] = mapped_column(Instant, server_default=func.now())
    takes_effect_at: Mapped[datetime] = mapped_column(
        Instant,
        server_default=func.now(),
        comment="when versions edited in QGIS begin and those they replace end",
    )
    closed_at: Mapped[datetime | None] = mapped_column(Instant)


class Planner(Base):
    """A login of the database that edits or views boundaries in QGIS."""

    __tablename__ = "planner"
    __table_args__ = (CheckConstraint("role IN ('planner', 'chief', 'viewer')", name="role"),)

    login: Mapped[str] = mapped_column(Text, primary_key=True)
    role: Mapped[str] = mapped_column(Text)
    publishes: Mapped[bool] = mapped_column(
        server_default=text("false"), comment="own change sets; a chief publishes any"
    )
    change_set_id: Mapped[int | None] = mapped_column(
        ForeignKey("change_set.id"), comment="shown in the edit views; null shows the newest state"
    )


class PlannerArea(Base):
    """Ground on which a planner may edit: what lies for the most part in it."""

    __tablename__ = "planner_area"

    login: Mapped[str] = mapped_column(
        ForeignKey("planner.login", ondelete="CASCADE"), primary_key=True
    )
    layer: Mapped[str] = mapped_column(ForeignKey("layer.code"), primary_key=True)
    area_code: Mapped[str] = mapped_column(Text, primary_key=True)


class Problem(Base):
    """What was found wrong in a change set when it was last saved or checked."""

    __tablename__ = "problem"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    change_set_id: Mapped[int] = mapped_column(
        ForeignKey("change_set.id", ondelete="CASCADE"), index=True
    )
    kind: Mapped[str] = mapped_column(Text)
    stops: Mapped[bool]
    layer: Mapped[str | None] = mapped_column(Text)
    code: Mapped[str | None] = mapped_column(Text)
    other: Mapped[str | None] = mapped_column(Text)
    message: Mapped[str] = mapped_column(Text)
    message_zh: Mapped[str] = mapped_column(Text)
    area_m2: Mapped[float | None] = mapped_column(Double)
    width_m: Mapped[float | None] = mapped_column(Double)
    part: Mapped[WKBElement | None] = mapped_column(Geometry("GEOMETRY", spatial_index=False))
    found_at: Mapped[datetime] = mapped_column(Instant, server_default=func.now())


class Recheck(Base):
    """A change set that a transaction saved to and that is judged when it commits."""

    __tablename__ = "recheck"

    change_set_id: Mapped[int] = mapped_column(
        ForeignKey("change_set.id", ondelete="CASCADE"), primary_key=True
    )


class AreaLineage(Base):
    """An area that a revision ended or cut, and one that took over ground of it."""

    __tablename__ = "area_lineage"
    __table_args__ = (Index("area_lineage_code_idx", "layer", "code"),)

    revision: Mapped[int] = mapped_column(ForeignKey("revision.number"), primary_key=True)
    layer: Mapped[str] = mapped_column(ForeignKey("layer.code"), primary_key=True)
    ancestor: Mapped[str] = mapped_column(Text, primary_key=True)
    code: Mapped[str] = mapped_column(Text, primary_key=True)
    shared_m2: Mapped[float] = mapped_column(Double)


class Revision(Base):
    """One published state of all layers and assignments.

    `effective_at` is the first instant for which this revision answers: its publication, or
    earlier while the history of a new service is being loaded.
    """

    __tablename__ = "revision"
    __table_args__ = (CheckConstraint("effective_at <= published_at", name="effective"),)

    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    published_at: Mapped[datetime] = mapped_column(Instant)
    effective_at: Mapped[datetime] = mapped_column(Instant, index=True)
    scheme_id: Mapped[int] = mapped_column(ForeignKey("scheme.id"))
    change_set_id: Mapped[int | None] = mapped_column(ForeignKey("change_set.id"), unique=True)
    author: Mapped[str] = mapped_column(Text, server_default=text("session_user"))
    note: Mapped[str] = mapped_column(Text, server_default="")


class Area(Base):
    """One version of one area of a layer."""

    __tablename__ = "area"
    __table_args__ = (
        CheckConstraint("code <> '' AND code = btrim(code)", name="code"),
        CheckConstraint("valid_from < valid_to", name="period"),
        CheckConstraint("rev_from < rev_to", name="revisions"),
        CheckConstraint("ST_IsValid(boundary) AND NOT ST_IsEmpty(boundary)", name="boundary"),
        CheckConstraint("boundary = ST_SnapToGrid(boundary, 0.001)", name="millimetre"),
        CheckConstraint(LINE_CHECK, name="line"),
        ExcludeConstraint(
            ("layer", "="),
            ("code", "="),
            (VALID, "&&"),
            (LIVE, "&&"),
            name="area_one_version_excl",
        ),
        Index("area_code_idx", "layer", "code"),
        # QGIS finds a row of an edit view by a key of four bytes.
        Index("area_key_idx", text("(id::integer)")),
        # Finds the neighbours of an area.
        Index("area_boundary_idx", "layer", "boundary", postgresql_using="gist"),
        # What a revision changed.
        Index("area_rev_from_idx", "rev_from"),
        Index("area_rev_to_idx", "rev_to", postgresql_where=text("rev_to IS NOT NULL")),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    layer: Mapped[str] = mapped_column(ForeignKey("layer.code"))
    code: Mapped[str] = mapped_column(Text)
    name: Mapped[str | None] = mapped_column(Text)
    boundary: Mapped[WKBElement] = mapped_column(polygon_column())
    centre_line: Mapped[WKBElement | None] = mapped_column(line_column())
    width_m: Mapped[float | None] = mapped_column(Double, comment="of a layer drawn as lines")
    valid_from: Mapped[datetime] = mapped_column(Instant)
    valid_to: Mapped[datetime | None] = mapped_column(Instant)
    rev_from: Mapped[int] = mapped_column(ForeignKey("revision.number"))
    rev_to: Mapped[int | None] = mapped_column(ForeignKey("revision.number"))


class AreaPiece(Base):
    """A part of an area's boundary, small enough that asking it is cheap.

    Cutting moves an edge by far less than a millimetre; within a millimetre of a piece's edge
    the whole boundary decides.
    """

    __tablename__ = "area_piece"
    __table_args__ = (Index("area_piece_piece_idx", "piece", postgresql_using="gist"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    area_id: Mapped[int] = mapped_column(ForeignKey("area.id", ondelete="CASCADE"), index=True)
    piece: Mapped[WKBElement] = mapped_column(
        Geometry("POLYGON", spatial_index=False), nullable=False
    )


class Party(Base):
    """A person or a body."""

    __tablename__ = "party"
    __table_args__ = (
        CheckConstraint("kind IN ('person', 'body')", name="kind"),
        CheckConstraint("code <> '' AND code = btrim(code)", name="code"),
    )

    code: Mapped[str] = mapped_column(Text, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)
    phone: Mapped[str | None] = mapped_column(Text)


class Assignment(Base):
    """One version of a party holding a duty on an area.

    A category is a prefix ('01' holds for '0102'); null holds for all. One holder of a duty and
    rank at a time is the schema's promise, for each category prefix and hour of the week.
    """

    __tablename__ = "assignment"
    __table_args__ = (
        CheckConstraint(DUTY_CHECK, name="duty"),
        CheckConstraint("rank BETWEEN 1 AND 2", name="rank"),
        CheckConstraint("category <> ''", name="category"),
        CheckConstraint("valid_from < valid_to", name="period"),
        CheckConstraint("rev_from < rev_to", name="revisions"),
        CheckConstraint("NOT isempty(hours) AND hours <@ '{[0,10080)}'", name="hours"),
        ExcludeConstraint(
            ("layer", "="),
            ("area_code", "="),
            ("duty", "="),
            ("rank", "="),
            (text("coalesce(category, '')"), "="),
            ("hours", "&&"),
            (VALID, "&&"),
            (LIVE, "&&"),
            name="assignment_one_holder_excl",
        ),
        Index("assignment_area_idx", "layer", "area_code", "duty", "rank"),
        Index("assignment_party_idx", "party_code"),
        # What a revision changed.
        Index("assignment_rev_from_idx", "rev_from"),
        Index("assignment_rev_to_idx", "rev_to", postgresql_where=text("rev_to IS NOT NULL")),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    party_code: Mapped[str] = mapped_column(ForeignKey("party.code"))
    layer: Mapped[str] = mapped_column(ForeignKey("layer.code"))
    area_code: Mapped[str] = mapped_column(Text)
    duty: Mapped[str] = mapped_column(Text)
    role: Mapped[str] = mapped_column(Text)
    rank: Mapped[int] = mapped_column(SmallInteger, server_default=text("1"))
    category: Mapped[str | None] = mapped_column(Text)
    hours: Mapped[Any] = mapped_column(
        INT4MULTIRANGE,
        server_default=text("'{[0,10080)}'"),
        comment="minutes of the local week, Monday 00:00 is 0",
    )
    valid_from: Mapped[datetime] = mapped_column(Instant)
    valid_to: Mapped[datetime | None] = mapped_column(Instant)
    rev_from: Mapped[int] = mapped_column(ForeignKey("revision.number"))
    rev_to: Mapped[int | None] = mapped_column(ForeignKey("revision.number"))


class Absence(Base):
    """One version of a party being away, from whatever it holds.

    Absences of a party may overlap; two of the same beginning would be one told twice.
    """

    __tablename__ = "absence"
    __table_args__ = (
        CheckConstraint("valid_from < valid_to", name="period"),
        CheckConstraint("rev_from < rev_to", name="revisions"),
        ExcludeConstraint(
            ("party_code", "="),
            ("valid_from", "="),
            (LIVE, "&&"),
            name="absence_one_version_excl",
        ),
        Index("absence_party_idx", "party_code", "valid_from"),
        # What a revision changed.
        Index("absence_rev_from_idx", "rev_from"),
        Index("absence_rev_to_idx", "rev_to", postgresql_where=text("rev_to IS NOT NULL")),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    party_code: Mapped[str] = mapped_column(ForeignKey("party.code"))
    valid_from: Mapped[datetime] = mapped_column(Instant)
    valid_to: Mapped[datetime | None] = mapped_column(Instant)
    reason: Mapped[str | None] = mapped_column(Text)
    rev_from: Mapped[int] = mapped_column(ForeignKey("revision.number"))
    rev_to: Mapped[int | None] = mapped_column(ForeignKey("revision.number"))


class Component(Base):
    """One version of a thing that stands in the city and belongs to somebody."""

    __tablename__ = "component"
    __table_args__ = (
        CheckConstraint("code <> '' AND code = btrim(code)", name="code"),
        CheckConstraint("valid_from < valid_to", name="period"),
        CheckConstraint("rev_from < rev_to", name="revisions"),
        ExcludeConstraint(
            ("code", "="),
            (VALID, "&&"),
            (LIVE, "&&"),
            name="component_one_version_excl",
        ),
        Index("component_place_idx", "category", "point", postgresql_using="gist"),
        # What a revision changed.
        Index("component_rev_from_idx", "rev_from"),
        Index("component_rev_to_idx", "rev_to", postgresql_where=text("rev_to IS NOT NULL")),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    code: Mapped[str] = mapped_column(Text)
    category: Mapped[str] = mapped_column(Text, comment="class code, not a prefix")
    owner: Mapped[str] = mapped_column(ForeignKey("party.code"), comment="party code")
    point: Mapped[WKBElement] = mapped_column(Geometry("POINT", spatial_index=False))
    valid_from: Mapped[datetime] = mapped_column(Instant)
    valid_to: Mapped[datetime | None] = mapped_column(Instant)
    rev_from: Mapped[int] = mapped_column(ForeignKey("revision.number"))
    rev_to: Mapped[int | None] = mapped_column(ForeignKey("revision.number"))


class ComponentEdit(Base):
    """A change set's proposal for a component, as `AreaEdit` is for an area."""

    __tablename__ = "component_edit"
    __table_args__ = (
        CheckConstraint("num_nonnulls(replaces, point) > 0", name="purpose"),
        CheckConstraint("num_nonnulls(category, owner, point, valid_from) IN (0, 4)", name="whole"),
        CheckConstraint("valid_from < valid_to", name="period"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    change_set_id: Mapped[int] = mapped_column(
        ForeignKey("change_set.id", ondelete="CASCADE"), index=True
    )
    replaces: Mapped[int | None] = mapped_column(ForeignKey("component.id"), index=True)
    code: Mapped[str] = mapped_column(Text)
    category: Mapped[str | None] = mapped_column(Text)
    owner: Mapped[str | None] = mapped_column(Text)
    point: Mapped[WKBElement | None] = mapped_column(Geometry("POINT", spatial_index=False))
    valid_from: Mapped[datetime | None] = mapped_column(Instant)
    valid_to: Mapped[datetime | None] = mapped_column(Instant)


class DutyLetter(Base):
    """What a unit signed for a shop-front zone; only added to, the latest in force counts."""

    __tablename__ = "duty_letter"
    __table_args__ = (
        CheckConstraint("valid_from < valid_to", name="period"),
        CheckConstraint("octet_length(document_sha256) = 32", name="sha256"),
        UniqueConstraint("layer", "area_code", "document_sha256", "valid_from"),
        Index("duty_letter_zone_idx", "layer", "area_code", "valid_from"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    layer: Mapped[str] = mapped_column(ForeignKey("layer.code"))
    area_code: Mapped[str] = mapped_column(Text)
    unit: Mapped[str] = mapped_column(ForeignKey("party.code"), comment="who answers for it")
    signatory: Mapped[str | None] = mapped_column(
        ForeignKey("party.code"), comment="the person who signed for the unit"
    )
    signed_at: Mapped[datetime] = mapped_column(Instant)
    valid_from: Mapped[datetime] = mapped_column(Instant)
    valid_to: Mapped[datetime | None] = mapped_column(Instant)
    document_sha256: Mapped[bytes] = mapped_column(LargeBinary)
    self_governing_group: Mapped[str | None] = mapped_column(
        Text, comment="code of the group along the street"
    )
    stored_at: Mapped[datetime] = mapped_column(Instant, server_default=func.now())


class AreaEdit(Base):
    """A change set's proposal: end the version `replaces`, begin the one described, or both."""

    __tablename__ = "area_edit"
    __table_args__ = (
        CheckConstraint("num_nonnulls(replaces, boundary) > 0", name="purpose"),
        CheckConstraint(LINE_CHECK, name="line"),
        CheckConstraint("valid_from < valid_to", name="period"),
        Index("area_edit_area_idx", "change_set_id", "layer", "code"),
        Index("area_edit_boundary_idx", "boundary", postgresql_using="gist"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    change_set_id: Mapped[int] = mapped_column(ForeignKey("change_set.id", ondelete="CASCADE"))
    replaces: Mapped[int | None] = mapped_column(ForeignKey("area.id"), index=True)
    layer: Mapped[str] = mapped_column(ForeignKey("layer.code"))
    code: Mapped[str] = mapped_column(Text)
    name: Mapped[str | None] = mapped_column(Text)
    boundary: Mapped[WKBElement | None] = mapped_column(polygon_column())
    centre_line: Mapped[WKBElement | None] = mapped_column(line_column())
    width_m: Mapped[float | None] = mapped_column(Double, comment="of a layer drawn as lines")
    valid_from: Mapped[datetime | None] = mapped_column(Instant)
    valid_to: Mapped[datetime | None] = mapped_column(Instant)
    origin: Mapped[int | None] = mapped_column(
        ForeignKey("area.id"), comment="the version in whose place QGIS shows it"
    )
    row_number: Mapped[int] = mapped_column(
        server_default=text("1"), comment="grows with each edit: tells a stale row"
    )
    edited_at: Mapped[datetime] = mapped_column(Instant, server_default=func.now())
    edited_by: Mapped[str] = mapped_column(Text, server_default=text("session_user"))


class ImportFinding(Base):
    """What stopped rows of a file on their way into a change set, and so stops its publish."""

    __tablename__ = "import_finding"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    change_set_id: Mapped[int] = mapped_column(
        ForeignKey("change_set.id", ondelete="CASCADE"), index=True
    )
    layer: Mapped[str] = mapped_column(ForeignKey("layer.code"))
    source: Mapped[str] = mapped_column(Text, comment="name of the file")
    kind: Mapped[str] = mapped_column(Text)
    code: Mapped[str | None] = mapped_column(Text)
    message: Mapped[str] = mapped_column(Text)
    area_m2: Mapped[float | None] = mapped_column(Double)
    place: Mapped[WKBElement | None] = mapped_column(
        Geometry("GEOMETRY", srid=4326, spatial_index=False)
    )


class AssignmentEdit(Base):
    """A change set's proposal for an assignment, as `AreaEdit` is for an area."""

    __tablename__ = "assignment_edit"
    __table_args__ = (
        CheckConstraint("num_nonnulls(replaces, party_code) > 0", name="purpose"),
        # A draft's holders are looked up area by area.
        Index("assignment_edit_area_idx", "change_set_id", "layer", "area_code"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    change_set_id: Mapped[int] = mapped_column(ForeignKey("change_set.id", ondelete="CASCADE"))
    replaces: Mapped[int | None] = mapped_column(ForeignKey("assignment.id"), index=True)
    party_code: Mapped[str | None] = mapped_column(Text)
    layer: Mapped[str | None] = mapped_column(ForeignKey("layer.code"))
    area_code: Mapped[str | None] = mapped_column(Text)
    duty: Mapped[str | None] = mapped_column(Text)
    role: Mapped[str | None] = mapped_column(Text)
    rank: Mapped[int | None] = mapped_column(SmallInteger)
    category: Mapped[str | None] = mapped_column(Text)
    hours: Mapped[Any | None] = mapped_column(INT4MULTIRANGE)
    valid_from: Mapped[datetime | None] = mapped_column(Instant)
    valid_to: Mapped[datetime | None] = mapped_column(Instant)
    origin: Mapped[int | None] = mapped_column(
        ForeignKey("assignment.id"), comment="the version in whose place QGIS shows it"
    )
    row_number: Mapped[int] = mapped_column(
        server_default=text("1"), comment="grows with each edit: tells a stale row"
    )
    edited_at: Mapped[datetime] = mapped_column(Instant, server_default=func.now())
    edited_by: Mapped[str] = mapped_column(Text, server_default=text("session_user"))


class AbsenceEdit(Base):
    """A change set's proposal for an absence, as `AreaEdit` is for an area."""

    __tablename__ = "absence_edit"
    __table_args__ = (
        CheckConstraint("num_nonnulls(replaces, party_code) > 0", name="purpose"),
        CheckConstraint("(party_code IS NULL) = (valid_from IS NULL)", name="begin"),
        CheckConstraint("valid_from < valid_to", name="period"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    change_set_id: Mapped[int] = mapped_column(
        ForeignKey("change_set.id", ondelete="CASCADE"), index=True
    )
    replaces: Mapped[int | None] = mapped_column(ForeignKey("absence.id"), index=True)
    party_code: Mapped[str | None] = mapped_column(Text)
    valid_from: Mapped[datetime | None] = mapped_column(Instant)
    valid_to: Mapped[datetime | None] = mapped_column(Instant)
    reason: Mapped[str | None] = mapped_column(Text)


class PartyEdit(Base):
    """A change set's proposal for a party: as it shall be once published."""

    __tablename__ = "party_edit"

    change_set_id: Mapped[int] = mapped_column(
        ForeignKey("change_set.id", ondelete="CASCADE"), primary_key=True
    )
    code: Mapped[str] = mapped_column(Text, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)
    phone: Mapped[str | None] = mapped_column(Text)
    was: Mapped[str | None] = mapped_column(
        Text, comment="digest of the party that this was made of; null for a new one"
    )


class ApiKey(Base):
    """A key of the API: only its hash is kept."""

    __tablename__ = "api_key"

    id: Mapped[int] = mapped_column(Integer, Identity(always=True), primary_key=True)
    name: Mapped[str] = mapped_column(Text, unique=True)
    key_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True, comment="SHA-256")
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    created_at: Mapped[datetime] = mapped_column(Instant, server_default=func.now())
    revoked_at: Mapped[datetime | None] = mapped_column(Instant)


class ReadLog(Base):
    """Who read unmasked names and phones, when, and in which request."""

    __tablename__ = "read_log"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    read_at: Mapped[datetime] = mapped_column(Instant, server_default=func.now())
    api_key_id: Mapped[int | None] = mapped_column(ForeignKey("api_key.id"))
    request_id: Mapped[str] = mapped_column(Text)
    path: Mapped[str] = mapped_column(Text)
    party_codes: Mapped[list[str]] = mapped_column(ARRAY(Text))
