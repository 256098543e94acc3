"""Areas that share a border share its nodes: what lacks one gets it, what lies beside one moves.

Two edges belong together where they run along each other, at most 3 mm apart, and are not the
same edge. Then the ends of each are nodes of both: an end within reach of an end of the other
becomes one with it, any other is added to the edge that it lies on. Nothing else is touched, so
whatever a sound drawing holds that is finer than 3 mm stays as it is.

What libraries offer, on 4,000 areas of 68,000 nodes where 400 edges lack one and 300 corners lie
2 mm off:

* `shapely.coverage_clean` (0.3 s) leaves one level without any gap or overlap, those of three
  metres included, which a planner must see and mend; nodes of a sound drawing that are nearer to
  each other than 3 mm fall together; and each level is cleaned apart from the others.
* `shapely.snap` (0.2 s) takes one area at a time: of two nodes 2 mm apart each area takes the
  other's, and a node that many areas share moves in one of them.
* `ST_Snap` is the same; `ST_CoverageClean` needs a newer PostGIS than the 3.3 that we promise.

So shapely finds what is near (`STRtree`) and judges what comes out (`is_valid`,
`hausdorff_distance`, `polygonize`); which node goes where is decided here, once for all the areas
of all levels that have it. For the same areas and the two levels above them it takes 0.7 s, for
100,000 areas 11 s.
"""

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from itertools import permutations
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Shapes = NDArray[np.object_]
Node = tuple[int, int]
"""Easting and northing in millimetres."""

REACH_MM = 3.0
ROUNDING_MM = 0.001
"""By how much the distance of a node to a slanted edge may be computed wrong."""

_WITHIN_MM = REACH_MM + ROUNDING_MM
_PASSES = 100
"""A sound city needs two or three; each place that is refused costs one."""


class Left(StrEnum):
    """Why a place was left as it is."""

    INVALID = "its boundary would cross itself"
    TOO_FAR = "it would move by more than 3 mm"
    OWN_NEEDLE = "it comes within 3 mm of itself there"
    WIDENS = "the gap or overlap beside it is wider than 3 mm"


@dataclass(frozen=True, slots=True)
class Change:
    """What was done to one area.

    Attributes:
        boundary: The new one.
        nodes_added: Nodes of neighbours that it lacked.
        vertices_moved: Nodes that became one with a neighbour's.
        largest_move_mm: How far the boundary lies from the old one, at most.
        slivers_closed: Gaps and overlaps at it that are gone.
    """

    boundary: shapely.MultiPolygon
    nodes_added: int
    vertices_moved: int
    largest_move_mm: float
    slivers_closed: int


@dataclass(frozen=True, slots=True)
class Tidied:
    """What came of a drawing; areas go by their number in it.

    Attributes:
        changes: By area; whatever is not named is as it was.
        left: Places that stay wrong: area, easting and northing in metres, reason.
        slivers_closed: Gaps and overlaps that are gone, each counted once.
    """

    changes: dict[int, Change]
    left: list[tuple[int, tuple[float, float], Left]]
    slivers_closed: int


def tidy_nodes(
    boundaries: Shapes,
    *,
    layers: NDArray[Any],
    precedence: Ints,
    concerned: Mask | None = None,
) -> Tidied:
    """Give areas the nodes that they lack and close what is narrower than 3 mm between them.

    Run on what it made, it changes nothing. Only where several nodes lie 3 to 6 mm apart in a row
    may it find something again: in 4 of 1,500 drawings of 15 areas with such faults each.

    Args:
        boundaries: (n,) MultiPolygons in metres on the millimetre grid, of tiling layers.
        layers: (n,) The layer of each.
        precedence: (n,) Of two nodes that become one, that of the area with the lower number
            stays. All different.
        concerned: (n,) Areas whose places are looked at, with what is bound up with them; None
            looks at all.
    """
    first = _Drawing.of(boundaries, layers, precedence)
    concern = np.ones(len(boundaries), bool) if concerned is None else concerned
    kept: set[Node] = set()
    while True:
        done = _run(first, concern, boundaries, kept)
        # What a second run would still move lies too far from where it was at first: it is left,
        # with what the first run did to it.
        again = _run(done.drawing.fresh(), done.concern, done.drawing.boundaries(boundaries), kept)
        if not again.keys:
            break
        kept |= {node for key in again.keys for node in key}
    left = list(done.places.left(done.refused))
    closed = _closed(_Places.find(first, concern).slivers(), done.places.slivers())
    return Tidied(_changes(done.drawing, boundaries, closed), left, len(closed))


@dataclass(frozen=True)
class _Run:
    """What one run came to."""

    drawing: "_Drawing"
    concern: Mask
    places: "_Places"
    keys: set[tuple[Node, ...]]
    refused: dict[tuple[Node, ...], Left]


def _run(first: "_Drawing", concern: Mask, originals: Shapes, kept: set[Node]) -> _Run:
    """Decide and draw until nothing is left to do; what is at the nodes `kept` stays."""
    now, here, places = first, concern, _Places.find(first, concern)
    done: set[tuple[Node, ...]] = set()
    crossing: dict[tuple[Node, ...], Left] = {}
    far: dict[tuple[Node, ...], Left] = {}
    has_progressed = False
    for _ in range(_PASSES):
        step = places.decide(crossing | far)
        if touching := {key for key in step.areas if not kept.isdisjoint(key)}:
            far |= dict.fromkeys(touching, Left.TOO_FAR)
            continue
        if step.is_empty:
            if not (crossing and has_progressed):
                break
            # What crossed itself may fit beside what was done since, as it would the next time.
            crossing, has_progressed = {}, False
            continue
        after, touched = now.redrawn(step)
        faults = after.faults(touched, originals)
        if not faults:
            now, done, has_progressed = after, done | step.areas.keys(), True
            here = here.copy()
            here[touched] = True
            places = _Places.find(now, here)
            continue
        for key, areas in step.areas.items():
            for fault in {faults[area] for area in areas if area in faults}:
                (far if fault is Left.TOO_FAR else crossing)[key] = fault
        # What is too far only after an earlier step is refused with it: half of it done, the
        # other half would be near enough the next time.
        nodes = {node for key in far for node in key}
        if undone := {key for key in done if not nodes.isdisjoint(key)}:
            far |= dict.fromkeys(undone, Left.TOO_FAR)
            now, here, places, done = first, concern, _Places.find(first, concern), set()
            crossing, has_progressed = {}, False
    return _Run(now, here, places, done, crossing | far)


@dataclass(frozen=True)
class _Step:
    """What one pass does: nodes that move, or else nodes that edges get."""

    moves: dict[int, int] = field(default_factory=dict)
    insertions: list[tuple[int, float, int]] = field(default_factory=list)
    """Edge, how far along it from its lower node, node; in this order."""
    areas: dict[tuple[Node, ...], set[int]] = field(default_factory=dict)
    """What names each decision whatever the numbers, and the areas that it touches."""

    @property
    def is_empty(self) -> bool:
        return not (self.moves or self.insertions)


@dataclass(frozen=True)
class _Drawing:
    """Areas as coordinates, and as nodes and edges that they share.

    Attributes:
        xy: (c, 2) Coordinates in metres, ring by ring, areas in order.
        source: (c, 2) Where each coordinate was at first; NaN where there was none.
        rings: (r + 1,) Where rings begin in `xy`.
        polygons: Where polygons begin in `rings`.
        areas: Where areas begin in `polygons`.
        layer_of: (n,) Number of each area's layer.
        precedence: (n,) As in `tidy_nodes`.
        names: The layers.
    """

    xy: Floats
    source: Floats
    rings: Ints
    polygons: Ints
    areas: Ints
    layer_of: Ints
    precedence: Ints
    names: NDArray[Any]

    @classmethod
    def of(cls, boundaries: Shapes, layers: NDArray[Any], precedence: Ints) -> "_Drawing":
        kind, xy, offsets = shapely.to_ragged_array(boundaries, include_z=False)
        if kind is not shapely.GeometryType.MULTIPOLYGON:
            # Areas are MultiPolygons; of polygons alone shapely gives an offset less.
            raise TypeError(f"boundaries are {kind.name}, not MULTIPOLYGON")
        rings, polygons, areas = (offset.astype(np.int64) for offset in offsets)
        names, layer_of = np.unique(layers, return_inverse=True)
        return cls(xy, xy, rings, polygons, areas, layer_of.astype(np.int64), precedence, names)

    @cached_property
    def first(self) -> Ints:
        """(n + 1,) Where areas begin in `xy`."""
        starts: Ints = self.rings[self.polygons[self.areas]]
        return starts

    @cached_property
    def area_at(self) -> Ints:
        """(c,) The area of each coordinate."""
        return np.repeat(np.arange(len(self.layer_of)), np.diff(self.first))

    @cached_property
    def _nodes(self) -> tuple[Ints, Ints, Ints]:
        mm = np.rint(self.xy * 1000).astype(np.int64)
        low = mm.min(axis=0)
        height = mm[:, 1].max() - low[1] + 1
        _, index, node_at = np.unique(
            (mm[:, 0] - low[0]) * height + mm[:, 1] - low[1],
            return_index=True,
            return_inverse=True,
        )
        return mm[index], index, node_at

    @property
    def node_mm(self) -> Ints:
        """(m, 2) Places of nodes in millimetres."""
        return self._nodes[0]

    @property
    def node_at(self) -> Ints:
        """(c,) The node of each coordinate."""
        return self._nodes[2]

    @property
    def node_xy(self) -> Floats:
        """(m, 2) Places of nodes as they are written, to the last bit."""
        places: Floats = self.xy[self._nodes[1]]
        return places

    @cached_property
    def local_mm(self) -> Floats:
        """(m, 2) Places of nodes in millimetres from the drawing's corner: exact as floats."""
        return np.asarray(self.node_mm - self.node_mm.min(axis=0), dtype=np.float64)

    @cached_property
    def sides(self) -> Ints:
        """(s,) The coordinate at which each edge of each ring begins."""
        starts = np.ones(len(self.xy), bool)
        starts[self.rings[1:] - 1] = False
        sides = np.flatnonzero(starts)
        drawn: Ints = sides[self.node_at[sides] != self.node_at[sides + 1]]
        return drawn

    @cached_property
    def _edges(self) -> tuple[Ints, Ints]:
        from_to = np.stack([self.node_at[self.sides], self.node_at[self.sides + 1]])
        count = len(self.node_mm)
        keys, edge_of = np.unique(
            from_to.min(axis=0) * count + from_to.max(axis=0), return_inverse=True
        )
        return np.stack([keys // count, keys % count], axis=1), edge_of

    @property
    def edges(self) -> Ints:
        """(e, 2) The nodes of each edge, the lower first; one edge however many areas have it."""
        return self._edges[0]

    @property
    def edge_of(self) -> Ints:
        """(s,) The edge of each side."""
        return self._edges[1]

    @cached_property
    def uses(self) -> Ints:
        """(e, l) How many areas of each layer have an edge."""
        layers = len(self.names)
        counts: Ints = np.bincount(
            self.edge_of * layers + self.layer_of[self.area_at[self.sides]],
            minlength=len(self.edges) * layers,
        ).reshape(-1, layers)
        return counts

    @cached_property
    def lines(self) -> Shapes:
        """(e,) Edges as lines in `local_mm`."""
        return np.asarray(shapely.linestrings(self.local_mm[self.edges]))

    def areas_with(self, nodes: Iterable[int]) -> dict[int, set[int]]:
        """The areas that have each of these nodes."""
        return _members(nodes, self.node_at, self.area_at)

    def areas_along(self, edges: Iterable[int]) -> dict[int, set[int]]:
        """The areas that have each of these edges."""
        return _members(edges, self.edge_of, self.area_at[self.sides])

    def redrawn(self, step: _Step) -> tuple["_Drawing", Ints]:
        """The drawing after a step, and the areas that it touched."""
        if step.moves:
            goes = np.arange(len(self.node_mm))
            goes[list(step.moves)] = list(step.moves.values())
            moved = np.flatnonzero(goes[self.node_at] != self.node_at)
            xy = self.xy.copy()
            xy[moved] = self.node_xy[goes[self.node_at[moved]]]
            return replace(self, xy=xy), np.unique(self.area_at[moved])
        edge = np.array([edge for edge, _, _ in step.insertions])
        node = np.array([node for _, _, node in step.insertions])
        # Each side of an edge gets the edge's new nodes, in its own direction.
        first, count = _run_of(edge, self.edge_of)
        side = np.flatnonzero(count)
        of, nth = np.repeat(side, count[side]), _nth(count[side])
        begins = self.node_at[self.sides[of]] == self.edges[self.edge_of[of], 0]
        chosen = node[first[of] + np.where(begins, nth, count[of] - 1 - nth)]
        at = self.sides[of] + 1
        xy = np.insert(self.xy, at, self.node_xy[chosen], axis=0)
        source = np.insert(self.source, at, np.nan, axis=0)
        rings = self.rings + np.searchsorted(at, self.rings)
        return replace(self, xy=xy, source=source, rings=rings), np.unique(
            self.area_at[self.sides[of]]
        )

    def fresh(self) -> "_Drawing":
        """The same, as if it had always been so."""
        return replace(self, source=self.xy)

    def boundaries(self, originals: Shapes) -> Shapes:
        """Draw all areas; those that are as they were are taken from there."""
        drawn = originals.copy()
        areas = np.unique(self.area_at[(self.xy != self.source).any(axis=1)])
        drawn[areas] = _shapes([self.boundary(area) for area in areas])
        return drawn

    def boundary(self, area: int) -> shapely.MultiPolygon:
        """Draw one area."""
        polygons = slice(self.areas[area], self.areas[area + 1] + 1)
        rings = self.rings[
            self.polygons[self.areas[area]] : self.polygons[self.areas[area + 1]] + 1
        ]
        drawn: shapely.MultiPolygon = shapely.from_ragged_array(
            shapely.GeometryType.MULTIPOLYGON,
            self.xy[self.first[area] : self.first[area + 1]],
            (
                rings - rings[0],
                self.polygons[polygons] - self.polygons[self.areas[area]],
                np.array([0, self.areas[area + 1] - self.areas[area]]),
            ),
        )[0]
        return drawn

    def faults(self, touched: Ints, originals: Shapes) -> dict[int, Left]:
        """Which of the areas that a step touched must not be left like this, and why."""
        drawn = _shapes([self.boundary(area) for area in touched])
        moved_mm = np.maximum(_moved_mm(drawn, originals[touched]), self.moved_mm[touched])
        valid = shapely.is_valid(drawn)
        return {
            int(area): Left.TOO_FAR if sound else Left.INVALID
            for area, sound, by in zip(touched, valid, moved_mm, strict=True)
            if not sound or by > _WITHIN_MM
        }

    @cached_property
    def moved_mm(self) -> Floats:
        """(n,) How far the vertex of each area that moved most has moved."""
        by = np.hypot(*np.nan_to_num(1000 * (self.xy - self.source)).T)
        farthest: Floats = np.maximum.reduceat(by, self.first[:-1])
        return farthest


@dataclass(frozen=True)
class _Places:
    """Where edges run along each other and are not the same.

    Attributes:
        drawing: Of all.
        edge: (p,) Edges that lack what `node` is.
        node: (p,) An end of `other`, within reach of `edge` and not its end.
        other: (p,) The edges that have it.
    """

    drawing: _Drawing
    edge: Ints
    node: Ints
    other: Ints

    @classmethod
    def find(cls, drawing: _Drawing, concerned: Mask) -> "_Places":
        """Look through every pair of layers, and each with itself.

        Within a layer an edge that two areas have is settled; between layers one that both have.
        """
        layers = range(len(drawing.names))
        pairs = [cls._near(drawing, one, two) for one in layers for two in layers[one:]]
        edge, node, other = _along(
            drawing, *(np.concatenate([pair[k] for pair in pairs]) for k in (0, 1))
        )
        edge_here = np.zeros(len(drawing.edges), bool)
        edge_here[drawing.edge_of[concerned[drawing.area_at[drawing.sides]]]] = True
        chosen = edge_here[edge] | edge_here[other]
        # Places that share a node are decided together, whoever they belong to.
        bound = np.concatenate([node[:, None], drawing.edges[edge], drawing.edges[other]], axis=1)
        while True:
            wider = np.asarray(np.isin(bound, bound[chosen]).any(axis=1))
            if (wider == chosen).all():
                return cls(drawing, edge[chosen], node[chosen], other[chosen])
            chosen = wider

    @staticmethod
    def _near(drawing: _Drawing, one: int, two: int) -> tuple[Ints, Ints]:
        """Pairs of unsettled edges of two layers that come within reach of each other."""
        if one == two:
            few = many = np.flatnonzero(drawing.uses[:, one] == 1)
        else:
            has = drawing.uses[:, [one, two]] > 0
            few = np.flatnonzero(has[:, 0] & ~has[:, 1])
            many = np.flatnonzero(has[:, 1] & ~has[:, 0])
            if len(few) > len(many):
                few, many = many, few
        if not len(few):
            return _no_ints(), _no_ints()
        tree = shapely.STRtree(drawing.lines[few])
        left, right = tree.query(drawing.lines[many], predicate="dwithin", distance=_WITHIN_MM)
        g, h = many[left], few[right]
        if one == two:
            owner = np.zeros(len(drawing.edges), np.int64)
            of_layer = drawing.layer_of[drawing.area_at[drawing.sides]] == one
            owner[drawing.edge_of[of_layer]] = drawing.area_at[drawing.sides[of_layer]]
            strange = (g < h) & (owner[g] != owner[h])
            g, h = g[strange], h[strange]
        return g, h

    def decide(self, refused: Container[tuple[Node, ...]]) -> _Step:
        """Choose what the next pass does: nodes become one before edges get any."""
        merges = self._merges(refused)
        return merges if merges.moves else self._insertions(refused)

    @cached_property
    def _nearest(self) -> tuple[Ints, Floats, Floats]:
        """Of each place the end of its edge next to the node, how far, and the node's fraction."""
        mm, ends = self.drawing.local_mm, self.drawing.edges[self.edge]
        node = mm[self.node]
        to_end = np.stack([np.hypot(*(node - mm[ends[:, k]]).T) for k in (0, 1)], axis=1)
        nearest = to_end.argmin(axis=1)
        rows = np.arange(len(ends))
        fraction = _fraction(node, mm[ends[:, 0]], mm[ends[:, 1]])
        return ends[rows, nearest], to_end[rows, nearest], fraction

    @cached_property
    def pairs(self) -> dict[frozenset[int], float]:
        """Nodes that should be one, and how far apart they are."""
        end, distance, _ = self._nearest
        return {
            frozenset((int(self.node[at]), int(end[at]))): float(distance[at])
            for at in np.flatnonzero(distance <= _WITHIN_MM)
        }

    def _merges(self, refused: Container[tuple[Node, ...]]) -> _Step:
        """Let nodes fall together, the one of the area that precedes staying.

        A node that stays never moves, so that none moves twice; no area that has both is asked
        to lose an edge.
        """
        if not self.pairs:
            return _Step()
        drawing = self.drawing
        has = drawing.areas_with({node for pair in self.pairs for node in pair})
        beside: dict[int, list[int]] = defaultdict(list)
        for pair in self.pairs:
            one, two = pair
            beside[one].append(two)
            beside[two].append(one)

        def order(node: int) -> tuple[int, int, int]:
            x, y = drawing.node_mm[node]
            return min(int(drawing.precedence[area]) for area in has[node]), int(x), int(y)

        moves: dict[int, int] = {}
        areas: dict[tuple[Node, ...], set[int]] = {}
        stays: set[int] = set()
        for node in sorted(has, key=order):
            for other in sorted((o for o in beside[node] if o in stays), key=order):
                key = self._key(node, other)
                if key not in refused and not has[node] & has[other]:
                    moves[node] = other
                    areas[key] = has[node]
                    has[other] |= has[node]
                    break
            else:
                stays.add(node)
        return _Step(moves=moves, areas=areas)

    @cached_property
    def lacking(self) -> dict[tuple[int, int], float]:
        """Edges and the nodes that they lack, with the fraction of the edge at which each lies."""
        _, _, fraction = self._nearest
        inside = (fraction > 0) & (fraction < 1)
        return {
            (int(self.edge[at]), int(self.node[at])): float(fraction[at])
            for at in np.flatnonzero(inside)
        }

    @cached_property
    def widening(self) -> set[int]:
        """Edges beside which a gap or overlap grows wider than what is closed.

        Were they bent towards its narrow end, its wide end would come within reach the next time,
        and so on. Half of it is no use either: it stays for the planner.
        """
        drawing = self.drawing
        edges, nodes = (np.array(column) for column in zip(*self.lacking, strict=True))
        ends = drawing.edges
        at_node = np.zeros(len(drawing.node_mm), bool)
        at_node[nodes] = True
        leaving = np.flatnonzero(at_node[ends].any(axis=1))
        across = np.concatenate([ends[leaving], ends[leaving][:, ::-1]])
        across = across[at_node[across[:, 0]]]
        across = across[np.argsort(across[:, 0], kind="stable")]
        first, count = _run_of(across[:, 0], nodes)
        at = np.repeat(np.arange(len(nodes)), count)
        far = drawing.local_mm[across[first[at] + _nth(count), 1]]
        one, two = (drawing.local_mm[ends[edges[at], k]] for k in (0, 1))
        fraction = _fraction(far, one, two)
        off = _distance(far, one, two)
        wide = (off > _WITHIN_MM) & (off <= 2 * _WITHIN_MM) & (fraction > 0) & (fraction < 1)
        return set(edges[at[wide]].tolist())

    def _insertions(self, refused: Container[tuple[Node, ...]]) -> _Step:
        """Give edges the nodes that they lack, all of an edge's or none."""
        if not self.lacking:
            return _Step()
        has = self.drawing.areas_with(node for _, node in self.lacking)
        along = self.drawing.areas_along(edge for edge, _ in self.lacking)
        chosen, areas = [], {}
        for (edge, node), fraction in self.lacking.items():
            key = self._key(node, *self.drawing.edges[edge])
            if edge in self.widening or key in refused or has[node] & along[edge]:
                continue
            chosen.append((edge, fraction, node))
            areas[key] = along[edge]
        return _Step(insertions=sorted(chosen), areas=areas)

    def _key(self, *nodes: int | np.int64) -> tuple[Node, ...]:
        first, *others = ((int(x), int(y)) for x, y in self.drawing.node_mm[np.array(nodes)])
        return (first, *sorted(others))

    def left(
        self, refused: dict[tuple[Node, ...], Left]
    ) -> Iterator[tuple[int, tuple[float, float], Left]]:
        """Say what is still there, at which area, and why."""
        drawing = self.drawing
        if not (self.pairs or self.lacking):
            return
        has = drawing.areas_with(
            {node for pair in self.pairs for node in pair} | {node for _, node in self.lacking}
        )
        along = drawing.areas_along(edge for edge, _ in self.lacking)
        told = set()
        for edge, node in self.lacking:
            reason = refused.get(self._key(node, *drawing.edges[edge]))
            areas = along[edge]
            if reason is None and edge in self.widening:
                reason = Left.WIDENS
            elif reason is None:
                reason, areas = Left.OWN_NEEDLE, areas & has[node]
            told |= {(area, node, reason) for area in areas}
        for one, two in (order for pair in self.pairs for order in permutations(pair)):
            reason = refused.get(self._key(one, two))
            # What an area draws finer than 3 mm is its own affair.
            if reason and not has[one] & has[two]:
                told |= {(area, one, reason) for area in has[one]}
        for area, node, reason in sorted(told):
            x, y = drawing.node_xy[node]
            yield area, (float(x), float(y)), reason

    def slivers(self) -> Shapes:
        """The gaps and overlaps between the edges, narrower than what is closed, in `node_mm`."""
        edges = np.unique(np.concatenate([self.edge, self.other]))
        if not len(edges):
            return _no_shapes()
        low = self.drawing.node_mm.min(axis=0)
        noded = shapely.get_parts(shapely.union_all(self.drawing.lines[edges]))
        faces = shapely.get_parts(shapely.polygonize(noded))
        width = 2 * shapely.area(faces) / shapely.length(faces)
        narrow: Shapes = shapely.transform(faces[width <= _WITHIN_MM], lambda xy: xy + low)
        return narrow


def _along(drawing: _Drawing, g: Ints, h: Ints) -> tuple[Ints, Ints, Ints]:
    """Which of the pairs' four ends lie on the other edge, where the two run along each other.

    They do where two of the ends, further apart than what is closed, are within reach of the
    other edge; two that only meet there do not.

    Returns:
        The edges that lack an end, the ends, the edges that have them.
    """
    mm = drawing.local_mm
    ends = np.concatenate([drawing.edges[g], drawing.edges[h]], axis=1).T
    across = np.stack([h, h, g, g])
    one, two = (drawing.edges[across][..., k] for k in (0, 1))
    near = _distance(mm[ends], mm[one], mm[two]) <= _WITHIN_MM
    apart = np.hypot(*np.moveaxis(mm[ends][:, None] - mm[ends][None], -1, 0)) > _WITHIN_MM
    wanted = near & (apart & near[None]).any(axis=1) & (ends != one) & (ends != two)
    return across[wanted], ends[wanted], across[[2, 3, 0, 1]][wanted]


def _fraction(point: Floats, one: Floats, two: Floats) -> Floats:
    """Where on the line from one place to another a point lies, 0 to 1 between the two."""
    along = two - one
    fraction: Floats = ((point - one) * along).sum(axis=-1) / (along**2).sum(axis=-1)
    return fraction


def _distance(point: Floats, one: Floats, two: Floats) -> Floats:
    """How far points are from edges."""
    fraction = np.clip(_fraction(point, one, two), 0, 1)[..., None]
    off: Floats = np.hypot(*np.moveaxis(point - one - fraction * (two - one), -1, 0))
    return off


def _run_of(ordered: Ints, values: Ints) -> tuple[Ints, Ints]:
    """Where each value begins in an ordered array, and how often it stands there."""
    first = np.searchsorted(ordered, values, side="left")
    return first, np.searchsorted(ordered, values, side="right") - first


def _members(wanted: Iterable[int], keys: Ints, values: Ints) -> dict[int, set[int]]:
    """The values that stand beside each of these keys."""
    members: dict[int, set[int]] = {key: set() for key in wanted}
    is_wanted = np.zeros(keys.max(initial=-1) + 1, bool)
    is_wanted[list(members)] = True
    for at in np.flatnonzero(is_wanted[keys]):
        members[int(keys[at])].add(int(values[at]))
    return members


def _nth(counts: Ints) -> Ints:
    """Number the members of each run: 2, 0, 3 gives 0 1 0 1 2."""
    numbers: Ints = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return numbers


def _moved_mm(drawn: Shapes, originals: Shapes) -> Floats:
    """How far boundaries lie from what they were, at their nodes and at those that they had."""
    moved: Floats = 1000 * shapely.hausdorff_distance(
        shapely.boundary(drawn), shapely.boundary(originals)
    )
    return moved


def _closed(before: Shapes, after: Shapes) -> Shapes:
    """A point in each sliver that is gone."""
    places: Shapes = shapely.point_on_surface(before)
    still, _ = shapely.STRtree(after).query(places, predicate="dwithin", distance=_WITHIN_MM)
    return np.delete(places, still)


def _changes(now: _Drawing, originals: Shapes, closed: Shapes) -> dict[int, Change]:
    new = np.isnan(now.source).any(axis=1)
    moved = ~new & (now.xy != now.source).any(axis=1)
    moved[now.rings[1:] - 1] = False  # a ring ends where it begins
    areas = np.unique(now.area_at[new | moved])
    drawn = _shapes([now.boundary(area) for area in areas])
    moved_mm = np.maximum(_moved_mm(drawn, originals[areas]), now.moved_mm[areas])
    if (moved_mm > _WITHIN_MM).any():
        raise AssertionError("a boundary moved by more than 3 mm")
    counts = {
        what: np.bincount(now.area_at[mask], minlength=len(originals))
        for what, mask in (("new", new), ("moved", moved))
    }
    places = shapely.transform(closed, lambda xy: xy / 1000)
    at, _ = shapely.STRtree(originals[areas]).query(
        places, predicate="dwithin", distance=_WITHIN_MM / 1000
    )[::-1]
    slivers = np.bincount(at, minlength=len(areas))
    return {
        int(area): Change(
            boundary=drawn[row],
            nodes_added=int(counts["new"][area]),
            vertices_moved=int(counts["moved"][area]),
            largest_move_mm=float(moved_mm[row]),
            slivers_closed=int(slivers[row]),
        )
        for row, area in enumerate(areas)
    }


def _shapes(drawn: list[shapely.MultiPolygon]) -> Shapes:
    shapes: Shapes = np.empty(len(drawn), dtype=object)
    shapes[:] = drawn
    return shapes


def _no_shapes() -> Shapes:
    return np.empty(0, dtype=object)


def _no_ints() -> Ints:
    return np.empty(0, dtype=np.int64)
