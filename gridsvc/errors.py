"""What can go wrong, named so that the reader knows the thing, the place and the remedy.

    GridsvcError
    ├── SettingsError
    ├── DatabaseUnavailable
    ├── UnknownCrs
    ├── DatumNotInverted
    ├── SchemeError
    ├── CategoriesError
    ├── WeekHoursError
    ├── LimitError
    ├── SchemeChangeRefused
    ├── NothingLoaded
    ├── ChangeSetError
    │   ├── UnknownChangeSet
    │   ├── ChangeSetConflict
    │   └── ChangeSetRefused
    ├── PlannerError
    ├── ImportRefused
    │   └── RowsRefused
    ├── UnknownLayer
    ├── UnknownArea
    ├── KeyRefused
    ├── ScopeMissing
    ├── UnknownScope
    ├── KeyNameTaken
    ├── UnknownKey
    ├── UnknownReport
    ├── UnknownService
    ├── UnknownJurisdiction
    ├── IdempotencyKeyReused
    ├── UnknownCase
    ├── ReportWithoutCase
    ├── CaseMovedOn
    ├── ActRefused
    ├── IndicatorsRefused
    ├── HotspotsRefused
    ├── NoZones
    ├── PackageRefused
    ├── TableError
    └── QuestionError
        ├── NothingPublished
        ├── BadCoordinates
        ├── SwappedCoordinates
        ├── OutsideServiceArea
        ├── DefaultPointGiven
        ├── UnknownCategory
        ├── BeforeFirstRevision
        └── CrsNotAccepted

Nothing here knows of HTTP; `gridsvc.api.problems` maps each class to a status.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path


class GridsvcError(Exception):
    """An error the caller can act on.

    Attributes:
        detail: What is wrong and where, one sentence without its full stop.
        remedy: What to do about it, one sentence without its full stop.
    """

    def __init__(self, detail: str, *, remedy: str) -> None:
        super().__init__(detail, remedy)
        self.detail = detail
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.detail}. {_sentence(self.remedy)}"


def _sentence(words: str) -> str:
    return words if words.endswith("?") else f"{words}."


class SettingsError(GridsvcError):
    """A setting is missing or cannot be used."""


class DatabaseUnavailable(GridsvcError):
    """No PostGIS answers, or it is too old."""


class PostgresMissing(DatabaseUnavailable):
    """No PostgreSQL with PostGIS is installed that the embedded cluster could run.

    Attributes:
        part: What is missing, e.g. "PostGIS ≥ 3.3 for PostgreSQL 15".
        looked_in: Where it was looked for.
    """

    def __init__(self, part: str, *, looked_in: str) -> None:
        super().__init__(
            f"{part} is missing (looked in {looked_in})",
            remedy="Install it (Debian, Ubuntu: `sudo apt-get install postgresql-postgis`), "
            "or name another server in GRIDSVC_DATABASE_URL=postgresql://…, "
            "or run `docker compose up`",
        )
        self.part = part
        self.looked_in = looked_in


class ClusterFailed(DatabaseUnavailable):
    """The embedded cluster could not be made, started or stopped.

    Attributes:
        action: What was tried, e.g. "start".
        place: The cluster's folder.
        reason: What PostgreSQL or the system said.
    """

    def __init__(self, action: str, *, place: Path, reason: str, remedy: str | None = None) -> None:
        super().__init__(
            f"The embedded database in {place} did not {action}: {reason}",
            remedy=remedy or "Remove the cause, or use another server through GRIDSVC_DATABASE_URL",
        )
        self.action = action
        self.place = place
        self.reason = reason


class UnknownCrs(GridsvcError):
    """No coordinate reference system bears this name.

    Attributes:
        name: The name as given.
        matches: Normalised names that are spelled alike, the closest first.
    """

    def __init__(self, name: str, *, matches: tuple[str, ...]) -> None:
        meant = f"Did you mean {' or '.join(matches)}? " if matches else ""
        super().__init__(
            f"No coordinate reference system is called {name!r}",
            remedy=f"{meant}Use gcj02, bd09 or EPSG:number, such as EPSG:4326",
        )
        self.name = name
        self.matches = matches


class DatumNotInverted(GridsvcError):
    """A shifted datum could not be undone to the promised accuracy.

    Attributes:
        count: How many points were missed.
        x: Longitude of the first of them, as given.
        y: Its latitude.
    """

    def __init__(self, count: int, *, x: float, y: float) -> None:
        super().__init__(
            f"{count} points could not be converted to WGS-84 exactly, the first at ({x}, {y})",
            remedy="Check that they are longitudes and latitudes in the declared datum",
        )
        self.count = count
        self.x = x
        self.y = y


@dataclass(frozen=True, slots=True)
class SchemeProblem:
    """One thing that is wrong with a scheme.

    Attributes:
        key: Where, e.g. "layer[3].parent", counted from 0; "" is the whole file.
        line: Line of the scheme's text, from 1; None where there is no text.
        message: What is wrong, without a full stop.
        remedy: What to do about it, without a full stop.
    """

    key: str
    line: int | None
    message: str
    remedy: str

    def __str__(self) -> str:
        place = [f"line {self.line}"] if self.line else []
        where = ", ".join([*place, *filter(None, [self.key])])
        return f"{where}: {self.message}. {_sentence(self.remedy)}"


class SchemeError(GridsvcError):
    """A scheme cannot be used; all its problems are named at once.

    Attributes:
        source: The file, or what the scheme came from.
        problems: In the order of the text.
    """

    def __init__(self, source: str, *, problems: tuple[SchemeProblem, ...]) -> None:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        first = str(problems[0]).rstrip(".")
        which = ", the first" if problems[1:] else ""
        super().__init__(
            f"The scheme {source} has {count}{which}: {first}",
            remedy="Mend the scheme and load it again; nothing was changed",
        )
        self.source = source
        self.problems = problems

    def __str__(self) -> str:
        count = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        lines = [f"  {problem}" for problem in self.problems]
        return "\n".join([f"The scheme {self.source} has {count}:", *lines, f"{self.remedy}."])


class CategoriesError(GridsvcError):
    """A file of categories cannot be read.

    Attributes:
        source: The file.
        faults: One phrase per fault, each with its line.
    """

    def __init__(self, source: str, faults: tuple[str, ...]) -> None:
        super().__init__(
            f"The categories in {source} cannot be used: {'; '.join(faults)}",
            remedy="Give a CSV with the columns code, kind, name_zh, name_en, valid_from, valid_to",
        )
        self.source = source
        self.faults = faults


class WeekHoursError(GridsvcError):
    """Hours of the week cannot be read.

    Attributes:
        piece: The piece between semicolons that is at fault.
        fault: What is wrong with it.
    """

    def __init__(self, piece: str, fault: str, *, remedy: str) -> None:
        super().__init__(f"«{piece}» in the hours of the week {fault}", remedy=remedy)
        self.piece = piece
        self.fault = fault


class LimitError(GridsvcError):
    """A time limit cannot be read or kept.

    Attributes:
        fault: What is wrong with it.
    """

    def __init__(self, fault: str, *, remedy: str) -> None:
        super().__init__(fault, remedy=remedy)
        self.fault = fault


class SchemeChangeRefused(GridsvcError):
    """A scheme cannot replace the one in force, because areas already rest on that one."""


class NothingLoaded(GridsvcError):
    """The database has no scheme yet."""

    def __init__(self) -> None:
        super().__init__(
            "No scheme is loaded in this database",
            remedy="Load one with `gridsvc scheme load FILE.toml`",
        )


class ChangeSetError(GridsvcError):
    """A change set cannot do what was asked; nothing was changed."""


class UnknownChangeSet(ChangeSetError):
    """No open change set bears this name.

    Attributes:
        name: The name as given.
        open_names: The names of the open change sets.
    """

    def __init__(self, name: str, *, open_names: tuple[str, ...]) -> None:
        super().__init__(
            f"No open change set is called {name!r}",
            remedy=f"Open ones: {', '.join(open_names)}"
            if open_names
            else "None is open; make one with `--change-set NAME` on an import",
        )
        self.name = name
        self.open_names = open_names


class ChangeSetConflict(ChangeSetError):
    """What a change set replaces was replaced meanwhile.

    Attributes:
        name: The change set.
        conflicts: One phrase for each version lost, with who replaced it and in which revision.
    """

    def __init__(self, name: str, *, conflicts: tuple[str, ...]) -> None:
        shown = "; ".join(conflicts[:5]) + (" …" if conflicts[5:] else "")
        super().__init__(
            f"The change set {name!r} rests on a state that has changed: {shown}",
            remedy="Withdraw it and make the change again on the newest revision",
        )
        self.name = name
        self.conflicts = conflicts


class ChangeSetRefused(ChangeSetError):
    """A change set has findings that the scheme lets stop a publish.

    Attributes:
        name: The change set.
        findings: What stops it, one readable line each.
    """

    def __init__(self, name: str, *, findings: tuple[str, ...]) -> None:
        shown = "; ".join(findings[:5]) + (
            f" … and {len(findings) - 5} more" if findings[5:] else ""
        )
        one = len(findings) == 1
        count = "1 finding that stops" if one else f"{len(findings)} findings that stop"
        super().__init__(
            f"The change set {name!r} has {count} it: {shown}",
            remedy="Mend them, or let the scheme only report this kind of finding for the layer",
        )
        self.name = name
        self.findings = findings


class PlannerError(GridsvcError):
    """A planner's login cannot be made or changed as asked; nothing was changed."""


class ImportRefused(GridsvcError):
    """A file cannot be imported; nothing was changed.

    Attributes:
        source: The file.
    """

    def __init__(self, source: str, detail: str, *, remedy: str) -> None:
        super().__init__(f"{source}: {detail}", remedy=remedy)
        self.source = source


class RowsRefused(ImportRefused):
    """Rows of a flat table cannot be understood.

    Attributes:
        faults: One phrase a row, with its line.
    """

    def __init__(self, source: str, *, faults: tuple[str, ...]) -> None:
        shown = "; ".join(faults[:5]) + (f"; and {len(faults) - 5} more" if faults[5:] else "")
        super().__init__(source, shown, remedy="Mend these rows; nothing was changed")
        self.faults = faults


class NoZones(GridsvcError):
    """The scheme names no layer of shop-front zones."""

    def __init__(self) -> None:
        super().__init__(
            "The scheme has no [zones]",
            remedy="Name their layer and grades there, and load the scheme again",
        )


class PackageRefused(GridsvcError):
    """The package for QGIS cannot be written; nothing was.

    Attributes:
        place: The folder, or the database, that stands in the way.
    """

    def __init__(self, place: str, detail: str, *, remedy: str) -> None:
        super().__init__(f"{place} {detail}", remedy=remedy)
        self.place = place


class IndicatorsRefused(GridsvcError):
    """A question for indicators that has no meaning.

    Attributes:
        field: What is at fault.
    """

    def __init__(self, field: str, fault: str, *, remedy: str) -> None:
        super().__init__(f"{field}: {fault}", remedy=remedy)
        self.field = field


class HotspotsRefused(GridsvcError):
    """A question for hotspots or recurrence that has no meaning.

    Attributes:
        field: What is at fault.
    """

    def __init__(self, field: str, fault: str, *, remedy: str) -> None:
        super().__init__(f"{field}: {fault}", remedy=remedy)
        self.field = field


class TableError(GridsvcError):
    """A table cannot be read or written; nothing was left behind.

    Attributes:
        path: The file.
    """

    def __init__(self, path: Path, detail: str, *, remedy: str) -> None:
        super().__init__(f"{path}: {detail}", remedy=remedy)
        self.path = path


class QuestionError(GridsvcError):
    """A point was asked that cannot be answered."""


class NothingPublished(QuestionError):
    """No revision is published yet."""

    def __init__(self) -> None:
        super().__init__(
            "Nothing is published yet, so nobody is known to be responsible",
            remedy="Import areas with `gridsvc areas import … --publish`",
        )


class BadCoordinates(QuestionError):
    """A number of a question is missing, not finite or out of range.

    Attributes:
        field: Which, as the caller named it: "lon", "lat", "accuracy_m".
        value: As given.
    """

    def __init__(self, field: str, value: float, *, expected: str) -> None:
        super().__init__(f"{field} is {value}", remedy=f"Give {expected}")
        self.field = field
        self.value = value


class SwappedCoordinates(QuestionError):
    """Longitude and latitude look swapped.

    Attributes:
        lon: What was given as longitude (x).
        lat: What was given as latitude (y).
    """

    def __init__(self, *, lon: float, lat: float) -> None:
        super().__init__(
            f"lon={lon}, lat={lat} lies outside the city, but lon={lat}, lat={lon} lies inside",
            remedy="Swap the two: longitude first",
        )
        self.lon = lon
        self.lat = lat


class OutsideServiceArea(QuestionError):
    """No area of the city covers the point.

    Attributes:
        lon: WGS-84 degrees.
        lat: WGS-84 degrees.
        nearest: Layer, code, name and distance_m of the nearest area; None where there is none.
    """

    def __init__(self, *, lon: float, lat: float, nearest: dict[str, object] | None) -> None:
        near = (
            f"; the nearest area is {nearest['layer']} {nearest['code']}, "
            f"{nearest['distance_m']} m away"
            if nearest
            else ""
        )
        super().__init__(
            f"The point lon={lon:.6f}, lat={lat:.6f} lies outside the service area{near}",
            remedy="Check the coordinates and their datum (crs)",
        )
        self.lon = lon
        self.lat = lat
        self.nearest = nearest


class DefaultPointGiven(QuestionError):
    """The point is where reports without a place are put, so it says nothing.

    Attributes:
        lon: WGS-84 degrees.
        lat: WGS-84 degrees.
        note: What the scheme says of it.
    """

    def __init__(self, *, lon: float, lat: float, note: str) -> None:
        super().__init__(
            f"The point lon={lon}, lat={lat} is a known default point ({note or 'no note'})",
            remedy="Find out where the report really is before routing it",
        )
        self.lon = lon
        self.lat = lat
        self.note = note


class UnknownCategory(QuestionError):
    """The scheme has no such category at that time.

    Attributes:
        category: The code as given.
        close: Codes that are spelled alike.
    """

    def __init__(self, category: str, *, close: tuple[str, ...]) -> None:
        super().__init__(
            f"The category {category!r} is not in the scheme",
            remedy=f"Did you mean {' or '.join(close)}?"
            if close
            else "Use a code of the scheme's categories, or leave it out",
        )
        self.category = category
        self.close = close


class BeforeFirstRevision(QuestionError):
    """The question's time lies before anything was in force.

    Attributes:
        at: The time asked, aware.
        first_at: The earliest that can be answered.
    """

    def __init__(self, *, at: datetime, first_at: datetime) -> None:
        super().__init__(
            f"At {at.isoformat()} no revision was in force",
            remedy=f"Ask for {first_at.isoformat()} or later",
        )
        self.at = at
        self.first_at = first_at


class CrsNotAccepted(QuestionError):
    """The scheme does not accept this CRS as input.

    Attributes:
        crs: As given.
        accepted: What the scheme accepts.
    """

    def __init__(self, crs: str, *, accepted: tuple[str, ...]) -> None:
        super().__init__(
            f"The scheme does not accept coordinates in {crs}",
            remedy=f"Use one of {', '.join(accepted)}, or add it to input_crs",
        )
        self.crs = crs
        self.accepted = accepted


class UnknownLayer(GridsvcError):
    """The scheme has no such layer.

    Attributes:
        layer: The code as given.
        known: Codes of the layers there are.
    """

    def __init__(self, layer: str, *, known: tuple[str, ...]) -> None:
        super().__init__(
            f"There is no layer {layer!r}",
            remedy=f"Use one of {', '.join(known)}" if known else "Load a scheme first",
        )
        self.layer = layer
        self.known = known


class UnknownArea(GridsvcError):
    """No area of the layer bears this code at that time.

    Attributes:
        layer: Code of the layer.
        code: Code of the area.
        at: The time asked, aware.
    """

    def __init__(self, layer: str, code: str, *, at: datetime) -> None:
        super().__init__(
            f"At {at.isoformat()} there is no area {code!r} in the layer {layer!r}",
            remedy="Check the code, or ask for another time",
        )
        self.layer = layer
        self.code = code
        self.at = at


class KeyRefused(GridsvcError):
    """A call came without a key, or with one that is unknown or revoked.

    Attributes:
        given: Whether there was a key.
    """

    def __init__(self, *, given: bool) -> None:
        super().__init__(
            "The API key is unknown or revoked" if given else "The call carries no API key",
            remedy="Send `Authorization: Bearer KEY`; `gridsvc key create` makes one",
        )
        self.given = given


class ScopeMissing(GridsvcError):
    """A key does not allow the call.

    Attributes:
        needed: Scopes of which one is needed.
        held: The scopes of the key.
    """

    def __init__(self, needed: tuple[str, ...], *, held: tuple[str, ...]) -> None:
        super().__init__(
            f"The call needs the scope {' or '.join(needed)}; "
            f"the key has {', '.join(held) or 'none'}",
            remedy="Use a key with that scope",
        )
        self.needed = needed
        self.held = held


class UnknownScope(GridsvcError):
    """No scope of the API bears this name.

    Attributes:
        scope: The name as given.
        known: The scopes there are.
    """

    def __init__(self, scope: str, *, known: tuple[str, ...]) -> None:
        super().__init__(
            f"There is no scope {scope!r}", remedy=f"Use one or more of {', '.join(known)}"
        )
        self.scope = scope
        self.known = known


class KeyNameTaken(GridsvcError):
    """Another API key bears this name; the names of revoked keys stay taken for the log's sake.

    Attributes:
        name: The name as given.
    """

    def __init__(self, name: str) -> None:
        super().__init__(f"There is an API key called {name!r} already", remedy="Choose another")
        self.name = name


class UnknownKey(GridsvcError):
    """No API key that is in force bears this name.

    Attributes:
        name: The name as given.
    """

    def __init__(self, name: str) -> None:
        super().__init__(f"No API key in force is called {name!r}", remedy="See `gridsvc key list`")
        self.name = name


class UnknownReport(GridsvcError):
    """No report has this id.

    Attributes:
        report_id: As given.
    """

    def __init__(self, report_id: str) -> None:
        super().__init__(
            f"There is no report {report_id!r}", remedy="Use the id that filing it gave"
        )
        self.report_id = report_id


class UnknownService(GridsvcError):
    """No category in force that can be asked for bears this code.

    Attributes:
        code: As given.
    """

    def __init__(self, code: str) -> None:
        super().__init__(
            f"There is no service {code!r}", remedy="Use a service_code of the list of services"
        )
        self.code = code


class UnknownJurisdiction(GridsvcError):
    """This service answers for another city.

    Attributes:
        name: As given.
        own: The code of the city's scheme.
    """

    def __init__(self, name: str, *, own: str) -> None:
        super().__init__(
            f"There is no jurisdiction {name!r} here", remedy=f"Use {own!r}, or leave it out"
        )
        self.name = name
        self.own = own


class IdempotencyKeyReused(GridsvcError):
    """The key under which a report was filed came again with another report.

    Attributes:
        key: As given.
        report_id: The report that was filed under it.
    """

    def __init__(self, key: str, *, report_id: str) -> None:
        super().__init__(
            f"Another report, {report_id}, was filed under the idempotency key {key!r}",
            remedy="Give each report its own key, and use it again only to repeat the same report",
        )
        self.key = key
        self.report_id = report_id


class UnknownCase(GridsvcError):
    """No case has this number.

    Attributes:
        case_id: As given.
    """

    def __init__(self, case_id: int) -> None:
        super().__init__(
            f"There is no case {case_id}", remedy="Use the id that a report or the list gives"
        )
        self.case_id = case_id


class ReportWithoutCase(GridsvcError):
    """A report was marked, not routed, so that no case was opened for it.

    Attributes:
        report_id: As given.
    """

    def __init__(self, report_id: str) -> None:
        super().__init__(
            f"The report {report_id} has no case: nobody could be named for it",
            remedy="Read its mark and reason, and file it again with what was wrong put right",
        )
        self.report_id = report_id


@dataclass(frozen=True, slots=True)
class CaseNow:
    """Where a case stands.

    Attributes:
        id: Its number.
        state: Where it stands.
        state_since: Since when.
        holder: Code of the party that has it to act on.
        step: Of the escalation chain.
        last_event: Number of its newest event.
    """

    id: int
    state: str
    state_since: datetime
    holder: str | None
    step: int
    last_event: int


class CaseMovedOn(GridsvcError):
    """What was asked of a case does not fit where it stands now.

    Attributes:
        case: Where it stands.
    """

    def __init__(self, case: CaseNow, *, detail: str) -> None:
        super().__init__(detail, remedy="Look at where it stands now, and decide again")
        self.case = case


class ActRefused(GridsvcError):
    """An act on a case lacks something, or names what there is not, whatever its state.

    Attributes:
        field: The part of the act that is at fault.
    """

    def __init__(self, field: str, detail: str, *, remedy: str) -> None:
        super().__init__(detail, remedy=remedy)
        self.field = field
