"""Fifty clients at once file, dispatch, handle, verify and close over a real server on loopback.

Clients come in pairs, and both of a pair act on all cases of the pair, so that they get into each
other's way; some report what joins another's case. The server runs in two processes.
"""

import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2 as httpx
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from gridsvc.db import create_engine
from gridsvc.grids.scheme_store import load_scheme
from gridsvc.reports.case_log import OPEN, replay
from gridsvc.reports.case_records import read_log, standing_of
from gridsvc.reports.models import Case, CaseEvent, CaseReport, Report
from tests import small_city
from tests.factories import make_scheme
from tests.serving import serve_apart

CLIENTS = 50
PROCESSES = 2
JOINING = """
[[duplicates]]
category = "0102"
within_m = 5
window_hours = 72
join = "automatic"
"""
NEXT = {
    "filed": ("dispatched",) * 8 + ("suspended", "declared_hard"),
    "returned": ("dispatched",),
    "dispatched": ("handled",) * 8 + ("no_effect", "returned"),
    "handled": ("verified",) * 6 + ("failed_verification",),
    "verified": ("closed",),
    "suspended": ("resumed",),
}


@dataclass
class Told:
    """What the clients were told.

    Attributes:
        filed: The reports that were confirmed by 201.
        states: What cases were said to be, by number and number of the event.
        statuses: How many calls ended how.
        took_ms: What each call took, by what it did.
    """

    filed: list[str] = field(default_factory=list)
    states: dict[tuple[int, int], set[str]] = field(default_factory=dict)
    statuses: Counter[int] = field(default_factory=Counter)
    took_ms: dict[str, list[float]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)


def found_city(url: str) -> None:
    """Found the small city, where reports of one class join by themselves."""
    engine = create_engine(url)
    with Session(engine) as session, session.begin():
        small_city.found(session)
        load_scheme(session, make_scheme(extra=JOINING))
    engine.dispose()


@contextmanager
def serving(url: str) -> Iterator[str]:
    """Serve the app over a database in `PROCESSES` processes; gives its address."""
    with serve_apart(url, processes=PROCESSES) as served:
        yield served.address


def run_clients(address: str, *, for_s: float) -> Told:
    """Let all clients work for some seconds."""
    told = Told()
    shared: list[list[int]] = [[] for _ in range(CLIENTS // 2)]
    begin = threading.Barrier(CLIENTS)

    def work(n: int) -> None:
        with httpx.Client(base_url=address, timeout=60) as http:
            client = Client(n, http, told, shared[n // 2])
            begin.wait()
            end = time.monotonic() + for_s
            while time.monotonic() < end:
                client.turn()

    with ThreadPoolExecutor(CLIENTS) as pool:
        for done in [pool.submit(work, n) for n in range(CLIENTS)]:
            done.result()
    return told


class Client:
    """One client with its own dice."""

    def __init__(self, n: int, http: httpx.Client, told: Told, cases: list[int]) -> None:
        self._dice = random.Random(n)
        self._http = http
        self._told = told
        self._cases = cases
        self._is_first = True

    def turn(self) -> None:
        """File a report and take a case of the pair as far as it goes."""
        self._file()
        cases = self._cases[-4:]
        if len(cases) > 1 and self._dice.random() < 0.1:
            one, other = self._dice.sample(cases, 2)
            if one != other:
                self._call("merge", f"/v1/cases/{one}/merge", {"into": other})
        self._take_on(self._dice.choice(cases))

    def _file(self) -> None:
        dice = self._dice
        place = small_city.place(east_m=dice.uniform(110, 290), north_m=dice.uniform(110, 290))
        category = dice.choice(("0102", "0201"))
        if self._is_first:
            # All begin with one and the same matter, so that some join on any machine.
            place, category = small_city.YARD, "0102"
            self._is_first = False
        body = place | {"channel": "patrol", "category": category}
        key = {"Idempotency-Key": str(uuid.uuid4())}
        for _ in range(2 if dice.random() < 0.1 else 1):  # some repeat themselves
            answer = self._call("file", "/v1/reports", body, headers=key)
        self._cases.append(answer.json()["case"]["id"])

    def _take_on(self, case_id: int) -> None:
        now = self._told_of(self._call("read", f"/v1/cases/{case_id}"))
        for _ in range(8):
            if now["state"] not in NEXT:
                return
            kind = self._dice.choice(NEXT[now["state"]])
            body: dict[str, Any] = {"kind": kind, "reason": "as the dice fell"}
            if self._dice.random() < 0.7:
                body["seen"] = now["last_event"]
            now = self._told_of(self._call(kind, f"/v1/cases/{case_id}/events", body))

    def _told_of(self, answer: httpx.Response) -> dict[str, Any]:
        body: dict[str, Any] = answer.json()
        now: dict[str, Any] = body["case"] if answer.status_code == 409 else body
        with self._told.lock:
            self._told.states.setdefault((now["id"], now["last_event"]), set()).add(now["state"])
        return now

    def _call(
        self,
        what: str,
        path: str,
        body: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        began = time.perf_counter()
        method = "GET" if body is None else "POST"
        answer = self._http.request(method, path, json=body, headers=headers)
        took_ms = (time.perf_counter() - began) * 1000
        with self._told.lock:
            self._told.statuses[answer.status_code] += 1
            self._told.took_ms.setdefault(what, []).append(took_ms)
            if answer.status_code == 201:
                self._told.filed.append(answer.json()["id"])
        assert answer.status_code in {200, 201, 409}, answer.text
        return answer


def judge(url: str, told: Told) -> dict[str, int]:
    """Compare what the clients were told with what is stored; gives the number of each event."""
    engine = create_engine(url)
    with Session(engine) as session:
        # No lost report: those confirmed are there, and no others.
        assert len(told.filed) == len(set(told.filed))
        stored = set(session.scalars(select(Report.id)))
        assert stored == set(map(uuid.UUID, told.filed))
        belongs = Counter(session.scalars(select(CaseReport.case_id)))
        assert belongs.total() == len(stored)
        first = Counter(session.scalars(select(CaseReport.case_id).where(CaseReport.is_first)))
        for row in session.scalars(select(Case)):
            log = read_log(session, row.id)
            # No case in two states: its row is what its log gives, and nobody was told otherwise.
            assert standing_of(row) == replay(log)
            assert [event.number for event in log] == list(range(1, len(log) + 1))
            for event in log:
                said = told.states.get((row.id, event.number), set())
                assert said <= {event.state.value}
            assert row.report_count == belongs[row.id]
            assert first[row.id] == (row.report_count > 0)
            assert row.report_count > 0 or row.state not in OPEN
        kinds = dict(
            session.execute(select(CaseEvent.kind, func.count()).group_by(CaseEvent.kind)).all()
        )
    engine.dispose()
    return kinds
