"""A city's year, in small: every report is in a case, and every case lived as its log says."""

import contextlib
import io
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from gridsvc.db import create_engine
from gridsvc.grids.schemes import read_scheme
from gridsvc.reports.indicators import Row
from tests.case_logs import require_whole
from tests.db_fixtures import MakeDatabase
from tools.city_year.__main__ import live, months
from tools.city_year.founding import SCHEME
from tools.city_year.meter import Meter

REPORTS = 4_000
_LIVED = """
SELECT r.source_id, e.number, e.kind, e.at, e.party, e.to_party, e.reason, e.state,
       c.state AS now, c.due_at, c.step_due_at, o.source_id AS joined
FROM gridsvc.case AS c
JOIN gridsvc.case_report AS f ON f.case_id = c.id AND f.is_first
JOIN gridsvc.report AS r ON r.id = f.report_id
JOIN gridsvc.case_event AS e ON e.case_id = c.id
LEFT JOIN gridsvc.report AS o ON o.id = CAST(e.details ->> 'report' AS uuid)
ORDER BY r.source_id, e.number
"""


def lived(url: str, folder: Path) -> tuple[tuple[Row, ...], list[dict[str, Any]], list[str]]:
    """Live through a small year; give the months, all events and the phases."""
    engine, scheme = create_engine(url), read_scheme(SCHEME)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), Meter(engine) as meter:
        told = live(engine, scheme, folder / "year.parquet", count=REPORTS, seed=7, meter=meter)
    with Session(engine) as session:
        require_whole(session)
        events = [dict(row) for row in session.execute(text(_LIVED)).mappings()]
        table = months(session, scheme).rows
    engine.dispose()
    assert told.rows == REPORTS == sum(told.stored.values())
    assert told.opened + told.joined == told.stored["routed"]
    assert told.joined > 100
    return table, events, printed.getvalue().splitlines()


def test_a_year_in_small(make_database: MakeDatabase, tmp_path: Path) -> None:
    table, events, phases = lived(make_database(), tmp_path)
    assert [line[:26].strip() for line in phases] == [
        *("reports made", "city founded", "loaded and routed", "joined and lived through")
    ]
    logs: dict[str, list[dict[str, Any]]] = {}
    for event in events:
        logs.setdefault(event["source_id"], []).append(event)
    kinds = dict.fromkeys(("returned", "failed_verification", "suspended", "resumed"), 0)
    for log in logs.values():
        told = [event["kind"] for event in log if event["kind"] != "joined"]
        assert told[0] == "filed"
        assert (log[-1]["now"] == "closed") == ("closed" in told)
        if "closed" in told:
            assert told[-3:] == ["handled", "verified", "closed"]
        assert [event["at"] for event in log] == sorted(event["at"] for event in log)
        assert all(event["to_party"] for event in log if event["kind"] == "dispatched")
        for kind in kinds:
            kinds[kind] += kind in told
    assert all(kinds.values()), kinds
    assert kinds["suspended"] >= kinds["resumed"]
    assert [row.key for row in table][:2] == ["2025-11", "2025-12"]
    assert len(table) == 12
    assert sum(row.now.counts["filed"] for row in table) == len(logs)
    for row in table:
        counts = row.now.counts
        assert counts["should_close"] >= counts["closed"] >= counts["on_time"] > 0, row.key
    # The same seed gives the same year.
    assert lived(make_database(), tmp_path)[:2] == (table, events)
