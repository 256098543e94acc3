"""`python -m tools.bench [--quick]` compares the service's look-ups with what else one could take.

A full run writes `bench/full.json`, pictures and the section of docs/benchmarks.md; a quick one
prints, and writes `bench/quick.json`.
"""

import argparse
import json
import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import sql as names
from rich.console import Console
from sqlalchemy import make_url

from tests.bench.made_up_city import FULL_AREAS
from tools.bench import changes, http, page, throughput
from tools.bench.apart import alone
from tools.bench.cities import CITIES, ROOT, available, city_url, cluster
from tools.bench.ground import Ground

BENCH = ROOT / "bench"


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    cities: tuple[str, ...]
    made_up: int
    points: int
    rounds: int
    areas: tuple[int, ...]
    up_to_points: tuple[int, ...]
    publishes: int
    http_s: float
    http_rounds: int


FULL = Plan(
    CITIES,
    FULL_AREAS,
    300_000,
    3,
    (1_000, 10_000, 100_000, FULL_AREAS, 1_000_000),
    (10_000, 100_000, 1_000_000, 10_000_000, 100_000_000),
    200,
    5.0,
    3,
)
QUICK = Plan(
    ("demo", "made-up"),
    20_000,
    100_000,
    2,
    (1_000, 10_000, 30_000),
    (10_000, 100_000, 1_000_000),
    10,
    2.0,
    1,
)


def run(plan: Plan, console: Console) -> dict[str, Any]:
    """Measure.

    Returns:
        What `tools.bench.page` shows.
    """
    begun = time.perf_counter()

    def say(words: str) -> None:
        console.print(f"[dim]{time.perf_counter() - begun:5.0f} s[/]  {words}")

    found: dict[str, Any] = {
        "day": datetime.now(tz=UTC).date().isoformat(),
        "machine": page.machine(),
        "cities": [],
    }
    with cluster() as server:
        grounds = []
        for city in plan.cities:
            if available(city):
                say(f"{city}: loading what is not there yet")
                url = city_url(server, city, areas=plan.made_up)
                grounds.append(Ground.read(city, url))
            else:
                say(f"{city}: left out, its data is not beside the checkout")
        for ground in grounds:
            found["cities"].append(
                alone(throughput.all_layers, ground, plan.points, plan.rounds, say=say)
            )
        largest = grounds[-1]
        found["workers"] = throughput.workers(largest, 4 * plan.points, rounds=plan.rounds)
        found["growth_areas"] = alone(throughput.growth_with_areas, plan.areas, 1_000_000, say=say)
        found["growth_points"] = alone(
            throughput.growth_with_points, largest, plan.up_to_points, say=say
        )
        copy = _copied(server, largest.url)
        found["changes"] = changes.publishes(Ground.read(largest.name, copy), plan.publishes, say)
        found["http"] = http.single_answers(largest, plan.http_s, plan.http_rounds, say)
        _drop(server, copy)
    found["took_s"] = round(time.perf_counter() - begun)
    return found


def _copied(server: str, url: str) -> str:
    """Copy a database, for what changes it."""
    database = make_url(url).database or ""
    copy = f"{database}_copy"
    _drop(server, make_url(url).set(database=copy).render_as_string(hide_password=False))
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(
            names.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                names.Identifier(copy), names.Identifier(database)
            )
        )
    return make_url(url).set(database=copy).render_as_string(hide_password=False)


def _drop(server: str, url: str) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(
            names.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(
                names.Identifier(make_url(url).database or "")
            )
        )


def main() -> None:
    """Run as a program."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="less than three minutes; prints only")
    quick = parser.parse_args().quick
    console = Console(width=None if os.isatty(1) else 110)
    found = run(QUICK if quick else FULL, console)
    page.show(found, console)
    BENCH.mkdir(exist_ok=True)
    file = BENCH / ("quick.json" if quick else "full.json")
    file.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    if not quick:
        page.write(found)
    console.print(f"{found['took_s']} s; written: {file.relative_to(ROOT)}", highlight=False)


if __name__ == "__main__":
    main()
