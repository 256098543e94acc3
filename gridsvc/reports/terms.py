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


class CaseState(StrEnum):
    """Where a case stands."""

    FILED = "filed"
    """Waits for dispatch; a reopened one too."""
    DISPATCHED = "dispatched"
    RETURNED = "returned"
    """Sent back by whom it was dispatched to; waits for another dispatch."""
    HANDLED = "handled"
    """Said to be solved; waits for verification."""
    VERIFIED = "verified"
    CLOSED = "closed"
    SUSPENDED = "suspended"
    """In the stock pool: long-term, its clock stands."""
    NOT_OURS = "not_ours"
    """Left the flow: somebody outside answers for it."""
    MERGED = "merged"
    """Its reports belong to another case now."""


class EventKind(StrEnum):
    """What happened to a case."""

    FILED = "filed"
    JOINED = "joined"
    """A further report of the same."""
    PARTED = "parted"
    """A report was found to be another matter, and left."""
    MERGED = "merged"
    DISPATCHED = "dispatched"
    RETURNED = "returned"
    HANDLED = "handled"
    NO_EFFECT = "no_effect"
    """Whoever had it says that they got nowhere; it climbs."""
    ESCALATED = "escalated"
    VERIFIED = "verified"
    FAILED_VERIFICATION = "failed_verification"
    CLOSED = "closed"
    REOPENED = "reopened"
    SUSPENDED = "suspended"
    RESUMED = "resumed"
    NOT_OURS = "not_ours"
    DECLARED_HARD = "declared_hard"
    """Goes to the tier of hard problems."""
