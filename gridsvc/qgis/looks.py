"""How a city's layers look: told apart by colour, shown at the scales where they can be read."""

from collections.abc import Iterator
from dataclasses import dataclass

from gridsvc.grids.schemes import Layer, Scheme
from gridsvc.grids.terms import LayerKind
from gridsvc.qgis.ground import Ground

Colour = tuple[int, int, int]

# Red and orange are left to problems, amber, green and grey to what a change set does.
_TILING_COLOURS: tuple[Colour, ...] = (
    (45, 45, 45),
    (106, 61, 154),
    (31, 120, 180),
    (0, 121, 107),
    (140, 81, 10),
    (84, 110, 122),
)
_OVERLAY_COLOURS: tuple[Colour, ...] = (
    (46, 125, 50),
    (97, 97, 97),
    (158, 119, 0),
    (94, 79, 162),
    (194, 24, 91),
    (0, 131, 143),
    (121, 85, 72),
)
_WIDEST_MM, _THINNEST_MM = 1.1, 0.3

# An area as large as its layer's median is seen from this size on, on the map at its scale, ...
_SEEN_FROM_MM = 2.0
# ... unless a screen of so many square metres would then hold more areas than this.
_SCREEN_M2 = 0.1
_SEEN_AT_ONCE = 1500
_LABELLED_FROM_MM = {LayerKind.TILING: 11.0, LayerKind.OVERLAY: 18.0}
# A label in the middle of so large an area is mostly elsewhere than on the screen.
_LABELLED_UP_TO_MM = 450.0

_LARGEST_PT, _SMALLEST_PT = 13.0, 8.0


@dataclass(frozen=True, slots=True)
class Look:
    """How one layer looks.

    Attributes:
        colour: Red, green, blue, 0 to 255.
        outline_mm: Width of the outline.
        label_pt: Size of the label.
        seen_from: Denominator of the smallest scale at which it is drawn; None is at all.
        labelled_from: The same of its labels.
        labelled_up_to: Denominator of the largest scale at which it is labelled.
        is_on: Whether planners see it before they choose anything.
    """

    colour: Colour
    outline_mm: float
    label_pt: float
    seen_from: int | None
    labelled_from: int
    labelled_up_to: int
    is_on: bool


def looks(scheme: Scheme, ground: Ground) -> dict[str, Look]:
    """Give each layer of a scheme its look.

    Args:
        scheme: Its layers, from the outside in.
        ground: The sizes of its areas; those of a layer without any are taken for a tenth of
            those in which they lie.
    """
    spine = main_tilings(scheme, ground)
    sizes = dict(_sizes(scheme, ground))
    colours = {
        kind: iter(range(len(scheme.layers))) for kind in (LayerKind.TILING, LayerKind.OVERLAY)
    }
    given = {}
    for layer in scheme.layers:
        palette = _TILING_COLOURS if layer.kind is LayerKind.TILING else _OVERLAY_COLOURS
        tiles = layer.kind is LayerKind.TILING
        rank = _depth(scheme, layer)
        side_mm = sizes[layer.code] * 1000
        seen_from = min(side_mm / _SEEN_FROM_MM, _crowded_from(layer, ground))
        given[layer.code] = Look(
            colour=palette[next(colours[layer.kind]) % len(palette)],
            outline_mm=max(_WIDEST_MM - 0.25 * rank, _THINNEST_MM) if tiles else 0.26,
            label_pt=max(_LARGEST_PT - 1.5 * rank, _SMALLEST_PT) if tiles else _SMALLEST_PT,
            seen_from=_scale(seen_from) if layer.parent else None,
            labelled_from=_scale(side_mm / _LABELLED_FROM_MM[layer.kind]),
            labelled_up_to=_scale(side_mm / _LABELLED_UP_TO_MM),
            is_on=layer in spine or not tiles,
        )
    return given


def main_tilings(scheme: Scheme, ground: Ground) -> tuple[Layer, ...]:
    """Give the longest chain of tilings, from the outside in; of equals the finer one.

    Others, such as patrol areas, run across it: all at once nobody could read.
    """
    sizes = dict(_sizes(scheme, ground))
    chains = [
        tuple(reversed([layer, *_above(scheme, layer)]))
        for layer in scheme.layers
        if layer.kind is LayerKind.TILING
    ]
    return max(chains, key=lambda chain: (len(chain), -sizes[chain[-1].code]), default=())


def _above(scheme: Scheme, layer: Layer) -> Iterator[Layer]:
    while layer.parent and (parent := scheme.layer(layer.parent)):
        yield parent
        layer = parent


def _depth(scheme: Scheme, layer: Layer) -> int:
    return sum(1 for _ in _above(scheme, layer))


_WHOLE_CITY_M = 5000.0


def _crowded_from(layer: Layer, ground: Ground) -> float:
    """Give the denominator of the scale at which a screen shows as many areas as it may."""
    count = ground.counts.get(layer.code, 0)
    if not count:
        return float("inf")
    return float((_SEEN_AT_ONCE / count * ground.area_m2 / _SCREEN_M2) ** 0.5)


def _sizes(scheme: Scheme, ground: Ground) -> Iterator[tuple[str, float]]:
    sides_m = ground.sides_m
    for layer in scheme.layers:
        size = sides_m.get(layer.code)
        if size is None:
            above = (sides_m.get(it.code) for it in _above(scheme, layer))
            size = next((it / 10**0.5 for it in above if it), None)
        yield layer.code, size or _WHOLE_CITY_M / 10 ** (0.5 * _depth(scheme, layer))


def _scale(denominator: float) -> int:
    """Round to two digits: 1:17,000 rather than 1:17,253."""
    digits = len(str(int(denominator))) - 2
    return max(int(round(denominator, -digits)), 1)
