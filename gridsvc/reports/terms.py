"""The words of a report: how it came, and whether it could be answered."""

from enum import StrEnum


class Channel(StrEnum):
    """How a report came."""

    PHONE_APP = "phone_app"
    HOTLINE = "hotline"
    INSPECTOR = "inspector"
    VIDEO = "video"
    PATROL = "patrol"


class Mark(StrEnum):
    """Whether a report could be answered, and if not, why; all are kept."""

    ROUTED = "routed"
    OUTSIDE = "outside"
    DEFAULT_POINT = "default_point"
    UNKNOWN_CATEGORY = "unknown_category"
    BAD_COORDINATES = "bad_coordinates"
    BAD_TIME = "bad_time"
    TOO_EARLY = "too_early"
    """Received before the first revision was in force."""


class Cause(StrEnum):
    """Why a report was answered."""

    INTAKE = "intake"
    IMPORT = "import"
    REROUTE = "reroute"
