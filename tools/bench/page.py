"""What a run found: a table on the terminal, pictures, and a section of docs/benchmarks.md."""

import os
import platform
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
from jinja2 import Environment, StrictUndefined
from rich.console import Console
from rich.table import Table

from tools.bench.cities import ROOT

PAGE = ROOT / "docs" / "benchmarks.md"
IMAGES = ROOT / "docs" / "images"
BEGIN = "<!-- written by make bench: begin -->"
END = "<!-- written by make bench: end -->"

OURS = "gridsvc"
LOOKS = {
    "gridsvc": "#1b6ca8",
    "gridsvc, no compiler": "#7fb2d9",
    "gridsvc, all of a file": "#134a75",
    "GeoPandas": "#8a8a8a",
    "DuckDB spatial": "#b0b0b0",
    "SedonaDB": "#6a6a6a",
    "PostGIS": "#4a4a4a",
}


def machine() -> dict[str, Any]:
    """Tell what it ran on."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    load = os.getloadavg()[0]
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "load": round(load, 1),
    }


def show(run: dict[str, Any], console: Console) -> None:
    """Print the table of ratios."""
    for city in run["cities"]:
        table = Table(
            title=f"{city['city']}: {city['areas']:,} areas in {city['layers']} layers, "
            f"{city['points']:,} points, one core, median of {city['rounds']}"
        )
        table.add_column("")
        table.add_column("version")
        for column in ("points/s", "by the clock", "× fastest peer", "differences"):
            table.add_column(column, justify="right")
        for one in city["contestants"]:
            table.add_row(*_row(one))
        console.print(table)
        for name, why in city["missing"].items():
            console.print(f"[yellow]{name} took no part:[/] {why}")
    if http := run.get("http"):
        table = Table(title=f"HTTP: {http['bytes']:,} bytes, {http['connections']} connections")
        for column in ("", "answers/s", "p50 ms", "p99 ms"):
            table.add_column(column, justify="right" if column else "left")
        for one in http["servers"]:
            table.add_row(
                one["name"],
                f"{one['answers_s']:,.0f}",
                f"{one['p50_ms']:.2f}",
                f"{one['p99_ms']:.2f}",
            )
        console.print(table)
        console.print(
            f"{http['share_of_bare']:.0%} of the bare reply; "
            f"{http['times_sql']:.1f} × FastAPI with pooled SQL"
        )
    if workers := run.get("workers"):
        console.print(f"Two threads: {workers['ratio']:.2f} × one ({workers['one']:,.0f}/s)")
    if (changes := run.get("changes")) and changes["publishes"]:
        console.print(
            f"{changes['publishes']} publishes taken up: median {changes['p50_ms']:.1f} ms, "
            f"p99 {changes['p99_ms']:.1f} ms, worst {changes['worst_ms']:.1f} ms"
        )


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    ratio = "" if one["ratio"] is None else f"{one['ratio']:.1f}"
    return (
        one["name"],
        one["version"],
        f"{one['points_s']:,.0f}",
        f"{one['clock_points_s']:,.0f}",
        ratio,
        f"{one['differences']:,}",
    )


def write(run: dict[str, Any]) -> None:
    """Write pictures and the section."""
    _draw(run)
    page = PAGE.read_text(encoding="utf-8")
    written = f"{BEGIN}\n{section(run)}\n{END}"
    if BEGIN in page:
        before, _, rest = page.partition(BEGIN)
        page = before + written + rest.partition(END)[2]
    else:
        # The first section of the page, before the others.
        head, mark, rest = page.partition("\n## ")
        page = f"{head}\n{written}\n{mark}{rest}"
    PAGE.write_text(page, encoding="utf-8")


def section(run: dict[str, Any]) -> str:
    """Write a run as the page's section."""
    text = (Path(__file__).parent / "section.md").read_text(encoding="utf-8")
    jinja = Environment(undefined=StrictUndefined, autoescape=False)  # noqa: S701  no HTML
    return jinja.from_string(text).render(run)


def _draw(run: dict[str, Any]) -> None:
    mpl.use("Agg")
    plt.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
    cities = run["cities"]
    figure, axes = plt.subplots(1, len(cities), figsize=(2.6 * len(cities), 2.8), sharex=True)
    for axis, city in zip(axes if len(cities) > 1 else [axes], cities, strict=True):
        names = [one["name"] for one in city["contestants"]][::-1]
        rates = [one["points_s"] for one in city["contestants"]][::-1]
        axis.barh(names, rates, color=[LOOKS.get(name, "#999999") for name in names])
        axis.set(xscale="log", title=f"{city['city']}\n{city['areas']:,} areas", xlabel="points/s")
        if city is not cities[0]:
            axis.set_yticklabels([])
    _save(figure, "throughput")
    figure, (areas, built, points) = plt.subplots(1, 3, figsize=(9.5, 2.8))
    rows = run["growth_areas"]
    sizes = [row["areas"] for row in rows]
    areas.plot(sizes, [row["points_s"] / 1e6 for row in rows], "o-", color=LOOKS[OURS])
    areas.set(xscale="log", ylim=0, xlabel="areas", title="look-ups, M points/s")
    built.plot(sizes, [row["built_s"] for row in rows], "o-", color=LOOKS[OURS], label="build, s")
    built.plot(
        sizes, [row["bytes"] / 1e6 for row in rows], "s--", color="#6a6a6a", label="size, MB"
    )
    built.set(xscale="log", yscale="log", xlabel="areas", title="build and size")
    built.legend(frameon=False)
    rows = run["growth_points"]
    points.plot(
        [row["points"] for row in rows],
        [row["points_s"] / 1e6 for row in rows],
        "o-",
        color=LOOKS[OURS],
    )
    points.set(xscale="log", ylim=0, xlabel="points", title="all the work, M points/s")
    _save(figure, "growth")
    figure, axis = plt.subplots(figsize=(5.5, 1.8))
    servers = run["http"]["servers"][::-1]
    axis.barh(
        [one["name"] for one in servers],
        [one["answers_s"] for one in servers],
        color=[LOOKS.get(one["name"], "#8a8a8a") for one in servers],
    )
    axis.set(xlabel="answers/s")
    _save(figure, "http")


def _save(figure: plt.Figure, name: str) -> None:
    figure.savefig(IMAGES / f"bench-{name}.png", dpi=110, bbox_inches="tight")
    plt.close(figure)
