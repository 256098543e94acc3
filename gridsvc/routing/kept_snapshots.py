"""The last revision is kept on disk, so that answers go on while the database is away.

Files are mapped, not read: a city opens in no time, and processes share it. A folder holds one
folder a revision, which is written beside and moved into place, so that none is ever half there.
"""

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from gridsvc.routing.area_columns import Areas
from gridsvc.routing.components import Components
from gridsvc.routing.holders import Holders, Parties, Vocabulary
from gridsvc.routing.index import AreaIndex
from gridsvc.routing.ladders import AreaKey, Neighbour
from gridsvc.routing.registers import Register
from gridsvc.routing.rules import Rules
from gridsvc.routing.snapshot import Snapshot, Stamp

FORMAT = 1
"""Grows with each change of what is written; what is older is not opened."""

_DRAFT = "draft-"
_STATE = "state.json"
_KEPT = 2
"""So many revisions are kept: a process may just be opening the one before."""


def keep(snapshot: Snapshot, folder: Path) -> Path:
    """Write a revision into a folder of revisions, unless it is there, and drop old ones.

    Returns:
        The revision's own folder.
    """
    stamp = snapshot.stamp
    place = folder / f"{stamp.revision}-{stamp.published_us}"
    if not place.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=_DRAFT, dir=folder))
        try:
            _write(snapshot, draft)
            draft.rename(place)
        except OSError:
            if not place.is_dir():  # else another process was quicker
                raise
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    for old in _places(folder)[_KEPT:]:
        shutil.rmtree(old, ignore_errors=True)
    return place


def last_kept(folder: Path) -> Snapshot | None:
    """Open the newest revision of a folder; None where there is none that can be opened."""
    for place in _places(folder):
        state = json.loads((place / _STATE).read_text(encoding="utf-8"))
        if state["format"] == FORMAT:
            return _open(place, state)
    return None


def _places(folder: Path) -> list[Path]:
    """List the revisions in a folder, the one published last first."""
    places = [place for place in folder.glob("*-*") if place.name[0].isdigit()]
    return sorted(places, key=lambda place: int(place.name.partition("-")[2]), reverse=True)


def _write(snapshot: Snapshot, place: Path) -> None:
    areas, holders, components = snapshot.areas, snapshot.holders, snapshot.components
    arrays: dict[str, npt.NDArray[np.generic]] = {
        "area": areas.area,
        "area_from_us": areas.from_us,
        "area_to_us": areas.to_us,
        "area_order": areas.order,
        "holders": holders.records,
        "absences": holders.absences,
        "components": components.records,
        "instants_us": snapshot.ladders.instants_us,
        "week_marks": snapshot.ladders.week_marks,
    }
    for name, array in arrays.items():
        np.save(place / f"{name}.npy", array, allow_pickle=False)
    tables = {
        "names": pa.table({"name": areas.all_names()}),
        "areas": pa.table({"text": holders.areas.texts}),
        "parties": holders.parties.table(),
        "component_codes": pa.table({"code": components.codes}),
    }
    for name, table in tables.items():
        path = str(place / f"{name}.arrow")
        with pa.OSFile(path, "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table.combine_chunks())
    (place / "index").mkdir()
    snapshot.index.save(place / "index")
    stamp = snapshot.stamp
    state = {
        "format": FORMAT,
        "stamp": [stamp.revision, stamp.effective_us, stamp.published_us, stamp.scheme_id],
        "rules": snapshot.rules.document,
        "words": [holders.words.roles, holders.words.categories, holders.words.hours],
        "effective_us": holders.effective_us,
        "sorted": [holders.areas.sorted_count, holders.parties.codes.sorted_count],
        "component_categories": components.categories,
        "neighbours": {
            version: [[*one.area, one.from_us, one.to_us, one.version] for one in near]
            for version, near in snapshot.ladders.neighbours.items()
        },
    }
    (place / _STATE).write_text(json.dumps(state, ensure_ascii=False), encoding="utf-8")


def _open(place: Path, state: dict[str, Any]) -> Snapshot:
    stamp = Stamp(*state["stamp"])
    sorted_areas, sorted_parties = state["sorted"]
    parties_table = _table(place, "parties")
    parties = Parties(
        Register.of(parties_table["code"], sorted_parties), parties_table.drop_columns("code")
    )
    areas = Areas.of(
        _array(place, "area"),
        _array(place, "area_from_us"),
        _array(place, "area_to_us"),
        _table(place, "names")["name"],
        _array(place, "area_order"),
        stamp.effective_us,
    )
    holders = Holders.of(
        _array(place, "holders"),
        _array(place, "absences"),
        Register.of(_table(place, "areas")["text"], sorted_areas),
        parties,
        Vocabulary(*map(tuple, state["words"])),
        state["effective_us"],
    )
    neighbours = {
        int(version): tuple(
            Neighbour(AreaKey(layer, code), from_us, to_us, other)
            for layer, code, from_us, to_us, other in near
        )
        for version, near in state["neighbours"].items()
    }
    return Snapshot.of(
        stamp,
        Rules(state["rules"]),
        AreaIndex.load(place / "index"),
        areas,
        holders,
        Components(
            _array(place, "components"),
            _table(place, "component_codes")["code"],
            tuple(state["component_categories"]),
        ),
        neighbours,
        _array(place, "instants_us"),
        _array(place, "week_marks"),
    )


def _array(place: Path, name: str) -> npt.NDArray[Any]:
    # A plain view: each look at an element of a memmap costs microseconds.
    return np.asarray(np.load(place / f"{name}.npy", mmap_mode="r", allow_pickle=False))


def _table(place: Path, name: str) -> pa.Table:
    return pa.ipc.open_file(pa.memory_map(str(place / f"{name}.arrow"))).read_all()
