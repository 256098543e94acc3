"""A city's QGIS project, made of the template: the layers of its kinds, copied for the scheme.

QGIS drops, without a word, what it does not find as it writes it itself. So nothing is composed
here: elements that QGIS wrote are copied, and only ids, names, sources, colours, scales and the
reference system in them are changed. `tools/qgis_template` says how the template is made.
"""

import copy
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files

import pyproj

from gridsvc.crs import Bounds, parse_crs
from gridsvc.grids.schemes import Layer, Scheme
from gridsvc.grids.terms import DrawnAs, LayerKind
from gridsvc.qgis.ground import Ground, extent
from gridsvc.qgis.looks import Look, looks, main_tilings

EDIT_THEME = "编辑 Edit"
PROBLEM_THEME = "问题 Problems"
IMPACT_THEME = "影响 Impact"
HISTORY_THEME = "历史 History"

# Examples in the template, by their ids, of what a scheme's layers are copied from.
_OF_AREAS = ("gridsvc_tiling", "gridsvc_overlay", "gridsvc_line", "gridsvc_surface")
_HISTORY = "gridsvc_hist"
_SIDES = ("xmin", "ymin", "xmax", "ymax")
_OUTLINED = ("gridsvc_tiling", _HISTORY)

Element = ET.Element


@dataclass(frozen=True, slots=True)
class _Copy:
    """A layer of the project that shows a layer of the scheme."""

    id: str
    example: str
    title: str
    table: tuple[str, str]
    of: Layer


def title(of: Mapping[str, str], default: str) -> str:
    """Give a title in Chinese and English as one text."""
    told = [of[language] for language in ("zh", "en") if of.get(language)]
    return " ".join(dict.fromkeys(told)) or next(iter(of.values()), default)


def project(scheme: Scheme, ground: Ground, *, service: str) -> bytes:
    """Make the project of a city.

    Args:
        scheme: Its layers, roles and storage CRS.
        ground: The size of its areas and where they lie.
        service: Name of the connection in the planner's pg_service.conf.

    Returns:
        The XML of a .qgs.
    """
    text = (files("gridsvc.qgis") / "template.qgs").read_text(encoding="utf-8")
    root = ET.fromstring(text)  # noqa: S314 -- it is our own
    return _Writer(root, scheme, ground, service).write()


class _Writer:
    """Turns the template into one city's project, part by part."""

    def __init__(self, root: Element, scheme: Scheme, ground: Ground, service: str) -> None:
        self._root = root
        self._scheme = scheme
        self._ground = ground
        self._service = service
        self._looks = looks(scheme, ground)
        self._spine = {layer.code for layer in main_tilings(scheme, ground)}
        self._copies = tuple(_copies(scheme))
        self._examples = {_text(it, "id"): it for it in _find(root, "projectlayers")}

    def write(self) -> bytes:
        self._name()
        self._lay_layers()
        self._plant_tree()
        self._list_layers()
        self._set_themes()
        self._set_layouts()
        self._fill_dropdowns()
        self._set_sources()
        self._set_crs()
        self._set_view()
        head = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
        return (head + ET.tostring(self._root, encoding="unicode") + "\n").encode()

    def _name(self) -> None:
        name = title(self._scheme.title, self._scheme.code)
        _find(self._root, "title").text = name
        _find(self._root, "projectMetadata/title").text = name
        self._root.set("projectname", name)

    def _lay_layers(self) -> None:
        layers = _find(self._root, "projectlayers")
        for copied in self._copies:
            layer = copy.deepcopy(self._examples[copied.example])
            _find(layer, "id").text = copied.id
            _find(layer, "layername").text = copied.title
            _find(layer, "datasource").text = _with_table(_text(layer, "datasource"), copied.table)
            _dress(layer, self._looks[copied.of.code], fills=copied.example not in _OUTLINED)
            layers.append(layer)
        for example in (*_OF_AREAS, _HISTORY):
            layers.remove(self._examples[example])

    def _plant_tree(self) -> None:
        for group in self._root.iter("layer-tree-group"):
            nodes = {node.get("id"): node for node in group.findall("layer-tree-layer")}
            for example in [it for it in (*_OF_AREAS, _HISTORY) if it in nodes]:
                group.remove(nodes[example])
            for copied in self._copies:
                if copied.example in nodes:
                    node = copy.deepcopy(nodes[copied.example])
                    node.set("id", copied.id)
                    node.set("name", copied.title)
                    node.set("source", _with_table(node.get("source", ""), copied.table))
                    shown = copied.id in self._shown(EDIT_THEME, _OF_AREAS)
                    node.set("checked", f"Qt::{'Checked' if shown else 'Unchecked'}")
                    group.append(node)

    def _list_layers(self) -> None:
        order = _find(self._root, "layerorder")
        snapping = _find(self._root, "snapping-settings/individual-layer-settings")
        for place in (order, snapping):
            _expand(place, self._copies)

    def _set_themes(self) -> None:
        for theme in self._root.iter("visibility-preset"):
            name = theme.get("name", "")
            _expand(theme, self._copies, self._shown(name, [*_OF_AREAS, _HISTORY]))

    def _shown(self, theme: str, examples: Iterable[str]) -> set[str]:
        """Give the ids of the copies of `examples` that a theme shows."""
        if theme == EDIT_THEME:
            codes = {code for code, look in self._looks.items() if look.is_on}
        else:
            codes = self._spine
        return {it.id for it in self._copies if it.example in examples and it.of.code in codes}

    def _set_layouts(self) -> None:
        street = _id(self._street())
        for atlas in self._root.iter("Atlas"):
            source = next(it for it in self._copies if it.id == street)
            atlas.set("coverageLayer", street)
            atlas.set("coverageLayerName", source.title)
            atlas.set(
                "coverageLayerSource",
                _with_table(atlas.get("coverageLayerSource", ""), source.table),
            )

    def _street(self) -> Layer:
        """Give the layer of which each area gets a sheet: streets, else the outermost but one."""
        tilings = [it for it in self._scheme.layers if it.kind is LayerKind.TILING]
        named = (it for it in tilings if it.code == "street")
        inner = (it for it in tilings if it.parent)
        return next(named, None) or next(inner, None) or self._scheme.layers[0]

    def _fill_dropdowns(self) -> None:
        values = {
            "layer": [(title(it.title, it.code), it.code) for it in self._scheme.layers],
            "role": [(title(it.title, it.code), it.code) for it in self._scheme.roles],
        }
        for field in self._root.iter("field"):
            choices = field.find("editWidget[@type='ValueMap']/config/Option/Option[@name='map']")
            if choices is not None and (told := values.get(field.get("name", ""))) is not None:
                example = choices[0]
                choices.clear()
                choices.attrib.update({"type": "List", "name": "map"})
                for shown, value in told:
                    choice = copy.deepcopy(example)
                    choice[0].attrib.update({"name": shown, "value": value})
                    choices.append(choice)

    def _set_sources(self) -> None:
        srid = parse_crs(self._scheme.storage_crs).epsg
        service = f"service='{self._service}' sslmode=prefer"

        def rewritten(source: str) -> str:
            source = re.sub(r"service='[^']*'", service, source)
            return re.sub(r"srid=\d+", f"srid={srid}", source)

        for element in self._root.iter():
            if element.tag == "datasource" and element.text:
                element.text = rewritten(element.text)
            for key, value in element.items():
                if "service='" in value:
                    element.set(key, rewritten(value))

    def _set_crs(self) -> None:
        crs = pyproj.CRS.from_user_input(self._scheme.storage_crs)
        name, _, code = self._scheme.storage_crs.partition(":")
        operation = crs.coordinate_operation
        values = {
            "wkt": crs.to_wkt(),
            # QGIS takes all from the code; what it calls the system is in its own list.
            "proj4": "",
            "srsid": "0",
            "srid": code,
            "authid": f"{name}:{code}",
            "description": crs.name,
            "projectionacronym": "" if operation is None else operation.method_name,
            "ellipsoidacronym": "",
            "geographicflag": "false",
        }
        for block in self._root.iter("spatialrefsys"):
            if block.findtext("authid"):
                for key, value in values.items():
                    _find(block, key).text = value

    def _set_view(self) -> None:
        bounds = _with_margin(self._ground.bounds)
        for canvas in self._root.iter("mapcanvas"):
            _set_extent(_find(canvas, "extent"), bounds)
        for view in self._root.iter("DefaultViewExtent"):
            view.attrib.update(zip(_SIDES, map(repr, bounds), strict=True))
        for layer in _find(self._root, "projectlayers"):
            if (box := layer.find("extent")) is not None:
                _set_extent(box, extent(self._scheme))
            if (box := layer.find("wgs84extent")) is not None:
                _set_extent(box, self._scheme.extent.bounds)
        for item in self._root.iter("LayoutItem"):
            if (box := item.find("Extent")) is not None:
                width, height, _ = item.get("size", "").split(",")
                shaped = _shaped(bounds, float(width) / float(height))
                box.attrib.update(zip(_SIDES, map(repr, shaped), strict=True))


def _copies(scheme: Scheme) -> Iterator[_Copy]:
    # What tiles lies on top: its outlines hide nothing.
    ordered = sorted(scheme.layers, key=lambda layer: layer.kind is not LayerKind.TILING)
    for layer in ordered:
        name = title(layer.title, layer.code)
        is_line = layer.drawn_as is DrawnAs.LINE
        example = f"gridsvc_{'line' if is_line else layer.kind.value}"
        yield _Copy(_id(layer), example, name, ("edit", layer.code), layer)
        if is_line:
            table = f"{layer.code}_surface"
            both = {"zh": f"{layer.title.get('zh', name)}面", "en": _english(layer, "surface")}
            copied = f"gridsvc_edit_{table}"
            yield _Copy(copied, "gridsvc_surface", title(both, name), ("edit", table), layer)
    for layer in ordered:
        name = title(layer.title, layer.code)
        both = {"zh": f"{layer.title.get('zh', name)}历史", "en": _english(layer, "history")}
        copied = f"gridsvc_hist_{layer.code}"
        yield _Copy(copied, _HISTORY, title(both, name), ("hist", layer.code), layer)


def _english(layer: Layer, what: str) -> str:
    name = layer.title.get("en")
    return f"{name}, {what}" if name else what.capitalize()


def _id(layer: Layer) -> str:
    return f"gridsvc_edit_{layer.code}"


def _expand(place: Element, copies: Iterable[_Copy], only: set[str] | None = None) -> None:
    """Put in the place of each example's child those of its copies, each with its id."""
    children = list(place)
    place[:] = []
    for child in children:
        if child.get("id") not in (*_OF_AREAS, _HISTORY):
            place.append(child)
            continue
        for copied in copies:
            if copied.example == child.get("id") and (only is None or copied.id in only):
                twin = copy.deepcopy(child)
                twin.set("id", copied.id)
                place.append(twin)


def _dress(layer: Element, look: Look, *, fills: bool) -> None:
    red, green, blue = look.colour
    solid = f"{red},{green},{blue},255"
    for symbol in layer.iterfind("renderer-v2/symbols/symbol/layer/Option"):
        options = {option.get("name"): option for option in symbol}
        for name in ("outline_color", "line_color"):
            if name in options:
                options[name].set("value", solid)
        if "color" in options:
            alpha = options["color"].get("value", "").split(",")[3] if fills else "0"
            options["color"].set("value", f"{red},{green},{blue},{alpha}")
        if "outline_width" in options and not fills:
            options["outline_width"].set("value", f"{look.outline_mm:g}")
    if look.seen_from:
        layer.set("hasScaleBasedVisibilityFlag", "1")
        layer.set("minScale", str(look.seen_from))
        layer.set("maxScale", "0")
    for style in layer.iterfind("labeling/settings/text-style"):
        style.set("textColor", f"{red * 3 // 4},{green * 3 // 4},{blue * 3 // 4},255")
        style.set("fontSize", f"{look.label_pt:g}")
    for rendering in layer.iterfind("labeling/settings/rendering"):
        rendering.set("scaleVisibility", "1")
        rendering.set("scaleMin", str(look.labelled_up_to))
        rendering.set("scaleMax", str(look.labelled_from))


def _with_table(source: str, table: tuple[str, str]) -> str:
    schema, name = table
    return re.sub(r'table="[^"]*"\."[^"]*"', f'table="{schema}"."{name}"', source)


def _with_margin(bounds: Bounds) -> Bounds:
    west, south, east, north = bounds
    margin = 0.03 * max(east - west, north - south)
    return west - margin, south - margin, east + margin, north + margin


def _shaped(bounds: Bounds, ratio: float) -> Bounds:
    """Widen a box to a sheet's ratio of width to height."""
    west, south, east, north = bounds
    wider = max((north - south) * ratio - (east - west), 0) / 2
    higher = max((east - west) / ratio - (north - south), 0) / 2
    return west - wider, south - higher, east + wider, north + higher


def _set_extent(box: Element, bounds: Bounds) -> None:
    for key, value in zip(_SIDES, bounds, strict=True):
        _find(box, key).text = repr(value)


def _find(place: Element, path: str) -> Element:
    found = place.find(path)
    if found is None:  # pragma: no cover -- a template built by an older script
        raise LookupError(f"the template has no {path}; build it again with `make qgis-template`")
    return found


def _text(place: Element, path: str) -> str:
    return _find(place, path).text or ""
