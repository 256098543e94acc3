"""Cases on disk, sorted by group and ground, so that neighbours are read without the rest.

Each part is written once, by whoever reads it, with an index of where each group's cases in each
cell of a coarse square net begin. A bucket is a run of that order with about as many cases as fit
in memory comfortably, and the cases round it that a method must see to judge those within.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from gridsvc.hotspots.cases import Part, Window, each

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Groups = Mapping[str, str] | int | None

NEVER_US = int(np.iinfo(np.int64).max)
"""When a case closes that is still open: later than any time."""

ROW = np.dtype(
    [
        *(("row", "i8"), ("x", "f8"), ("y", "f8"), ("opened_us", "i8"), ("closed_us", "i8")),
        *(("group", "i4"), ("category", "i4"), ("responsible", "i4")),
    ]
)
"""A case on disk. Fixed width, so that numpy maps a file and reads no more than is asked for.

`category` and `responsible` are numbers of labels, -1 none; `closed_us` `NEVER_US` while open.
"""

Rows = np.ndarray[Any, np.dtype[np.void]]

CELL_M = 500.0
_BITS = 21  # of a cell's column and row in its key; the group lies above them
_HALF = 1 << (_BITS - 1)
_ROUND = tuple((dx, dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1) if (dx, dy) != (0, 0))


@dataclass(frozen=True, slots=True)
class Net:
    """How cases are laid out on disk.

    Attributes:
        halo_m: How far beyond its own cases a bucket must see.
        groups: Which categories are alike: the group of each category, the length of the beginning
            of the code that counts, or None for each category on its own. A category that a mapping
            does not name is a group of its own; cases without one are a group together.
        window: Which cases are meant.
    """

    halo_m: float
    groups: Groups
    window: Window

    @property
    def cell_m(self) -> float:
        """Width of a cell: the cells round one hold all that its cases must see."""
        return max(CELL_M, self.halo_m)

    def group_of(self, categories: Iterable[str]) -> list[str]:
        """Name the group of each category."""
        if self.groups is None:
            return list(categories)
        if isinstance(self.groups, int):
            return [category[: self.groups] for category in categories]
        return [self.groups.get(category, category) for category in categories]

    def keys(self, group: npt.NDArray[Any], x: Floats, y: Floats) -> Ints:
        """Number the cell of each group that each point lies in."""
        columns = np.floor(x / self.cell_m).astype(np.int64) + _HALF
        rows = np.floor(y / self.cell_m).astype(np.int64) + _HALF
        return group.astype(np.int64) << 2 * _BITS | columns << _BITS | rows


@dataclass(frozen=True, slots=True)
class _Sorted:
    """One part on disk; its numbers of groups, categories and parties are its own."""

    path: Path
    groups: tuple[str, ...]
    categories: tuple[str, ...]
    responsible: tuple[str, ...]
    keys: Ints
    starts: Ints
    newest_us: int


@dataclass(frozen=True, slots=True)
class _Piece:
    """What a bucket reads of one part."""

    path: Path
    groups: Ints
    categories: Ints
    responsible: Ints
    core: tuple[int, int]
    ring: tuple[tuple[int, int], ...]

    def read(self, ranges: Iterable[tuple[int, int]]) -> Rows:
        mapped = np.load(self.path, mmap_mode="r")
        rows = np.concatenate([np.empty(0, ROW), *(mapped[start:stop] for start, stop in ranges)])
        for name, numbers in (
            ("group", self.groups),
            ("category", self.categories),
            ("responsible", self.responsible),
        ):
            # A label's number of this file to that of all; -1 takes the last, which is -1.
            rows[name] = np.append(numbers, -1)[rows[name]]
        return rows


@dataclass(frozen=True, slots=True)
class Bucket:
    """A run of cells of one or more groups.

    Attributes:
        groups: The first and the last of its groups, by number.
    """

    groups: tuple[int, int]
    _net: Net
    _pieces: tuple[_Piece, ...]
    _keys: Ints

    def read(self) -> tuple[Rows, int]:
        """Read its cases and, after them, those around that it must see.

        Returns:
            `ROW`s, each of the two in the order of row numbers, and how many are its own.
        """
        core = np.concatenate([piece.read([piece.core]) for piece in self._pieces])
        ring = np.concatenate([piece.read(piece.ring) for piece in self._pieces])
        halo_m, seen = self._net.halo_m, np.zeros(len(ring), bool)
        for dx, dy in _ROUND:
            keys = self._net.keys(ring["group"], ring["x"] + dx * halo_m, ring["y"] + dy * halo_m)
            seen |= np.isin(keys, self._keys)
        ring = ring[seen]
        return np.concatenate([_by_row(core), _by_row(ring)]), len(core)


@dataclass(frozen=True, slots=True)
class Spool:
    """All cases on disk.

    Attributes:
        groups: Names of the groups, by number.
        categories: The same of categories.
        responsible: The same of party codes.
        newest_us: The last instant that any case tells, at most the window's end; microseconds
            since 1970 UTC; None without cases.
        buckets: In the order of their groups.
    """

    groups: tuple[str, ...]
    categories: tuple[str, ...]
    responsible: tuple[str, ...]
    newest_us: int | None
    buckets: tuple[Bucket, ...]


def spool(
    parts: Iterable[Part],
    net: Net,
    folder: Path,
    *,
    rows: int,
    client: Any = None,  # noqa: ANN401  as in `each`
) -> Spool:
    """Write the cases of all parts, sorted, into a folder.

    Args:
        parts: The cases.
        net: The lay-out.
        folder: Exists; on a cluster all workers must reach it under this name.
        rows: How many cases a bucket holds, about; one cell of one group is never split.
        client: A `dask.distributed.Client`, or None.
    """
    numbered = ((folder / f"part-{number}.npy", part) for number, part in enumerate(parts))
    files = tuple(each(partial(_sort, net=net), numbered, client=client))
    groups = _all(file.groups for file in files)
    categories = _all(file.categories for file in files)
    responsible = _all(file.responsible for file in files)
    every = [_regrouped(file, groups) for file in files]
    keys, place = np.unique(np.concatenate([_NONE, *every]), return_inverse=True)
    counts = np.zeros(len(keys), np.int64)
    np.add.at(counts, place, np.concatenate([_NONE, *(np.diff(file.starts) for file in files)]))
    pieces = [
        (
            ours,
            file.starts,
            partial(
                _Piece,
                file.path,
                _numbers(file.groups, groups),
                _numbers(file.categories, categories),
                _numbers(file.responsible, responsible),
            ),
        )
        for file, ours in zip(files, every, strict=True)
    ]
    cuts = _cuts(keys, counts, rows)
    return Spool(
        groups=groups,
        categories=categories,
        responsible=responsible,
        newest_us=max((file.newest_us for file in files if len(file.keys)), default=None),
        buckets=tuple(_bucket(net, keys, first, last, pieces) for first, last in pairwise(cuts)),
    )


_NONE = np.empty(0, np.int64)


def _all(labels: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(sorted(set().union(*labels)))


def _numbers(labels: tuple[str, ...], every: tuple[str, ...]) -> Ints:
    return np.searchsorted(np.array(every, dtype=object), np.array(labels, dtype=object))


def _regrouped(file: _Sorted, groups: tuple[str, ...]) -> Ints:
    """Number the keys by all groups; labels are in order there and here, so keys stay so too."""
    cell = (1 << 2 * _BITS) - 1
    # Group -1, of cases without a category, takes the last.
    group: Ints = np.append(_numbers(file.groups, groups), -1)[file.keys >> 2 * _BITS]
    keys: Ints = group << 2 * _BITS | file.keys & cell
    return keys


def _cuts(keys: Ints, counts: Ints, rows: int) -> list[int]:
    """Say with which keys buckets begin, and the end.

    Only a group that is larger than a bucket is cut, and none goes on in a bucket with the next: so
    groups can be let go of as soon as their buckets are through.
    """
    if not len(keys):
        return [0]
    before = np.cumsum(counts) - counts
    _, first, group = np.unique(keys >> 2 * _BITS, return_index=True, return_inverse=True)
    of_groups = before[first][group]
    begins = np.diff(of_groups // rows, prepend=-1) != 0
    begins |= np.diff((before - of_groups) // rows, prepend=-1) != 0
    return [*np.flatnonzero(begins).tolist(), len(keys)]


def _bucket(
    net: Net,
    every: Ints,
    first: int,
    last: int,
    files: Sequence[tuple[Ints, Ints, Callable[..., _Piece]]],
) -> Bucket:
    own = every[first:last]
    ring = np.unique(np.concatenate([own + (dx << _BITS) + dy for dx, dy in _ROUND]))
    ring = ring[(ring < own[0]) | (ring > own[-1])]
    pieces = []
    for keys, starts, piece in files:
        start, stop = np.searchsorted(keys, (own[0], own[-1] + 1))
        at = np.flatnonzero(np.isin(keys, ring))
        # Cells that follow one another in the file are read at once.
        runs = np.split(at, np.flatnonzero(np.diff(at) > 1) + 1) if len(at) else []
        core = (int(starts[start]), int(starts[stop]))
        round_it = tuple((int(starts[run[0]]), int(starts[run[-1] + 1])) for run in runs)
        if core[0] < core[1] or round_it:
            pieces.append(piece(core, round_it))
    groups = int(own[0] >> 2 * _BITS), int(own[-1] >> 2 * _BITS)
    return Bucket(groups, net, tuple(pieces), own)


def _sort(numbered: tuple[Path, Part], *, net: Net) -> _Sorted:
    path, part = numbered
    cases = net.window.of(part.read())
    groups, group = _labels(cases["category"], net.group_of)
    categories, category = _labels(cases["category"], list)
    responsible, party = _labels(cases["responsible"], list)
    rows = np.empty(len(cases), ROW)
    rows["row"] = cases.index
    rows["x"], rows["y"] = cases["x"], cases["y"]
    rows["opened_us"] = _us(cases["opened_at"])
    closed_us = _us(cases["closed_at"])
    is_open = cases["closed_at"].isna().to_numpy()
    # A closing before the opening is an error of the source: closed as soon as opened.
    rows["closed_us"] = np.where(is_open, NEVER_US, np.maximum(closed_us, rows["opened_us"]))
    rows["group"], rows["category"], rows["responsible"] = group, category, party
    keys = net.keys(rows["group"], rows["x"], rows["y"])
    order = np.argsort(keys, kind="stable")
    np.save(path, rows[order])
    unique, starts = np.unique(keys[order], return_index=True)
    instants = np.concatenate([rows["opened_us"], rows["closed_us"][~is_open]])
    return _Sorted(
        path=path,
        groups=groups,
        categories=categories,
        responsible=responsible,
        keys=unique,
        starts=np.append(starts, len(rows)),
        newest_us=int(instants.max(initial=-NEVER_US)),
    )


def _labels(
    texts: pd.Series, named: Callable[[list[str]], list[str]]
) -> tuple[tuple[str, ...], npt.NDArray[np.int32]]:
    """Sort the names of a categorical's labels, and number each row's name."""
    labels, codes = texts.cat.categories.astype(str).tolist(), texts.cat.codes.to_numpy()
    names, numbers = np.unique(np.array(named(labels), dtype=object), return_inverse=True)
    return tuple(names), np.append(numbers, -1)[codes].astype(np.int32)


def _us(times: pd.Series) -> Ints:
    us: Ints = times.dt.tz_localize(None).to_numpy("M8[us]").view(np.int64)
    return us


def _by_row(rows: Rows) -> Rows:
    return rows[np.argsort(rows["row"], kind="stable")]
