"""How the exported layers look in QGIS: its own style files, written without QGIS.

Attributes and elements are those that QGIS 3.22 writes (qgsrendererv2, version 3.22 of the format);
later versions read them too.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from xml.etree import ElementTree as ET

from gridsvc.hotspots.looks import Look

OUTLINE = "#6b6b6b"

VERSION = "3.22.16-Białowieża"


class Span(NamedTuple):
    """A class of numbers: above `low`, up to `high`."""

    low: float
    high: float
    label: str
    colour: str


def classes(attribute: str, looks: Mapping[str, Look], *, opacity: float = 0.8) -> str:
    """Colour polygons by a text: one class for each of its values, labelled in both languages.

    Args:
        attribute: Column of the layer.
        looks: By value.
        opacity: Of the fill, 0 to 1.
    """
    root, renderer = _renderer("categorizedSymbol", attribute)
    categories = ET.SubElement(renderer, "categories")
    symbols = ET.SubElement(renderer, "symbols")
    for number, (value, look) in enumerate(looks.items()):
        ET.SubElement(
            categories,
            "category",
            value=value,
            type="string",
            symbol=str(number),
            label=f"{look.title['zh']} {look.title['en']}",
            render="true",
        )
        _fill(symbols, number, look.colour, opacity)
    return _text(root)


def spans(
    attribute: str, steps: Sequence[Span], *, opacity: float = 0.8, has_outline: bool = True
) -> str:
    """Colour polygons by a number.

    Args:
        attribute: Column of the layer.
        steps: From the lowest to the highest.
        opacity: Of the fill, 0 to 1.
        has_outline: Whether each polygon shows where it ends; a surface does not.
    """
    root, renderer = _renderer("graduatedSymbol", attribute, graduatedMethod="GraduatedColor")
    ranges = ET.SubElement(renderer, "ranges")
    symbols = ET.SubElement(renderer, "symbols")
    for number, step in enumerate(steps):
        ET.SubElement(
            ranges,
            "range",
            lower=repr(step.low),
            upper=repr(step.high),
            symbol=str(number),
            label=step.label,
            render="true",
        )
        _fill(symbols, number, step.colour, opacity, has_outline=has_outline)
    return _text(root)


def outlines(colour: str, *, label: str, width_mm: float = 0.8) -> str:
    """Draw polygons as outlines, each labelled by a column."""
    return _single(
        "fill",
        "SimpleFill",
        label,
        style="no",
        outline_color=_rgba(colour),
        outline_width=str(width_mm),
        outline_width_unit="MM",
    )


def markers(colour: str, *, label: str, size_mm: float = 3.0) -> str:
    """Draw points as discs, each labelled by a column."""
    return _single(
        "marker",
        "SimpleMarker",
        label,
        name="circle",
        color=_rgba(colour),
        outline_color="255,255,255,255",
        size=str(size_mm),
        size_unit="MM",
    )


def ramp(
    values: Sequence[float], colours: Sequence[str], *, unit: str, decimals: int = 0
) -> tuple[Span, ...]:
    """Divide numbers into as many spans as there are colours, each with about as many of them.

    Equal numbers are never divided, so there may be fewer spans than colours; then the strongest
    colours stay.
    """
    ordered = sorted(values)
    if not ordered:
        return ()
    cuts = [ordered[round(i * (len(ordered) - 1) / len(colours))] for i in range(len(colours) + 1)]
    edges = sorted({round(cut, decimals) for cut in cuts[1:-1]} | {_up(ordered[-1], decimals)})
    low = min(ordered[0], 0.0)
    kept = colours[-len(edges) :]
    steps = []
    for high, colour in zip(edges, kept, strict=True):
        steps.append(Span(low, high, f"{low:,.{decimals}f} – {high:,.{decimals}f} {unit}", colour))
        low = high
    return tuple(steps)


def _up(value: float, decimals: int) -> float:
    rounded = round(value, decimals)
    return rounded if rounded >= value else rounded + 10.0**-decimals


def _renderer(
    kind: str, attribute: str | None = None, **more: str
) -> tuple[ET.Element, ET.Element]:
    root = ET.Element("qgis", version=VERSION, styleCategories="Symbology|Labeling")
    told = {"type": kind, "symbollevels": "0", "forceraster": "0", **more}
    if attribute is not None:
        told["attr"] = attribute
    renderer = ET.SubElement(root, "renderer-v2", told)
    return root, renderer


def _single(symbol_type: str, kind: str, label: str, **options: str) -> str:
    root, renderer = _renderer("singleSymbol")
    symbols = ET.SubElement(renderer, "symbols")
    symbol = ET.SubElement(symbols, "symbol", type=symbol_type, name="0", alpha="1")
    _options(symbol, kind, **options)
    _labelled(root, label)
    return _text(root)


def _fill(
    symbols: ET.Element, number: int, colour: str, opacity: float, *, has_outline: bool = True
) -> None:
    symbol = ET.SubElement(
        symbols, "symbol", type="fill", name=str(number), alpha=str(opacity), clip_to_extent="1"
    )
    _options(
        symbol,
        "SimpleFill",
        color=_rgba(colour),
        style="solid",
        outline_style="solid" if has_outline else "no",
        outline_color=_rgba(OUTLINE),
        outline_width="0.1",
        outline_width_unit="MM",
    )


def _options(symbol: ET.Element, kind: str, **options: str) -> None:
    layer = ET.SubElement(symbol, "layer", {"class": kind, "enabled": "1", "locked": "0"})
    told = ET.SubElement(layer, "Option", type="Map")
    for name, value in options.items():
        ET.SubElement(told, "Option", type="QString", name=name, value=value)


def _labelled(root: ET.Element, attribute: str) -> None:
    labeling = ET.SubElement(root, "labeling", type="simple")
    settings = ET.SubElement(labeling, "settings")
    style = ET.SubElement(
        settings, "text-style", fieldName=attribute, fontSize="9", textColor="34,34,34,255"
    )
    ET.SubElement(style, "text-buffer", bufferDraw="1", bufferSize="0.8")


def _rgba(colour: str) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"{red},{green},{blue},255"


def _text(root: ET.Element) -> str:
    return ET.tostring(root, encoding="unicode")
