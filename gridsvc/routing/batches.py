"""A batch of rows is answered at once, from memory, with the meaning of single answers.

Rows are admitted, handed to the revision that answers at their instant, and come back with columns.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from sqlalchemy import Engine

from gridsvc.grids.terms import Duty
from gridsvc.routing.admission import Admitted, Columns, Ints, admit
from gridsvc.routing.city import City
from gridsvc.routing.ground_router import Asked, GroundRouter
from gridsvc.routing.kept_snapshots import last_kept
from gridsvc.routing.lexicon import NONE, Lexicon
from gridsvc.routing.sheets import PARTIES, Ground
from gridsvc.routing.snapshot import Snapshot, Stamp

OUTSIDE = "outside the service area"
TOO_EARLY = "before the first revision"
UNKNOWN_CATEGORY = "unknown category"

PARTY_COLUMNS = {
    "responsible": Duty.RESPONSIBILITY,
    "management": Duty.MANAGEMENT,
    "enforcement_lead": Duty.ENFORCEMENT,
    "enforcement_assistant": Duty.ENFORCEMENT,
    "supervisor": Duty.SUPERVISION,
}
_KEPT_REVISIONS = 4


class Routed(NamedTuple):
    """A batch, the columns that were added to it, and how its rows were judged."""

    source: pa.RecordBatch
    added: list[pa.Array]
    asked: Admitted


@dataclass
class Grounds:
    """The revisions that were asked for lately; used by several threads at once.

    Sent to another machine it has those that it held, and reads no others.

    Attributes:
        engine: Reads; None where there is no database.
        folder: Of revisions kept on disk, which are opened much faster; None is none.
        lexicon: Numbers the codes of all of them.
        room: So many are held at most.
    """

    engine: Engine | None
    folder: Path | None = None
    lexicon: Lexicon = field(default_factory=Lexicon)
    room: int = _KEPT_REVISIONS
    _kept: OrderedDict[int, GroundRouter] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, revision: int) -> GroundRouter:
        """Give what answers for a revision."""
        with self._lock:
            if revision not in self._kept:
                snapshot = self._read(revision)
                self._kept[revision] = GroundRouter(Ground.of(snapshot, self.lexicon))
                if len(self._kept) > self.room:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(revision)
            return self._kept[revision]

    def _read(self, revision: int) -> Snapshot:
        if self.engine is None:
            raise LookupError(revision)
        with self.engine.connect() as connection:
            kept = last_kept(self.folder) if self.folder else None
            if kept and kept.stamp == Stamp.read(connection, revision):
                return kept
            return Snapshot.load(connection, revision)

    def hold(self, revisions: Sequence[int]) -> None:
        """Read revisions now, and keep all of them."""
        self.room = max(self.room, len(revisions))
        for revision in revisions:
            self.of(revision)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"engine": None, "folder": None, "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= state | {"_lock": threading.Lock()}


@dataclass(frozen=True, slots=True)
class BatchRouter:
    """Answers batches; used by several threads at once.

    Attributes:
        grounds: The revisions that answer.
        city: What holds for the whole run.
        columns: Of the batches.
        with_edges: Whether to measure to edges: that takes as long as all else.
    """

    grounds: Grounds
    city: City
    columns: Columns
    with_edges: bool = True

    def route(self, batch: pa.RecordBatch) -> Routed:
        """Answer every row of a batch."""
        asked = admit(batch, self.columns, scheme=self.city.scheme, now_us=self.city.now_us)
        revision = self._revisions(asked)
        self._refuse_categories(asked, revision)
        areas = np.full((len(self.city.scheme.layers), batch.num_rows), NONE, np.int32)
        parties = np.full((PARTIES, batch.num_rows), NONE, np.int32)
        edge_m = np.full(batch.num_rows, np.nan)
        rows = np.flatnonzero(asked.reasons.open)
        points = Asked(asked.x, asked.y, asked.at_us, asked.category, asked.categories)
        for number in np.unique(revision[rows]):
            router = self.grounds.of(int(self.city.revisions[number]))
            here = rows[revision[rows] == number]
            some = points if len(here) == batch.num_rows else points.of(here)
            coded = router.code(some)
            if not coded.served.all():
                asked.reasons.refuse(here[~coded.served], OUTSIDE)
                kept = np.flatnonzero(coded.served)
                here, some, coded = here[kept], some.of(kept), coded.of(kept)
            layers = router.ground.snapshot.rules.layers
            for place, layer in enumerate(self.city.scheme.layers):
                if layer.code in layers:
                    areas[place, here] = coded.areas[layers.index(layer.code)]
            parties[:, here] = coded.parties
            if self.with_edges:
                edge_m[here] = router.edge_m(coded.deciding, some.x, some.y)
        lexicon = self.grounds.lexicon
        added = [
            *(
                lexicon.areas(layer.code).column(codes)
                for layer, codes in zip(self.city.scheme.layers, areas, strict=True)
            ),
            *map(lexicon.parties.column, parties),
            pa.array(edge_m, pa.float64(), from_pandas=True),
            asked.reasons.array(),
        ]
        return Routed(batch, added, asked)

    def _revisions(self, asked: Admitted) -> Ints:
        """Find the revision that answers for each row, as an index; -1 is none."""
        index = self.city.revision_at(asked.at_us)
        asked.reasons.refuse(index < 0, TOO_EARLY)
        return index

    def _refuse_categories(self, asked: Admitted, revision: Ints) -> None:
        if not asked.categories:
            return
        rows = np.flatnonzero(asked.reasons.open & (asked.category >= 0))
        rows = rows[np.argsort(asked.category[rows], kind="stable")]
        begins = np.flatnonzero(np.diff(asked.category[rows], prepend=-1))
        for same in np.split(rows, begins[1:]) if len(rows) else ():
            code = asked.categories[asked.category[same[0]]]
            scheme_ids = self.city.scheme_ids[revision[same]]
            for scheme_id in np.unique(scheme_ids).tolist():
                if not (known := self.city.categories[scheme_id]):
                    continue
                of_scheme = same[scheme_ids == scheme_id]
                at_us = asked.at_us[of_scheme]
                in_use = np.zeros(len(of_scheme), dtype=bool)
                for start, end in known.get(code, ()):
                    in_use |= (start <= at_us) & (at_us < end)
                asked.reasons.refuse(of_scheme[~in_use], f"{UNKNOWN_CATEGORY} {code}")
