"""Fifty clients at once: no report is lost, and no case is in two states."""

import httpx2 as httpx

from tests.db_fixtures import MakeDatabase
from tests.fifty_clients import found_city, judge, run_clients, serving

FOR_S = 10
"""A full minute is run by tests/bench/bench_fifty_clients.py."""


def test_fifty_clients_at_once_lose_nothing(make_database: MakeDatabase) -> None:
    url = make_database()
    found_city(url)
    with serving(url) as address:
        told = run_clients(address, for_s=FOR_S)
        with httpx.Client(base_url=address) as client:
            for report_id in told.filed:
                found = client.get(f"/v1/reports/{report_id}")
                assert found.status_code == 200
                assert found.json()["case"] is not None
    assert set(told.statuses) <= {200, 201, 409}
    # They did get into each other's way, and got work done all the same.
    assert told.statuses[409] > 0
    kinds = judge(url, told)
    for kind in ("joined", "dispatched", "handled", "verified", "closed"):
        assert kinds.get(kind, 0) > 0
