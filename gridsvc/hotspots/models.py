"""The tables: what was found where cases gather, each run with the revision that it rests on.

All of it is derived and can be thrown away. Nothing here names a person: who is responsible at a
hotspot is asked anew when it is read.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Text,
    UniqueConstraint,
    func,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from gridsvc.db import Base

Instant = DateTime(timezone=True)


class HotspotRun(Base):
    """One question about where cases gather, answered on one revision."""

    __tablename__ = "hotspot_run"
    __table_args__ = (
        UniqueConstraint("question", "revision"),
        CheckConstraint("from_at < to_at", name="window"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    question: Mapped[str] = mapped_column(
        Text, comment="SHA-256 of layer, window, category, value and parameters"
    )
    revision: Mapped[int] = mapped_column(ForeignKey("revision.number"))
    layer: Mapped[str] = mapped_column(
        Text, comment="code of a layer, or square or hexagon: cells of cell_m"
    )
    cell_m: Mapped[float | None] = mapped_column(Double, comment="null of a layer")
    per: Mapped[str | None] = mapped_column(
        Text, comment="what the tested value is divided by; null: cases themselves"
    )
    from_at: Mapped[datetime] = mapped_column(Instant, comment="cases opened at or after then")
    to_at: Mapped[datetime] = mapped_column(Instant, comment="and before then")
    category: Mapped[str | None] = mapped_column(
        Text, comment="a class or the beginning of its code; null is all"
    )
    method: Mapped[str] = mapped_column(Text, comment="by which it was judged")
    parameters: Mapped[dict[str, Any]] = mapped_column(JSONB)
    seed: Mapped[int | None] = mapped_column(
        BigInteger, comment="null: the method draws no random numbers"
    )
    cases: Mapped[int] = mapped_column(comment="in the window, on ground that was tested")
    newest_case: Mapped[int | None] = mapped_column(
        BigInteger, comment="of all cases when it was made; with newest_change tells if it is stale"
    )
    newest_change: Mapped[datetime | None] = mapped_column(
        Instant, comment="when a case last changed its state by then"
    )
    made_at: Mapped[datetime] = mapped_column(Instant, server_default=func.now())


class HotspotArea(Base):
    """What was found for one area or cell."""

    __tablename__ = "hotspot_area"

    run_id: Mapped[int] = mapped_column(
        ForeignKey("hotspot_run.id", ondelete="CASCADE"), primary_key=True
    )
    code: Mapped[str] = mapped_column(Text, primary_key=True)
    cases: Mapped[int]
    rate: Mapped[float | None] = mapped_column(
        Double, comment="cases by the run's `per`, by km² where it has none; null without a base"
    )
    rate_low: Mapped[float | None] = mapped_column(
        Double, comment="of 95 %, as a Poisson count has"
    )
    rate_high: Mapped[float | None] = mapped_column(Double)
    value: Mapped[float | None] = mapped_column(Double, comment="as tested; null: no such figure")
    neighbours: Mapped[int]
    z: Mapped[float | None] = mapped_column(Double, comment="Gi*; null where it was not tested")
    p: Mapped[float | None] = mapped_column(Double, comment="two-sided")
    q: Mapped[float | None] = mapped_column(Double, comment="p after Benjamini and Hochberg")
    kind: Mapped[str] = mapped_column(Text, comment="hot_99 … cold_99, none, untested")
    pattern: Mapped[str | None] = mapped_column(
        Text, comment="new, intensifying …; null where there are too few steps of time"
    )
    trend_z: Mapped[float | None] = mapped_column(
        Double, comment="Mann-Kendall, of cases over time"
    )
    trend_p: Mapped[float | None] = mapped_column(Double)


class HotspotPlace(Base):
    """A hotspot: hot areas that touch each other."""

    __tablename__ = "hotspot_place"

    run_id: Mapped[int] = mapped_column(
        ForeignKey("hotspot_run.id", ondelete="CASCADE"), primary_key=True
    )
    rank: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    previous_rank: Mapped[int | None] = mapped_column(
        comment="a month before; null where it was none"
    )
    codes: Mapped[list[str]] = mapped_column(ARRAY(Text), comment="of its areas")
    lon: Mapped[float] = mapped_column(Double, comment="in its strongest area; EPSG:4326, degrees")
    lat: Mapped[float] = mapped_column(Double)
    cases: Mapped[int]
    expected: Mapped[float] = mapped_column(Double, comment="cases, if they were spread evenly")
    z: Mapped[float] = mapped_column(Double, comment="of its strongest area")
    q: Mapped[float] = mapped_column(Double, comment="likewise")
    hours: Mapped[list[int]] = mapped_column(
        ARRAY(BigInteger), comment="cases by hour of the week, 168 from Monday 0:00, local"
    )
    peaks: Mapped[list[dict[str, Any]]] = mapped_column(
        JSONB, comment="spans of the week with more than the city's own rhythm explains"
    )


class HotspotSurface(Base):
    """The density of cases as a surface: rows from the south, each from the west."""

    __tablename__ = "hotspot_surface"

    run_id: Mapped[int] = mapped_column(
        ForeignKey("hotspot_run.id", ondelete="CASCADE"), primary_key=True
    )
    west_m: Mapped[float] = mapped_column(Double, comment="of the first cell; storage CRS")
    south_m: Mapped[float] = mapped_column(Double)
    cell_m: Mapped[float] = mapped_column(Double)
    columns: Mapped[int]
    bandwidth_m: Mapped[float] = mapped_column(Double)
    per_km2: Mapped[list[float]] = mapped_column(
        ARRAY(Double), comment="cases per km², at the middle of each cell"
    )
