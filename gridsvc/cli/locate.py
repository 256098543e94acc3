"""`locate`: one point, answered for people, or with --json as the API answers it."""

import re
from datetime import datetime
from typing import Annotated, Any

import typer

from gridsvc.cli.commands import CoordinatesCommand, Json, example, instant, parse_time
from gridsvc.cli.console import console, emit, say, table
from gridsvc.cli.database import open_session
from gridsvc.grids.scheme_store import current_scheme
from gridsvc.grids.schemes import Scheme
from gridsvc.routing.router import Question, answer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        cls=CoordinatesCommand,
        epilog=example(
            "gridsvc locate 116.4612 39.9219 --category 0102",
            "gridsvc locate 116.4674 39.9233 --crs gcj02 --accuracy 15",
            "gridsvc locate -71.0648 42.3574 --at 2026-11-22T08:00 --json",
        ),
    )(locate)


def locate(  # noqa: PLR0913 -- the options of the command
    lon: Annotated[float, typer.Argument(help="Longitude, or easting in --crs.")],
    lat: Annotated[float, typer.Argument(help="Latitude, or northing in --crs.")],
    *,
    crs: Annotated[
        str | None,
        typer.Option(metavar="C", help="EPSG:4326, gcj02, bd09 …; the scheme's first if left out."),
    ] = None,
    category: Annotated[
        str | None, typer.Option(metavar="K", help="Class code of what is reported.")
    ] = None,
    at: Annotated[
        datetime | None,
        typer.Option(
            parser=parse_time,
            metavar="T",
            help="RFC 3339, or the city's own time. Now if left out.",
        ),
    ] = None,
    accuracy: Annotated[
        float | None,
        typer.Option(metavar="M", help="Radius of error in metres: who else it may be."),
    ] = None,
    json: Json = False,
) -> None:
    """Say who is responsible at a point, and why."""
    with open_session() as session:
        scheme = current_scheme(session)
        told = answer(
            session,
            Question(
                x=lon,
                y=lat,
                crs=crs,
                category=category,
                at=instant(at, scheme.zone),
                accuracy_m=accuracy,
            ),
        )
    if json:
        emit(told)
    else:
        _show(told, scheme)


def _show(told: dict[str, Any], scheme: Scheme) -> None:
    point, given = told["point"], told["input"]
    at = datetime.fromisoformat(told["at"])
    about = [f"{at:%Y-%m-%d %H:%M:%S %z}"]
    if told["category"]:
        about.append(f"category {told['category']}")
    if given["crs"] != "EPSG:4326":
        about.append(f"given as {given['x']}, {given['y']} in {given['crs']}")
    say(f"{point['lon']}, {point['lat']}  ({'; '.join(about)})", style="bold")
    say("in " + ", ".join(_area({"layer": layer} | area) for layer, area in told["areas"].items()))
    console().print(_duties(told, scheme))
    _show_components(told)
    _show_edge(told)
    if told["escalation"]:
        say("if nothing happens:")
    for step in told["escalation"]:
        who = _party(step["party"]) if step["party"] else f"nobody holds {step['duty']}"
        where = f", {_area(step['area'])}" if step["area"] else ""
        where += f", {_stand_in(step['stand_in'])}" if step["stand_in"] else ""
        say(f"  {step['step']}. {who}{where}: within {_duration(step['within'])}")
    stale = "; the database was away, so this may be out of date" if told["stale"] else ""
    say(f"revision {told['revision']}{stale}")


def _duties(told: dict[str, Any], scheme: Scheme) -> Any:  # noqa: ANN401 -- what Rich prints
    pair = told["enforcement"] or {}
    share = f" ({_share(told['probability'])})" if told["probability"] is not None else ""
    holders = {
        f"responsible{share}": told["responsible"],
        "management": told["management"],
        "enforcement, lead": pair.get("lead"),
        "enforcement, assistant": pair.get("assistant"),
        "supervisor": told["supervisor"],
    }
    titles = {role.code: " ".join(role.title.values()) for role in scheme.roles}
    grid = table("", "who", "role", "area", "why")
    for duty, holder in holders.items():
        if holder is None:
            grid.add_row(duty, "nobody")
            continue
        grid.add_row(
            duty,
            _party(holder["party"]),
            titles.get(holder["role"], holder["role"]),
            _area(holder["area"]) if holder["area"] else "",
            holder["reason"],
        )
        if holder["stand_in"]:
            grid.add_row("", "", "", "", _stand_in(holder["stand_in"]))
    return grid


def _show_components(told: dict[str, Any]) -> None:
    if found := told["component"]:
        say(_component(found))
    elif told["tier"]:
        say("unclear whose it is; near are:" if told["candidates"] else "no component is near")
    for near in told["candidates"]:
        say(f"  {_component(near)}")


def _component(near: dict[str, Any]) -> str:
    return f"component {near['code']}: {near['distance_m']:,.1f} m away, {_party(near['owner'])}"


def _stand_in(stand_in: dict[str, Any]) -> str:
    why = {"absent": "absent", "off_shift": "off shift"}[stand_in["why"]]
    return f"stands in for {_party(stand_in['for'])}, {why}"


def _show_edge(told: dict[str, Any]) -> None:
    edge = told["edge"]
    if edge["distance_m"] is not None:
        across = f", across it {_area(edge['across'])}" if edge["across"] else ""
        say(f"edge of {_area(edge['of'])}: {edge['distance_m']:,.1f} m away{across}")
    if told["ambiguous"]:
        say("another answer is possible:" if told["alternatives"] else "the point is on the edge")
    for other in told["alternatives"]:
        party = other["responsible"]["party"]
        say(f"  {_share(other['probability'])} {_party(party)}, {_area(other['area'])}")


def _party(party: dict[str, Any]) -> str:
    return " ".join(filter(None, (party["name"], party["phone"], party["code"])))


def _area(area: dict[str, Any]) -> str:
    also = f" (also {', '.join(one['code'] for one in area['also'])})" if "also" in area else ""
    return " ".join(filter(None, (area["layer"], area["code"], area["name"]))) + also


def _share(probability: float) -> str:
    return "<1%" if 0 < probability < 0.01 else f"{probability:.0%}"  # noqa: PLR2004 -- a percent


_UNITS = {"H": "h", "M": "min", "S": "s"}


def _duration(iso: str) -> str:
    limit = re.findall(r"(\d+)(\w)", iso)
    return " ".join(f"{number} {_UNITS.get(unit) or _days(number)}" for number, unit in limit)


def _days(number: str) -> str:
    return "working day" if number == "1" else "working days"
