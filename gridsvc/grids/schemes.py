"""A scheme is one city's set-up, a TOML file; a new city is a new file, not new code.

A scheme is right or refused: what is wrong with it is told all at once, by key and line.
"""

import difflib
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self
from zoneinfo import ZoneInfo

import pyproj
from pydantic import Field, ValidationError, model_validator

from gridsvc.crs import parse_crs
from gridsvc.errors import (
    CategoriesError,
    ImportRefused,
    SchemeError,
    SchemeProblem,
    UnknownCrs,
)
from gridsvc.grids.case_rules import (
    CaseLimit,
    DuplicateRule,
    Stage,
    case_rule_faults,
    rule_for,
)
from gridsvc.grids.categories import Category, CategoryCode, longest_prefix, read_categories
from gridsvc.grids.component_rules import ComponentRule, Tier, TierCode, component_faults
from gridsvc.grids.credit_rules import CreditRules
from gridsvc.grids.hotspot_rules import HotspotRules, read_residents
from gridsvc.grids.indicator_rules import IndicatorRules
from gridsvc.grids.limits import Limit
from gridsvc.grids.scheme_fields import (
    REFUSED,
    Code,
    CrsName,
    HoursText,
    Latitude,
    LayerCode,
    LimitField,
    Longitude,
    Regex,
    SchemeTable,
    StorageCrsName,
    TimeZoneName,
    Title,
    Weekday,
    refuse,
)
from gridsvc.grids.stand_in_rules import StandIn, stand_in_faults
from gridsvc.grids.terms import (
    PEOPLE_FINDINGS,
    CategoryKind,
    DrawnAs,
    Duty,
    FindingKind,
    LayerKind,
    Severity,
    default_severity,
)
from gridsvc.grids.toml_lines import Key, KeyLines
from gridsvc.grids.weekhours import (
    DAY_MIN,
    DAYS,
    WEEK_MIN,
    WeekHours,
    merge_week_hours,
    parse_week_hours,
)
from gridsvc.grids.zone_rules import ZoneRules


class Layer(SchemeTable):
    """One kind of area."""

    code: LayerCode
    title: Title
    kind: LayerKind
    parent: Code | None = None
    """The layer whose areas this one fills (tiling) or lies in (overlay)."""
    drawn_as: DrawnAs = DrawnAs.POLYGON
    """Streets are drawn as centre lines with a width; what they cover follows from both."""
    code_pattern: Regex | None = None
    """What an area's code must match in full; without it any code will do."""
    code_format: Literal["unit_grid"] | None = None
    """A code with a rule of its own: 15 digits, 6+3+3+3, of a unit grid."""
    findings: dict[FindingKind, Severity] = Field(default_factory=dict)

    def severity(self, kind: FindingKind) -> Severity:
        """Say whether a finding in this layer stops a publish."""
        return self.findings.get(kind, default_severity(kind))


class Role(SchemeTable):
    """What the city calls the holder of a duty."""

    code: Code
    title: Title


class Ladder(SchemeTable):
    """The layers to ask for one duty, most specific first; the last one is the locality."""

    duty: Duty
    category: CategoryCode | None = None
    """A category or the beginning of its code; None is for all categories."""
    layers: Annotated[tuple[Code, ...], Field(min_length=1)]


class EscalationStep(SchemeTable):
    """Who is asked next, and how long they have."""

    duty: Duty
    layer: Code | None = None
    """The layer whose area decides; None is for the ladder's own holder."""
    within: LimitField
    """Working time in the scheme's calendar."""


class Calendar(SchemeTable):
    """When the city works, in its local time."""

    working_hours: tuple[HoursText, ...] = ()
    holidays: tuple[date, ...] = ()
    workdays: tuple[date, ...] = ()
    """Days that are worked although the week says otherwise."""
    workdays_as: dict[date, Weekday] = Field(default_factory=dict)
    """Whose hours such a day has; without a word here those of the first working day, Monday."""

    @property
    def week_hours(self) -> WeekHours:
        """The working hours of a usual week; all hours where the scheme names none."""
        texts = self.working_hours or ("",)
        return merge_week_hours(span for text in texts for span in parse_week_hours(text))

    def hours_of(self, day: date) -> WeekHours:
        """Give the working hours of one local calendar day, in minutes of that day.

        Days end at midnight: a night shift that begins on the eve of a holiday ends there. A
        make-up workday adds the hours of another day to those that the week gives it anyway.
        """
        if day in self.holidays:
            return ()
        hours = self._weekday_hours
        if day not in self.workdays:
            return hours[day.weekday()]
        like = self.workdays_as.get(day)
        added = hours[DAYS.index(like)] if like else next(filter(None, hours))
        return merge_week_hours((*hours[day.weekday()], *added))

    @cached_property
    def _weekday_hours(self) -> tuple[WeekHours, ...]:
        week = self.week_hours
        return tuple(
            tuple(
                (max(start, midnight) - midnight, min(end, midnight + DAY_MIN) - midnight)
                for start, end in week
                if start < midnight + DAY_MIN and end > midnight
            )
            for midnight in range(0, WEEK_MIN, DAY_MIN)
        )

    @model_validator(mode="after")
    def _only_workdays_are_like_others(self) -> Self:
        for day, like in self.workdays_as.items():
            if day not in self.workdays:
                refuse(f"workdays_as names {day}, which is no workday", "Add it to workdays")
            if not self._weekday_hours[DAYS.index(like)]:
                refuse(
                    f"{day} would be worked as {like}, which has no hours",
                    "Name a day of working_hours",
                )
        return self

    @model_validator(mode="after")
    def _no_day_is_both(self) -> Self:
        both = sorted(set(self.holidays) & set(self.workdays))
        if both:
            days = ", ".join(map(str, both))
            refuse(f"{days} is a holiday and a workday", "Keep it in one list")
        return self


class Extent(SchemeTable):
    """A generous box round the city, WGS-84 degrees."""

    west: Longitude
    south: Latitude
    east: Longitude
    north: Latitude

    @model_validator(mode="before")
    @classmethod
    def _not_swapped(cls, value: object) -> object:
        sides = value if isinstance(value, Mapping) else {}
        south, north = sides.get("south"), sides.get("north")
        latitudes = [side for side in (south, north) if isinstance(side, int | float)]
        if any(90 < abs(side) <= 180 for side in latitudes):  # noqa: PLR2004 -- degrees
            refuse(
                f"latitudes {south} to {north} do not exist; these look like longitudes",
                "Swap west with south and east with north",
            )
        return value

    @model_validator(mode="after")
    def _not_inverted(self) -> Self:
        if self.west >= self.east:
            refuse(f"west {self.west} is not less than east {self.east}", "Swap west and east")
        if self.south >= self.north:
            refuse(
                f"south {self.south} is not less than north {self.north}", "Swap south and north"
            )
        return self

    def covers(self, *, lon: float, lat: float) -> bool:
        """Tell whether a point, WGS-84 degrees, lies in the box or on its edge."""
        return self.west <= lon <= self.east and self.south <= lat <= self.north

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east, north, as Shapely and pyproj order them."""
        return self.west, self.south, self.east, self.north


class DefaultPoint(SchemeTable):
    """A point, WGS-84 degrees, on which reports without a place were put."""

    lon: Longitude
    lat: Latitude
    note: str = ""


class PeopleRules(SchemeTable):
    """What the scheme says on assignments."""

    findings: dict[FindingKind, Severity] = Field(default_factory=dict)

    def severity(self, kind: FindingKind) -> Severity:
        """Say whether a finding about assignments stops a publish."""
        return self.findings.get(kind, default_severity(kind))


class Scheme(SchemeTable):
    """One city's set-up.

    Get one by `read_scheme`, `parse_scheme` or `Scheme.from_document`; they alone check how its
    parts hang together.
    """

    code: Code
    title: Title
    time_zone: TimeZoneName
    storage_crs: StorageCrsName
    input_crs: Annotated[tuple[CrsName, ...], Field(min_length=1)]
    """What coordinates may come in; the first is what an undeclared point is in."""
    extent: Extent
    default_points: tuple[DefaultPoint, ...] = ()
    categories: tuple[Category, ...] = ()
    calendar: Calendar = Calendar()
    layers: Annotated[tuple[Layer, ...], Field(alias="layer", min_length=1)]
    """In display order; a parent stands before its children."""
    roles: Annotated[tuple[Role, ...], Field(alias="role")] = ()
    ladders: Annotated[tuple[Ladder, ...], Field(alias="ladder")] = ()
    escalation: tuple[EscalationStep, ...] = ()
    people: PeopleRules = PeopleRules()
    indicators: IndicatorRules = IndicatorRules()
    credit: CreditRules | None = None
    """None: reporters are not credited."""
    duplicates: tuple[DuplicateRule, ...] = ()
    limits: Annotated[tuple[CaseLimit, ...], Field(alias="limit")] = ()
    components: Annotated[tuple[ComponentRule, ...], Field(alias="component")] = ()
    """Without a rule for a category its components go by the ladder."""
    tiers: Annotated[tuple[Tier, ...], Field(alias="tier")] = ()
    zones: ZoneRules | None = None
    """None: no layer is one of shop-front zones."""
    hotspots: HotspotRules = HotspotRules()
    stand_ins: Annotated[tuple[StandIn, ...], Field(alias="stand_in")] = ()

    @staticmethod
    def from_document(
        document: Mapping[str, Any], *, source: str = "stored in the database"
    ) -> "Scheme":
        """Make a scheme again from what `document` gave.

        Raises:
            SchemeError: all that is wrong with it.
        """
        return _build(document, source=source, line=lambda _: None)

    def document(self) -> dict[str, Any]:
        """Give the scheme as JSON can hold it: the keys of the TOML, the categories themselves."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)

    @property
    def zone(self) -> ZoneInfo:
        """The city's time zone."""
        return ZoneInfo(self.time_zone)

    def layer(self, code: str) -> Layer | None:
        """Find a layer by its code; None where there is no such layer."""
        return next((layer for layer in self.layers if layer.code == code), None)

    def chain(self, layer: Layer) -> tuple[Layer, ...]:
        """List the layers that an area of a layer lies in, from the outermost in, itself last."""
        above = layer.parent and self.layer(layer.parent)
        return (*(self.chain(above) if above else ()), layer)

    @property
    def finest_tiling(self) -> Layer:
        """The tiling layer that lies deepest in others; of equals the first."""
        tilings = [layer for layer in self.layers if layer.kind == LayerKind.TILING]
        return max(tilings, key=lambda layer: len(self.chain(layer)))

    def role(self, code: str) -> Role | None:
        """Find a role by its code; None where there is no such role."""
        return next((role for role in self.roles if role.code == code), None)

    def ladder(self, duty: Duty, *, category: str | None = None) -> Ladder:
        """Find the ladder that a duty has for a category; the longest matching prefix wins."""
        by_prefix = {item.category or "": item for item in self.ladders if item.duty is duty}
        return by_prefix[longest_prefix(category or "", by_prefix) or ""]

    def tier(self, code: TierCode) -> Tier | None:
        """Find who takes a kind of problem; None where the scheme has no such tier."""
        return next((tier for tier in self.tiers if tier.code is code), None)

    def duplicate_rule(self, category: str | None) -> DuplicateRule | None:
        """Find within what reach reports of a category are the same; None: they never are."""
        return rule_for(category, self.duplicates)

    def limit(self, stage: Stage, category: str | None) -> Limit | None:
        """Find how long a stage may take for a category; None leaves it without a limit."""
        rule = rule_for(category, (rule for rule in self.limits if rule.stage is stage))
        return rule.within if rule else None


def read_scheme(path: Path) -> Scheme:
    """Read a scheme and the files it names.

    Raises:
        SchemeError: all that is wrong with it, by key and line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        problem = SchemeProblem("", None, f"{error.strerror}", "Name a TOML file that can be read")
        raise SchemeError(str(path), problems=(problem,)) from error
    except UnicodeDecodeError as error:
        problem = SchemeProblem("", None, "the text is not UTF-8", "Save the file as UTF-8")
        raise SchemeError(str(path), problems=(problem,)) from error
    return parse_scheme(text, source=str(path), base=path.parent)


def parse_scheme(text: str, *, source: str, base: Path) -> Scheme:
    """Read a scheme from its text.

    Args:
        text: TOML.
        source: What to call the text in errors.
        base: The folder that the paths of the categories and of the residents start from.

    Raises:
        SchemeError: all that is wrong with it, by key and line.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SchemeError(source, problems=(_syntax_problem(str(error), text),)) from error
    lines = KeyLines(text)
    unreadable: list[_Fault] = []
    if isinstance(name := document.get("categories"), str):
        try:
            document["categories"] = read_categories(base / name)
        except CategoriesError as error:
            document["categories"] = ()
            unreadable = [
                _Fault(("categories",), f"{error.source}: {fault}", error.remedy)
                for fault in error.faults
            ]
    hotspots = document.get("hotspots")
    if isinstance(hotspots, dict) and isinstance(name := hotspots.get("residents"), str):
        try:
            hotspots["residents"] = read_residents(base / name)
        except ImportRefused as error:
            del hotspots["residents"]
            unreadable.append(_Fault(("hotspots", "residents"), error.detail, error.remedy))
    return _build(document, source=source, line=lines.line, faults=unreadable)


# Building and checking. The checks read the raw document, not the models, so that one wrong
# value does not keep the others from being told.


class _Fault(NamedTuple):
    key: Key
    message: str
    remedy: str


def _build(
    document: Mapping[str, Any],
    *,
    source: str,
    line: Callable[[Key], int | None],
    faults: Iterable[_Fault] = (),
) -> Scheme:
    found = [*faults, *_cross_faults(document)]
    scheme = None
    try:
        scheme = Scheme.model_validate(document)
    except ValidationError as error:
        found += map(_model_fault, _causes(error))
    if scheme is None or found:
        problems = [
            SchemeProblem(_dotted(fault.key), line(fault.key), fault.message, fault.remedy)
            for fault in dict.fromkeys(found)
        ]
        raise SchemeError(source, problems=tuple(sorted(problems, key=lambda it: it.line or 0)))
    return scheme


def _dotted(key: Key) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in key)
    return text.removeprefix(".")


def _syntax_problem(message: str, text: str) -> SchemeProblem:
    place = re.search(r" \(at line (\d+), column \d+\)$", message)
    line = int(place[1]) if place else text.count("\n") + 1
    return SchemeProblem("", line, f"this is not TOML: {message}", "Mend the line or the one above")


_KNOWN_KEYS = sorted(
    {
        field.alias or name
        for model in SchemeTable.__subclasses__()
        for name, field in model.model_fields.items()
    }
)
_REMEDIES = {
    "missing": "Add it",
    "extra_forbidden": "Remove it",
    "enum": "Use one of these",
    "string_pattern_mismatch": "Use small letters, digits and _, beginning with a letter",
    "too_short": "Give at least one",
}


def _causes(error: ValidationError) -> list[Mapping[str, Any]]:
    """Leave out that a list is too short where that is only for the faults of what it holds."""
    faults = error.errors()
    within = {fault["loc"][:depth] for fault in faults for depth in range(len(fault["loc"]))}
    return [fault for fault in faults if fault["type"] != "too_short" or fault["loc"] not in within]


def _model_fault(error: Mapping[str, Any]) -> _Fault:
    # Pydantic marks a wrong key of a table by a last part of its own.
    key = tuple(part for part in error["loc"] if part != "[key]")
    kind, message = error["type"], error["msg"]
    remedy = error.get("ctx", {}).get("remedy") or _REMEDIES.get(kind, "Correct the value")
    if kind == "missing":
        message = f"{key[-1]} is missing"
    elif kind == "extra_forbidden":
        message = f"there is no key called {key[-1]!r}"
        remedy = _did_you_mean(str(key[-1]), _KNOWN_KEYS) or remedy
    elif kind == "enum":
        value = error["input"]
        message = f"{value!r} is none of {error['ctx']['expected']}"
        choices = re.findall(r"'(\w+)'", error["ctx"]["expected"])
        remedy = _did_you_mean(str(value), choices) or remedy
    elif kind != REFUSED:
        message = f"{message[:1].lower()}{message[1:]}, not {error['input']!r}"
    return _Fault(key, message, remedy)


def _did_you_mean(word: str, choices: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(choices), n=1)
    return f"Did you mean {close[0]!r}?" if close else ""


def _unknown_layer(key: Key, code: str, known: Iterable[str]) -> _Fault:
    known = list(known)
    remedy = _did_you_mean(code, known) or f"Use one of {', '.join(known)}, or add the layer"
    return _Fault(key, f"there is no layer {code!r}", remedy)


_NAMES = ("code", "parent", "duty", "category", "layer", "stage")


def _tables(document: Mapping[str, Any], key: str) -> list[tuple[int, Mapping[str, Any]]]:
    """Give the tables of an array with their places, without names that are no text."""
    items = document.get(key)
    return [
        (
            index,
            {name: it for name, it in item.items() if name not in _NAMES or isinstance(it, str)},
        )
        for index, item in enumerate(items if isinstance(items, list | tuple) else ())
        if isinstance(item, Mapping)
    ]


def _cross_faults(document: Mapping[str, Any]) -> Iterator[_Fault]:
    layers = _tables(document, "layer")
    for key in ("layer", "role"):
        yield from _repeated_codes(document, key)
    yield from _parent_faults(layers)
    yield from _drawing_faults(layers)
    yield from _finding_faults(document, layers)
    yield from _ladder_faults(document, layers)
    yield from _layer_faults(document, [str(code) for _, it in layers if (code := it.get("code"))])
    component_tables = _tables(document, "component"), _tables(document, "tier")
    for fault in component_faults(*component_tables):
        yield _Fault(*fault)
    for index, rule in component_tables[0]:
        yield from _prefix_faults(
            ("component", index, "category"),
            rule.get("category"),
            _category_codes(document, kind=CategoryKind.COMPONENT),
            of="category of kind component",
        )
    for fault in stand_in_faults(_tables(document, "stand_in")):
        yield _Fault(*fault)
    yield from _place_faults(document)
    for fault in case_rule_faults(
        _tables(document, "duplicates"), _tables(document, "limit"), _category_codes(document)
    ):
        yield _Fault(*fault)


def _layer_faults(document: Mapping[str, Any], known: list[str]) -> Iterator[_Fault]:
    """Find tables whose `layer` is none of the scheme's; ladders and parents are held elsewhere."""
    indicators, zones = document.get("indicators"), document.get("zones")
    hotspots = document.get("hotspots")
    classes = _tables(indicators, "class") if isinstance(indicators, Mapping) else []
    tables: list[tuple[Key, Mapping[str, Any]]] = [
        *((("escalation", index), step) for index, step in _tables(document, "escalation")),
        *((("tier", index), tier) for index, tier in _tables(document, "tier")),
        *((("indicators", "class", index), one) for index, one in classes),
    ]
    if isinstance(zones, Mapping):
        tables.append((("zones",), zones))
    for key, told in tables:
        code = told.get("layer")
        if isinstance(code, str) and code not in known:
            yield _unknown_layer((*key, "layer"), code, known)
    shops = hotspots.get("shops") if isinstance(hotspots, Mapping) else None
    if isinstance(shops, str) and shops not in known:
        yield _unknown_layer(("hotspots", "shops"), shops, known)


def _repeated_codes(document: Mapping[str, Any], key: str) -> Iterator[_Fault]:
    first: dict[object, int] = {}
    for index, item in _tables(document, key):
        code = item.get("code")
        if isinstance(code, str) and first.setdefault(code, index) != index:
            yield _Fault(
                (key, index, "code"),
                f"{code!r} is the code of {key}[{first[code]}] too",
                "Give each its own code",
            )


def _parent_faults(layers: list[tuple[int, Mapping[str, Any]]]) -> Iterator[_Fault]:
    place = {layer.get("code"): index for index, layer in reversed(layers)}
    parent_of = {layer.get("code"): layer.get("parent") for _, layer in layers}
    for index, layer in layers:
        code, parent, key = layer.get("code"), layer.get("parent"), ("layer", index, "parent")
        if not isinstance(parent, str):
            continue
        above = _ancestors(parent, parent_of)
        if parent not in place:
            yield _unknown_layer(key, parent, (str(other) for other in place if other != code))
        elif code in above:
            yield _Fault(
                key,
                f"{' lies in '.join([str(code), *above[: above.index(code) + 1]])}: a circle",
                "Remove the parent of the outermost of them",
            )
        elif place[parent] > index:
            yield _Fault(
                key,
                f"the parent {parent!r} stands after its child",
                f"Move [[layer]] {parent} before {code}: the outermost come first",
            )


def _ancestors(code: object, parent_of: Mapping[Any, Any]) -> list[Any]:
    """Give a layer and those above it, outwards; a circle is gone round once."""
    above: list[Any] = []
    while isinstance(code, str) and code not in above:
        above.append(code)
        code = parent_of.get(code)
    return above


def _drawing_faults(layers: list[tuple[int, Mapping[str, Any]]]) -> Iterator[_Fault]:
    surfaces = {f"{it.get('code')}_surface" for _, it in layers if it.get("drawn_as") == "line"}
    for index, layer in layers:
        code = layer.get("code")
        if layer.get("drawn_as") == DrawnAs.LINE and layer.get("kind") == LayerKind.TILING:
            yield _Fault(
                ("layer", index, "drawn_as"),
                f"{code} is a tiling layer, and lines with a width cannot fill their parent "
                "without gap or overlap",
                'Make it kind = "overlay", or leave drawn_as out',
            )
        if code in surfaces:
            yield _Fault(
                ("layer", index, "code"),
                f"{code!r} is where QGIS shows what the lines of another layer cover",
                "Choose another code",
            )


def _finding_faults(
    document: Mapping[str, Any], layers: list[tuple[int, Mapping[str, Any]]]
) -> Iterator[_Fault]:
    for index, layer in layers:
        for kind in _names(layer.get("findings")):
            key = ("layer", index, "findings", kind)
            if kind in PEOPLE_FINDINGS:
                yield _Fault(key, f"{kind} is not found in areas", "Move it to [people] findings")
            elif layer.get("kind") == LayerKind.OVERLAY and kind in {"overlap", "gap"}:
                yield _Fault(
                    key,
                    f"{kind} is judged on tiling layers only; {layer.get('code')} is an overlay",
                    "Remove it, or make the layer tiling",
                )
    people = document.get("people")
    for kind in _names(people.get("findings") if isinstance(people, Mapping) else None):
        if kind in set(FindingKind) - PEOPLE_FINDINGS:
            yield _Fault(
                ("people", "findings", kind),
                f"{kind} is found in areas, not in assignments",
                "Move it to the findings of a layer",
            )


def _names(table: object) -> list[str]:
    return list(table) if isinstance(table, Mapping) else []


def _ladder_faults(
    document: Mapping[str, Any], layers: list[tuple[int, Mapping[str, Any]]]
) -> Iterator[_Fault]:
    by_code = {layer.get("code"): layer for _, layer in reversed(layers)}
    parent_of = {code: layer.get("parent") for code, layer in by_code.items()}
    categories = _category_codes(document)
    ladders = _tables(document, "ladder")
    first: dict[tuple[object, object], int] = {}
    for index, ladder in ladders:
        duty, category = ladder.get("duty"), ladder.get("category")
        if first.setdefault((duty, category), index) != index:
            yield _Fault(
                ("ladder", index),
                f"{duty} has a ladder for {category or 'all categories'} "
                f"in ladder[{first[duty, category]}] already",
                "Remove one, or give it a category of its own",
            )
        yield from _prefix_faults(("ladder", index, "category"), category, categories)
        yield from _rung_faults(index, ladder, by_code, parent_of)
    for duty in Duty:
        if (duty, None) not in first:
            yield _Fault(
                ("ladder",),
                f"{duty} has no ladder for all categories",
                f'Add [[ladder]] with duty = "{duty}" and no category',
            )


def _prefix_faults(
    key: Key, prefix: object, categories: list[str], *, of: str = "category"
) -> Iterator[_Fault]:
    if isinstance(prefix, str) and categories and not _begins_any(prefix, categories):
        yield _Fault(
            key,
            f"no {of} begins with {prefix!r}",
            _did_you_mean(prefix, categories) or "Use the beginning of a category's code",
        )


def _begins_any(prefix: str, codes: Iterable[str]) -> bool:
    return any(code.startswith(prefix) for code in codes)


def _category_codes(document: Mapping[str, Any], *, kind: str | None = None) -> list[str]:
    items = document.get("categories")
    told = [
        (item.code, item.kind)
        if isinstance(item, Category)
        else (item.get("code"), item.get("kind"))
        for item in (items if isinstance(items, list | tuple) else ())
        if isinstance(item, Category | Mapping)
    ]
    return [code for code, of in told if isinstance(code, str) and kind in {None, of}]


def _rung_faults(
    index: int,
    ladder: Mapping[str, Any],
    by_code: Mapping[Any, Mapping[str, Any]],
    parent_of: Mapping[Any, Any],
) -> Iterator[_Fault]:
    rungs = ladder.get("layers")
    rungs = list(rungs) if isinstance(rungs, list | tuple) else []
    for place, code in enumerate(rungs):
        key = ("ladder", index, "layers", place)
        if not isinstance(code, str):
            continue
        if code not in by_code:
            yield _unknown_layer(key, code, map(str, by_code))
        elif code in rungs[:place]:
            yield _Fault(key, f"{code!r} is a rung twice", "Keep the first")
    if not rungs or rungs[-1] not in by_code:
        return
    chain = _ancestors(rungs[-1], parent_of)
    gaps = [code for code in chain if by_code.get(code, {}).get("kind") == LayerKind.OVERLAY]
    if gaps:
        whose = "it" if gaps[0] == rungs[-1] else f"{gaps[0]}, in which it lies,"
        yield _Fault(
            ("ladder", index, "layers", len(rungs) - 1),
            f"the last rung {rungs[-1]!r} need not cover the whole city, for {whose} is an overlay",
            "End the ladder with a tiling layer whose parents all tile",
        )


def _place_faults(document: Mapping[str, Any]) -> Iterator[_Fault]:
    """Hold the extent against the storage CRS and the default points against the extent."""
    try:
        extent = Extent.model_validate(document.get("extent"))
    except ValidationError:
        return
    for index, item in _tables(document, "default_points"):
        try:
            point = DefaultPoint.model_validate(item)
        except ValidationError:
            continue
        if not extent.covers(lon=point.lon, lat=point.lat):
            swapped = extent.covers(lon=point.lat, lat=point.lon)
            yield _Fault(
                ("default_points", index),
                f"({point.lon}, {point.lat}) lies outside the extent",
                "Swap lon and lat" if swapped else "Correct the point or the extent",
            )
    area = _area_of_use(document.get("storage_crs"))
    if area is not None and not _meet(extent.bounds, area):
        west, south, east, north = extent.bounds
        swapped = _meet((south, west, north, east), area)
        yield _Fault(
            ("extent",),
            f"the extent lies outside the area of {parse_crs(document['storage_crs'])}, "
            f"{area[0]} to {area[2]} east, {area[1]} to {area[3]} north",
            "Swap west with south and east with north"
            if swapped
            else "Correct the extent or the storage CRS",
        )


Bounds = tuple[float, float, float, float]

# Cities do draw in the zone next to theirs, such as Beijing in that of 114° E, so the width of a
# zone is let pass; what is to be caught is the wrong city and swapped axes.
_REACH_DEG = 3.0


def _area_of_use(name: object) -> Bounds | None:
    try:
        epsg = parse_crs(name).epsg if isinstance(name, str) else None
    except UnknownCrs:
        return None
    area = pyproj.CRS.from_epsg(epsg).area_of_use if epsg else None
    return area.bounds if area else None


def _meet(a: Bounds, b: Bounds) -> bool:
    return (
        a[0] <= b[2] + _REACH_DEG
        and b[0] <= a[2] + _REACH_DEG
        and a[1] <= b[3] + _REACH_DEG
        and b[1] <= a[3] + _REACH_DEG
    )
