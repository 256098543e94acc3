"""What a month's cases come to: counts by party, area or category, rates by the scheme's formulas.

Counts go by two cohorts. Of the cases opened in a period: `filed`, `repeated` (reports beyond the
first) and `escalated` (climbed beyond the first step). Of the cases that should be closed in it, by
their limit: `should_close`, of those `closed` by the period's end, `on_time` and `returned` at
least once; `deferred` are the suspended ones, which count in should_close or not as the scheme
says. So a rate never mixes cases of different months, and a past month's figures stay.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from gridsvc.db import sql
from gridsvc.errors import IndicatorsRefused, UnknownLayer
from gridsvc.grids.areas import area_names
from gridsvc.grids.assignments import party_names
from gridsvc.grids.indicator_rules import COUNTS, IndicatorRules, Rate, rate_of
from gridsvc.grids.scheme_store import current_scheme
from gridsvc.grids.schemes import Scheme

MAX_PERIODS = 60
"""Months of a series: five years."""

# A span may be compared with one as long before it.
_YEARS = range(1900, 2200)


class By(StrEnum):
    """What cases are counted by."""

    TOTAL = "total"
    PARTY = "party"
    """Who was responsible by the first report's answer."""
    AREA = "area"
    """An area of one layer, in which the case's place lies."""
    LAYER = "layer"
    """Each layer with an area over the case's place."""
    CATEGORY = "category"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class Period:
    """A half-open span of time, aware."""

    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class Figures:
    """Counts and the rates worked out of them.

    Attributes:
        counts: By the names of `COUNTS`.
        rates: By the codes of the scheme's rates; None where one cannot be worked out.
    """

    counts: dict[str, int]
    rates: dict[str, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One key's figures.

    Attributes:
        key: Code of the party, area, layer or category; the month as YYYY-MM; "" of the total.
        name: In words, masked; None where there is none.
        group: The class in which an area is compared; None where it is compared with none.
        rank: Among those of its class by the rate asked for; of equals the same. None without a
            class or without the rate.
        now: In the period.
        previous: In the period before, of the same length; of months the month before.
        last_year: In the same period a year before.
    """

    key: str
    name: str | None
    group: str | None
    rank: int | None
    now: Figures
    previous: Figures
    last_year: Figures


@dataclass(frozen=True, slots=True, kw_only=True)
class Indicators:
    """A table of indicators.

    Attributes:
        by: What cases are counted by.
        layer: Of the areas.
        period: What is counted.
        previous: What it is compared with.
        last_year: The same.
        rates: As the scheme defines them, in its order.
        ranked_by: Code of the rate by which areas are ranked.
        rows: By class, rank and key; months in order.
    """

    by: By
    layer: str | None
    period: Period
    previous: Period
    last_year: Period
    rates: tuple[Rate, ...]
    ranked_by: str | None
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Level:
    """How many cases went up to a step of the chain, and no further."""

    step: int
    cases: int
    share: float


@dataclass(frozen=True, slots=True)
class StepTime:
    """How long a party had cases on a step.

    Attributes:
        party: Code.
        name: Masked.
        step: Of the chain.
        cases: How many it had.
        climbed: How often one went on to a higher step.
        median_h: Elapsed hours; None where no stay has ended.
        p90_h: The 90th percentile of the same.
    """

    party: str
    name: str | None
    step: int
    cases: int
    climbed: int
    median_h: float | None
    p90_h: float | None


def month_of(text: str, zone: ZoneInfo) -> Period:
    """Read a month such as 2026-10, by the city's clock.

    Raises:
        IndicatorsRefused: it is none.
    """
    told = re.fullmatch(r"([0-9]{4})-(0[1-9]|1[0-2])", text)
    if told is None or int(told[1]) not in _YEARS:
        raise IndicatorsRefused("month", f"{text!r} is no month", remedy="Write it like 2026-10")
    start = datetime(int(told[1]), int(told[2]), 1, tzinfo=zone)
    return Period(start, _months_on(start, 1))


def period_of(
    month: str | None, starts_at: datetime | None, ends_at: datetime | None, *, zone: ZoneInfo
) -> Period:
    """Make a period of a month, or of its two ends.

    Raises:
        IndicatorsRefused: neither or both are given, or the month is none.
    """
    if month is not None and starts_at is None and ends_at is None:
        return month_of(month, zone)
    if month is None and starts_at is not None and ends_at is not None:
        return _sane(Period(starts_at, ends_at))
    raise IndicatorsRefused(
        "month", "give a month, or from and to", remedy="Name a month, such as 2026-10"
    )


def _sane(period: Period) -> Period:
    if period.starts_at >= period.ends_at:
        raise IndicatorsRefused("to", "it is not after from", remedy="Swap the two")
    if not {period.starts_at.year, period.ends_at.year} <= set(_YEARS):
        raise IndicatorsRefused(
            "from", "there are no cases so long before or after", remedy="Ask for this century"
        )
    return period


def indicators(
    session: Session,
    period: Period,
    *,
    by: By = By.TOTAL,
    layer: str | None = None,
    ranked_by: str | None = None,
) -> Indicators:
    """Count a period's cases and work out the scheme's rates.

    Args:
        session: Reads only.
        period: Whole months are compared with the months before; any other span with the span
            before it.
        by: What to count by.
        layer: Code of a layer; with `By.AREA`, and only then.
        ranked_by: Code of a rate; the scheme's first where left out.

    Raises:
        IndicatorsRefused: a part is missing, too much or unknown.
        UnknownLayer: no layer bears the code.
        NothingLoaded: the database has no scheme.
    """
    scheme = current_scheme(session)
    _require_layer(scheme, by, layer)
    rules = scheme.indicators
    codes = [rate.code for rate in rules.rates]
    if ranked_by is not None and ranked_by not in codes:
        raise IndicatorsRefused(
            "ranked_by",
            f"there is no rate {ranked_by!r}",
            remedy=f"Use one of {', '.join(codes)}" if codes else "Add it to the scheme",
        )
    ranked_by = ranked_by or next(iter(codes), None)
    zone = scheme.zone
    previous, last_year = _compared(period, zone)
    if by is By.MONTH:
        rows = _months(session, rules, period, zone)
    else:
        found = _counted(session, rules, [period, previous, last_year], by, layer)
        # What only an earlier period had would be a row of zeros; who is compared has a row anyway.
        keys = [""] if by is By.TOTAL else [key for n, key in found if n == 1]
        keys = list(dict.fromkeys((*keys, *rules.compared(layer)))) if layer else keys
        names = _names(session, scheme, by, layer, keys)
        rows = [
            Row(
                key=key,
                name=names.get(key),
                group=rules.class_of(layer, key) if layer else None,
                rank=None,
                now=_figures(rules, found.get((1, key))),
                previous=_figures(rules, found.get((2, key))),
                last_year=_figures(rules, found.get((3, key))),
            )
            for key in sorted(keys)
        ]
    return Indicators(
        by=by,
        layer=layer,
        period=period,
        previous=previous,
        last_year=last_year,
        rates=rules.rates,
        ranked_by=ranked_by,
        rows=tuple(_ranked(rows, ranked_by) if by is By.AREA else rows),
    )


def escalation_levels(session: Session, period: Period) -> list[Level]:
    """Count how far up the chain a period's cases went; step 0 was never dispatched."""
    rows = session.execute(
        sql("gridsvc.reports", "escalation_levels"),
        {"starts": period.starts_at, "ends": period.ends_at},
    ).all()
    total = sum(row.cases for row in rows)
    return [Level(row.step, row.cases, row.cases / total) for row in rows]


def step_times(session: Session, period: Period) -> list[StepTime]:
    """Time each step of the chain, by who had the case; of cases opened in a period."""
    rows = session.execute(
        sql("gridsvc.reports", "step_times"),
        {"starts": period.starts_at, "ends": period.ends_at},
    ).all()
    names = party_names(session, [row.party for row in rows])
    return [
        StepTime(
            row.party,
            names.get(row.party),
            row.step,
            row.cases,
            row.climbed,
            None if row.median_h is None else float(row.median_h),
            None if row.p90_h is None else float(row.p90_h),
        )
        for row in rows
    ]


def _require_layer(scheme: Scheme, by: By, layer: str | None) -> None:
    if (layer is not None) != (by is By.AREA):
        raise IndicatorsRefused(
            "layer",
            "it is missing" if layer is None else f"it has no meaning by {by.value}",
            remedy="Give a layer with by=area, and only there",
        )
    known = tuple(one.code for one in scheme.layers)
    if layer is not None and layer not in known:
        raise UnknownLayer(layer, known=known)


def _months(session: Session, rules: IndicatorRules, period: Period, zone: ZoneInfo) -> list[Row]:
    start = period.starts_at.astimezone(zone)
    first = start.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    months = []
    while first < period.ends_at:
        following = _months_on(first, 1)
        months.append(Period(max(first, start), min(following, period.ends_at.astimezone(zone))))
        first = following
        if len(months) > MAX_PERIODS:
            raise IndicatorsRefused(
                "from", f"there are more than {MAX_PERIODS} months", remedy="Ask for fewer"
            )
    asked = [one for month in months for one in (month, *_compared(month, zone))]
    found = _counted(session, rules, asked, By.TOTAL, None)
    return [
        Row(
            key=f"{month.starts_at:%Y-%m}",
            name=None,
            group=None,
            rank=None,
            now=_figures(rules, found.get((3 * n + 1, ""))),
            previous=_figures(rules, found.get((3 * n + 2, ""))),
            last_year=_figures(rules, found.get((3 * n + 3, ""))),
        )
        for n, month in enumerate(months)
    ]


def _compared(period: Period, zone: ZoneInfo) -> tuple[Period, Period]:
    return _before(period, zone), _year_before(period, zone)


def _counted(
    session: Session,
    rules: IndicatorRules,
    periods: Sequence[Period],
    by: By,
    layer: str | None,
) -> dict[tuple[int, str], dict[str, int]]:
    rows = session.execute(
        sql("gridsvc.reports", "indicator_counts"),
        {
            "starts": [one.starts_at for one in periods],
            "ends": [one.ends_at for one in periods],
            "by": by.value,
            "layer": layer,
            "deferred_out": rules.deferred == "out",
        },
    )
    return {(row.period, row.key): {name: getattr(row, name) for name in COUNTS} for row in rows}


def _figures(rules: IndicatorRules, counts: Mapping[str, int] | None) -> Figures:
    known = dict(counts) if counts else dict.fromkeys(COUNTS, 0)
    return Figures(known, {rate.code: rate_of(rate.formula, known) for rate in rules.rates})


def _ranked(rows: Iterable[Row], rate: str | None) -> list[Row]:
    """Rank areas within their classes, the highest rate first; equals share a rank."""
    ranked = []
    for row in rows:
        value = row.now.rates.get(rate) if rate else None
        rank = None
        if row.group is not None and value is not None:
            others = (one.now.rates.get(rate or "") for one in rows if one.group == row.group)
            rank = 1 + sum(other is not None and other > value for other in others)
        ranked.append(replace(row, rank=rank))
    last = chr(0x10FFFF)
    return sorted(ranked, key=lambda row: (row.group or last, row.rank or len(ranked) + 1, row.key))


def _names(
    session: Session, scheme: Scheme, by: By, layer: str | None, keys: list[str]
) -> dict[str, str | None]:
    match by:
        case By.PARTY:
            return {**party_names(session, keys)}
        case By.AREA:
            assert layer is not None  # noqa: S101  asked for before
            return {**area_names(session, layer, keys)}
        case By.LAYER:
            return {one.code: _title(one.title) for one in scheme.layers}
        case By.CATEGORY:
            return {one.code: one.name_zh or one.name_en for one in scheme.categories}
        case _:
            return {}


def _title(title: Mapping[str, str]) -> str:
    return title.get("zh") or next(iter(title.values()))


# Periods


def _before(period: Period, zone: ZoneInfo) -> Period:
    """Give the same number of months before whole months, else the span before."""
    months = _whole_months(period, zone)
    if months is None:
        return Period(period.starts_at - (period.ends_at - period.starts_at), period.starts_at)
    return Period(_months_on(period.starts_at.astimezone(zone), -months), period.starts_at)


def _year_before(period: Period, zone: ZoneInfo) -> Period:
    start, end = (at.astimezone(zone) for at in (period.starts_at, period.ends_at))
    if _whole_months(period, zone) is not None:
        return Period(_months_on(start, -12), _months_on(end, -12))
    return Period(*(at - timedelta(days=365) for at in (start, end)))


def _whole_months(period: Period, zone: ZoneInfo) -> int | None:
    start, end = (at.astimezone(zone) for at in (period.starts_at, period.ends_at))
    if any(
        at != at.replace(day=1, hour=0, minute=0, second=0, microsecond=0) for at in (start, end)
    ):
        return None
    return (end.year - start.year) * 12 + end.month - start.month


def _months_on(first: datetime, months: int) -> datetime:
    """Give the first of the month so many months on; its midnight by the local clock."""
    number = first.year * 12 + first.month - 1 + months
    return first.replace(year=number // 12, month=number % 12 + 1)
