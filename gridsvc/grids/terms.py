"""The closed vocabularies of the field; depends on nothing, so every module may use it."""

from enum import StrEnum


class Duty(StrEnum):
    """What somebody answers for; every point of a city has all four."""

    RESPONSIBILITY = "responsibility"
    MANAGEMENT = "management"
    ENFORCEMENT = "enforcement"
    SUPERVISION = "supervision"


class StandInBy(StrEnum):
    """Who stands in for a lead who is off."""

    ASSISTANT = "assistant"
    NEIGHBOUR = "neighbour"


class LayerKind(StrEnum):
    """Whether the areas of a layer fill their parent or merely lie in it."""

    TILING = "tiling"
    OVERLAY = "overlay"


class DrawnAs(StrEnum):
    """How the areas of a layer are drawn: as they are, or as centre lines with a width."""

    POLYGON = "polygon"
    LINE = "line"


class CategoryKind(StrEnum):
    """What is reported: something that happened, or a thing that stands there."""

    EVENT = "event"
    COMPONENT = "component"


class FindingKind(StrEnum):
    """What a check can find in areas and, the last four, in assignments."""

    NULL_GEOMETRY = "null_geometry"
    NOT_POLYGON = "not_polygon"
    INVALID_RING = "invalid_ring"
    DUPLICATE_CODE = "duplicate_code"
    ODD_CODE = "odd_code"
    ODD_WIDTH = "odd_width"
    EMPTY_NAME = "empty_name"
    UNDECLARED_CRS = "undeclared_crs"
    WRONG_DATUM = "wrong_datum"
    OUTSIDE_EXTENT = "outside_extent"
    OVERLAP = "overlap"
    GAP = "gap"
    SPILL = "spill"
    NARROW = "narrow"
    MISSING_NODE = "missing_node"
    CONFLICT = "conflict"
    ORPHAN = "orphan"
    VACANCY = "vacancy"
    ALREADY_HELD = "already_held"
    UNKNOWN_AREA = "unknown_area"


class Severity(StrEnum):
    """What a finding does to a publish."""

    STOP = "stop"
    REPORT = "report"


PEOPLE_FINDINGS = frozenset(
    {
        FindingKind.ORPHAN,
        FindingKind.VACANCY,
        FindingKind.ALREADY_HELD,
        FindingKind.UNKNOWN_AREA,
    }
)
"""Findings about assignments; a scheme sets their severity under `[people]`."""

REPORTED_BY_DEFAULT = frozenset(
    {
        FindingKind.EMPTY_NAME,
        FindingKind.WRONG_DATUM,
        FindingKind.NARROW,
        FindingKind.MISSING_NODE,
        FindingKind.ORPHAN,
    }
)
"""Findings that are judgements rather than faults; every other one stops a publish."""


def default_severity(kind: FindingKind) -> Severity:
    """Say what a finding does where the scheme is silent."""
    return Severity.REPORT if kind in REPORTED_BY_DEFAULT else Severity.STOP
