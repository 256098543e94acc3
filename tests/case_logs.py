"""Holds the tables of cases to what they promise of each other, whoever wrote them."""

from itertools import groupby

from sqlalchemy import text
from sqlalchemy.orm import Session

from gridsvc.reports.case_log import Event, Standing, replay
from gridsvc.reports.terms import CaseState, EventKind

_KEYS = (
    ("report_answer", "report_id", "report", "id"),
    ("report_answer", "revision", "revision", "number"),
    ("case_event", "case_id", "case", "id"),
    ("case_report", "case_id", "case", "id"),
    ("case_report", "report_id", "report", "id"),
)


def require_whole(session: Session) -> None:
    """Require that each row follows from its log, and that reports and cases fit together."""
    _require_keys(session)
    _require_rows_to_follow_from_logs(session)
    _require_reports_in_cases(session)


def _require_keys(session: Session) -> None:
    for table, column, other, key in _KEYS:
        dangling = session.scalar(
            text(
                f'SELECT count(*) FROM gridsvc."{table}" AS a WHERE a.{column} IS NOT NULL AND'
                f' NOT EXISTS (SELECT FROM gridsvc."{other}" AS b WHERE b.{key} = a.{column})'
            )
        )
        assert dangling == 0, (table, column)


def _require_rows_to_follow_from_logs(session: Session) -> None:
    rows = session.execute(
        text("SELECT c.*, ST_X(c.point) AS x, ST_Y(c.point) AS y FROM gridsvc.case AS c")
    ).mappings()
    standing = {
        row["id"]: Standing(
            point=None if row["x"] is None else (row["x"], row["y"]),
            state=CaseState(row["state"]),
            **{
                name: row[name]
                for name in Standing.__dataclass_fields__
                if name not in {"point", "state"}
            },
        )
        for row in rows
    }
    events = session.execute(
        text("SELECT * FROM gridsvc.case_event ORDER BY case_id, number")
    ).mappings()
    logged = 0
    for case_id, of_case in groupby(events, key=lambda event: event["case_id"]):
        log = [
            Event(
                kind=EventKind(event["kind"]),
                state=CaseState(event["state"]),
                **{
                    name: event[name]
                    for name in Event.__dataclass_fields__
                    if name not in {"kind", "state"}
                },
            )
            for event in of_case
        ]
        assert [event.number for event in log] == list(range(1, len(log) + 1))
        assert replay(log) == standing[case_id], case_id
        logged += 1
    assert logged == len(standing)


def _require_reports_in_cases(session: Session) -> None:
    """Require that each answered report is in a case, and each case is of its first report."""
    counts = session.execute(
        text("""
            SELECT (SELECT count(*) FROM gridsvc.report_answer AS a
                    WHERE a.number = 1 AND a.mark = 'routed') AS routed,
                   (SELECT count(*) FROM gridsvc.case_report) AS held,
                   (SELECT count(*) FROM gridsvc.report_answer AS a
                    JOIN gridsvc.case_report AS m USING (report_id)
                    WHERE a.number = 1 AND a.mark <> 'routed') AS marked_and_held,
                   (SELECT sum(report_count) FROM gridsvc.case) AS counted,
                   (SELECT count(*) FROM gridsvc.case AS c WHERE (
                       SELECT count(*) FILTER (WHERE m.is_first) FROM gridsvc.case_report AS m
                       WHERE m.case_id = c.id) <> CAST(c.report_count > 0 AS integer)) AS headless,
                   (SELECT count(*) FROM gridsvc.case AS c
                    JOIN gridsvc.case_report AS m ON m.case_id = c.id AND m.is_first
                    JOIN gridsvc.report AS r ON r.id = m.report_id
                    WHERE (r.category, r.received_at) IS DISTINCT FROM (c.category, c.opened_at)
                       OR NOT ST_Equals(r.point, c.point)) AS of_another
        """)
    ).one()
    assert counts.routed == counts.held == (counts.counted or 0)
    assert (counts.marked_and_held, counts.headless, counts.of_another) == (0, 0, 0)
