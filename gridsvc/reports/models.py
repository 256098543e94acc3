"""The tables: reports as received, and the answers they were given; rows are only added.

A report holds no name and no phone. Who sent it is a hash of the sender's own token.
"""

import uuid
from datetime import datetime
from typing import Any

from geoalchemy2 import Geometry, WKBElement
from sqlalchemy import (
    CheckConstraint,
    DateTime,
    Double,
    ForeignKey,
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
from gridsvc.reports.terms import Cause, Channel, Mark

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
