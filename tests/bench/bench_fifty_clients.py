"""What fifty clients at once cost for a minute: calls a second, and how long each kind takes."""

import statistics

import numpy as np

from tests.db_fixtures import MakeDatabase
from tests.fifty_clients import CLIENTS, PROCESSES, found_city, judge, run_clients, serving

FOR_S = 60


def test_fifty_clients_for_a_minute(make_database: MakeDatabase) -> None:
    url = make_database()
    found_city(url)
    with serving(url) as address:
        told = run_clients(address, for_s=FOR_S)
    kinds = judge(url, told)
    calls = told.statuses.total()
    print(
        f"\n{CLIENTS} clients, {PROCESSES} server processes, {FOR_S} s: {calls:,} calls"
        f" ({calls / FOR_S:.0f} a second), {len(told.filed):,} reports filed,"
        f" {told.statuses[409]:,} answers 409"
    )
    for what, took_ms in sorted(told.took_ms.items()):
        print(
            f"  {what}: {len(took_ms):,} calls, median {statistics.median(took_ms):.0f} ms,"
            f" p95 {np.percentile(took_ms, 95):.0f} ms, max {max(took_ms):.0f} ms"
        )
    print("  events: " + ", ".join(f"{kind} {n:,}" for kind, n in sorted(kinds.items())))
