"""How many points a second each contestant answers, all of them in turn, round by round."""

import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from gridsvc.crs import Floats, from_wgs84
from gridsvc.routing.index import AreaIndex
from tests.bench import made_up_city
from tools.bench import contestants
from tools.bench.contestants import Contestant, Prepared
from tools.bench.ground import Ground

CHUNK = 1_000_000
OURS = 3
"""The first contestants are the service's own."""


def all_layers(
    ground: Ground, points: int, rounds: int, say: Callable[[str], None]
) -> dict[str, Any]:
    """Compare everybody on one city.

    Args:
        ground: The city.
        points: How many each gets, the same ones for all.
        rounds: In each everybody has a turn; medians count.
        say: Told how far it is.

    Returns:
        What the page shows: points a second, versions, ratios, differences of answers.
    """
    lon, lat = ground.points(points)
    begun = time.perf_counter()
    index = AreaIndex.build(ground.ids, ground.boundaries)
    built_s = time.perf_counter() - begun
    prepared = Prepared.of(ground, index)
    field: list[Contestant] = [
        contestants.ours(prepared),
        contestants.ours_without_compiler(prepared),
        contestants.locate_file_of_ours(ground),
    ]
    missing: dict[str, str] = {}
    for name, enter in contestants.PEERS.items():
        try:
            field.append(enter(ground))
        except Exception as error:  # noqa: BLE001  whatever keeps a peer away is told
            missing[name] = f"{type(error).__name__}: {error}".splitlines()[0]
    warm = slice(0, 2_000)
    for one in field:
        one.ask(lon[warm], lat[warm])
    # By processor time, which other work on the machine hardly touches; and by the clock.
    rates: dict[str, list[float]] = {one.name: [] for one in field}
    clock: dict[str, list[float]] = {one.name: [] for one in field}
    differences: dict[str, int] = {}
    truth = None
    for number in range(rounds):
        for one in field:
            begun, spent = time.perf_counter(), one.cpu_s()
            work = one.ask(lon, lat)
            clock[one.name].append(points / (time.perf_counter() - begun))
            rates[one.name].append(points / max(one.cpu_s() - spent, 1e-9))
            work = one.read(work)
            truth = truth or work
            differs = (work.owners != truth.owners).sum(axis=0)
            if one.judges_more:
                differs = differs[(work.owners >= 0).any(axis=0)]
            else:
                differs += (work.parties != truth.parties).sum(axis=0)
            differences[one.name] = int(differs.sum())
            say(f"{ground.name}: round {number + 1}, {one.name}: {rates[one.name][-1]:,.0f}/s")
    for one in field:
        one.close()
    peers = [one.name for one in field[OURS:]]
    fastest = max(peers, key=lambda name: statistics.median(rates[name]), default=None)
    return {
        "city": ground.name,
        "areas": len(ground.ids),
        "layers": len(ground.tables),
        "points": points,
        "rounds": rounds,
        "combinations": index.combinations,
        "built_s": built_s,
        "missing": missing,
        "fastest_peer": fastest,
        "contestants": [
            {
                "name": one.name,
                "version": one.version,
                "points_s": statistics.median(rates[one.name]),
                "clock_points_s": statistics.median(clock[one.name]),
                "all_points_s": rates[one.name],
                # Of each round, so that a busy moment of the machine weighs on both sides.
                "ratio": statistics.median(
                    a / b for a, b in zip(rates[one.name], rates[fastest], strict=True)
                )
                if fastest
                else None,
                "differences": differences[one.name],
            }
            for one in field
        ],
        "steps": _steps(prepared, lon, lat),
    }


def _steps(prepared: Prepared, lon: Floats, lat: Floats) -> dict[str, float]:
    """Give points a second of each step of ours alone, processor time, best of three."""
    x, y = from_wgs84(lon, lat, crs=prepared.ground.crs)
    found = prepared.index.find(x, y).combination
    found = found[found < prepared.index.combinations]

    def take() -> None:
        prepared.owners.take(found, axis=0)
        prepared.parties.take(found, axis=0)

    calls: dict[str, Callable[[], object]] = {
        "lon and lat to metres (PROJ)": lambda: from_wgs84(lon, lat, crs=prepared.ground.crs),
        "find the combination": lambda: prepared.index.find(x, y),
        "owners and parties of it": take,
    }
    return {name: len(lon) / min(_cpu_s(call) for _ in range(3)) for name, call in calls.items()}


def _cpu_s(call: Callable[[], object]) -> float:
    begun = time.process_time()
    call()
    return max(time.process_time() - begun, 1e-9)


def workers(ground: Ground, points: int, *, rounds: int) -> dict[str, Any]:
    """Compare one thread with two on one index; they share it, and the look-ups run side by side.

    Returns:
        Points a second of each, and the median ratio of the rounds.
    """
    prepared = Prepared.of(ground, AreaIndex.build(ground.ids, ground.boundaries))
    lon, lat = ground.points(points)
    cuts = list(pairwise(np.linspace(0, points, 17).astype(int)))
    rates: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(rounds):
        for count, of in rates.items():
            with ThreadPoolExecutor(count) as pool:
                begun = time.perf_counter()
                list(pool.map(lambda cut: prepared.ask(lon[slice(*cut)], lat[slice(*cut)]), cuts))
                of.append(points / (time.perf_counter() - begun))
    return {
        "one": statistics.median(rates[1]),
        "two": statistics.median(rates[2]),
        "ratio": statistics.median(b / a for a, b in zip(rates[1], rates[2], strict=True)),
    }


def growth_with_areas(
    sizes: Sequence[int], points: int, say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Build made-up cities of growing size, and look up as many points in each.

    Returns:
        A row a size: areas, points a second (processor time), seconds to build, to open and bytes
        of the index.
    """
    rows = []
    for size in sizes:
        city = made_up_city.make(size)
        boundaries = np.concatenate([table.geometry.to_numpy() for table in city.layers.values()])
        begun = time.process_time()
        index = AreaIndex.build(np.arange(len(boundaries)), boundaries)
        built_s = time.process_time() - begun
        with tempfile.TemporaryDirectory() as folder:
            index.save(Path(folder))
            used = sum(path.stat().st_blocks * 512 for path in Path(folder).iterdir())
            begun = time.perf_counter()
            opened = AreaIndex.load(Path(folder))
            opened_s = time.perf_counter() - begun
            x, y = city.stored_points(points)
            opened.find(x[:1000], y[:1000])
            best = min(_cpu_s(partial(opened.find, x, y)) for _ in range(3))
        rows.append(
            {
                "areas": len(boundaries),
                "points_s": points / best,
                "built_s": built_s,
                "opened_s": opened_s,
                "bytes": used,
                "combinations": index.combinations,
                "cell_m": index.grid.cell_m,
            }
        )
        say(f"{len(boundaries):,} areas: {points / best:,.0f}/s, built in {built_s:.1f} s")
    return rows


def growth_with_points(
    ground: Ground, sizes: Sequence[int], say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Look up ever more points in batches.

    Returns:
        A row a size: points, points a second of processor time, and the process's greatest memory
        so far, bytes.
    """
    prepared = Prepared.of(ground, AreaIndex.build(ground.ids, ground.boundaries))
    batches = [ground.points(CHUNK, seed=seed) for seed in range(1, 5)]
    prepared.ask(batches[0][0][:1000], batches[0][1][:1000])
    rows = []
    for size in sizes:
        left, number, begun = size, 0, time.process_time()
        while left > 0:
            lon, lat = batches[number % len(batches)]
            prepared.ask(lon[:left], lat[:left])
            left, number = left - CHUNK, number + 1
        rate = size / max(time.process_time() - begun, 1e-9)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        rows.append({"points": size, "points_s": rate, "peak_bytes": peak})
        say(f"{size:,} points: {rate:,.0f}/s")
    return rows
