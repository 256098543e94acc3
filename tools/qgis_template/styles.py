"""Symbols and labels of the template's layers."""

from collections.abc import Iterator

from qgis.core import (
    Qgis,
    QgsCategorizedSymbolRenderer,
    QgsFillSymbol,
    QgsLineSymbol,
    QgsMarkerSymbol,
    QgsPalLayerSettings,
    QgsRendererCategory,
    QgsRuleBasedRenderer,
    QgsSymbol,
    QgsTextBufferSettings,
    QgsTextFormat,
    QgsUnitTypes,
    QgsVectorLayer,
    QgsVectorLayerSimpleLabeling,
    QgsVectorLayerTemporalProperties,
    QgsWkbTypes,
)
from qgis.PyQt.QtGui import QColor, QFont

from tools.qgis_template.fields import STATES

# The first that a planner's machine has is taken: Windows, macOS, Linux.
FONTS = (
    "Microsoft YaHei",
    "PingFang SC",
    "Noto Sans CJK SC",
    "Source Han Sans SC",
    "WenQuanYi Zen Hei",
)
WHAT_COLOURS = {"changed": (230, 145, 0), "new": (40, 160, 60), "ended": (130, 130, 130)}


def style(layers: dict[str, QgsVectorLayer]) -> None:
    """Give every layer its symbols, labels and map tips, and say which are only looked at."""
    _style_areas(layers)
    _style_problems(layers)
    _style_history(layers)
    for kind in ("tiling", "overlay", "line", "hist"):
        _label(layers[kind], _SHORT_CODE)
    for kind in ("impact_area", "impact_report"):
        _style_impact(layers[kind])
    for layer in layers.values():
        columns = {field.name() for field in layer.fields()}
        if {"code", "name"} <= columns:
            layer.setDisplayExpression('concat("code", \' \' || "name")')
        layer.setMapTipTemplate(_tip(columns))
    layers["party"].setDisplayExpression('concat("name", \' \', "code")')
    layers["assignment"].setDisplayExpression(
        'concat("party_code", \' · \', represent_value("role"), \' · \', "area_code")'
    )
    for kind in ("problem_point", "problem_part", "surface", "impact", "impact_area"):
        layers[kind].setReadOnly(True)
    for kind in ("impact_total", "impact_report", "hist", "hist_change"):
        layers[kind].setReadOnly(True)


def _tip(columns: set[str]) -> str:
    if "message_zh" in columns:
        return '<b>[% represent_value("kind") %]</b><br>[% "message_zh" %]<br>[% "message" %]'
    if {"change_set", "author"} <= columns:
        return (
            '<b>[% "code" %]</b><br>[% "author" %] · [% "change_set" %]<br>'
            '[% "note" %]<br>版本 Revision [% "revision" %]'
        )
    return '[% "code" %] [% "name" %]' if "name" in columns else '[% "code" %]'


# Fifteen digits do not fit in a unit grid; what they end with tells it from its neighbours.
_SHORT_CODE = 'coalesce("name", if(length("code") > 9, \'…\' || right("code", 6), "code"))'


def _style_areas(layers: dict[str, QgsVectorLayer]) -> None:
    outline = {"outline_style": "solid", "joinstyle": "round", "outline_width_unit": "MM"}
    layers["tiling"].renderer().setSymbol(
        QgsFillSymbol.createSimple(
            {
                **outline,
                "color": "31,120,180,0",
                "outline_color": "31,120,180,255",
                "outline_width": "0.46",
            }
        )
    )
    layers["overlay"].renderer().setSymbol(
        QgsFillSymbol.createSimple(
            {
                **outline,
                "color": "181,137,0,45",
                "outline_color": "181,137,0,255",
                "outline_width": "0.26",
            }
        )
    )
    layers["surface"].renderer().setSymbol(
        QgsFillSymbol.createSimple(
            {
                **outline,
                "color": "110,110,110,60",
                "outline_color": "110,110,110,160",
                "outline_width": "0.1",
            }
        )
    )
    layers["line"].renderer().setSymbol(
        QgsLineSymbol.createSimple(
            {"line_color": "110,110,110,255", "line_width": "0.6", "line_style": "dash"}
        )
    )
    layers["proposal"].setRenderer(
        QgsCategorizedSymbolRenderer(
            "what", [QgsRendererCategory(*looks) for looks in _looks_of_changes()]
        )
    )


def _looks_of_changes() -> Iterator[tuple[str, QgsFillSymbol, str]]:
    for title, value in STATES.items():
        if value not in WHAT_COLOURS:
            continue
        red, green, blue = WHAT_COLOURS[value]
        symbol = QgsFillSymbol.createSimple(
            {
                "color": f"{red},{green},{blue},38",
                "outline_color": f"{red},{green},{blue},255",
                "outline_width": "0.9",
                "outline_style": "dash" if value == "ended" else "solid",
            }
        )
        yield value, symbol, title


def _style_problems(layers: dict[str, QgsVectorLayer]) -> None:
    looks = (
        ("阻止发布 Stops", '"stops"', (214, 0, 28)),
        ("提醒 Told only", 'NOT "stops"', (240, 120, 0)),
    )
    for kind in ("problem_part", "problem_point"):
        root = QgsRuleBasedRenderer.Rule(None)
        for title, rule, (red, green, blue) in looks:
            colour = f"{red},{green},{blue}"
            if kind == "problem_part":
                symbol: QgsSymbol = QgsFillSymbol.createSimple(
                    {
                        "color": f"{colour},120",
                        "outline_color": f"{colour},255",
                        "outline_width": "0.7",
                    }
                )
            else:
                symbol = QgsMarkerSymbol.createSimple(
                    {
                        "name": "diamond",
                        "color": f"{colour},255",
                        "outline_color": "255,255,255,255",
                        "outline_width": "0.5",
                        "size": "4.6",
                    }
                )
            root.appendChild(QgsRuleBasedRenderer.Rule(symbol, 0, 0, rule, title))
        layers[kind].setRenderer(QgsRuleBasedRenderer(root))
        layers[kind].setRefreshOnNotifyEnabled(True)
        layers[kind].setRefreshOnNofifyMessage("problems")
    _label(layers["problem_point"], 'represent_value("kind")', colour=(160, 0, 20), size=9)
    settings = layers["problem_point"].labeling().settings()
    settings.placement = QgsPalLayerSettings.OrderedPositionsAroundPoint
    settings.dist = 2.4
    settings.displayAll = True
    layers["problem_point"].setLabeling(QgsVectorLayerSimpleLabeling(settings))


# Without a time chosen in the temporal controller only the newest state is drawn, not all states
# on top of each other, and only what the newest revision changed.
_NOW_OR_THEN = '@map_start_time IS NOT NULL OR "shown_to" IS NULL'
_NEWEST_CHANGE = (
    "@map_start_time IS NOT NULL OR "
    '("revision" > 1 AND "revision" = aggregate(@layer, \'max\', "revision"))'
)


def _style_history(layers: dict[str, QgsVectorLayer]) -> None:
    symbol = QgsFillSymbol.createSimple(
        {
            "color": "31,120,180,0",
            "outline_color": "31,120,180,255",
            "outline_width": "0.46",
            "outline_style": "solid",
            "joinstyle": "round",
        }
    )
    root = QgsRuleBasedRenderer.Rule(None)
    root.appendChild(QgsRuleBasedRenderer.Rule(symbol, 0, 0, _NOW_OR_THEN, "当时 As of then"))
    layers["hist"].setRenderer(QgsRuleBasedRenderer(root))
    root = QgsRuleBasedRenderer.Rule(None)
    for value, symbol, title in _looks_of_changes():
        rule = f"\"what\" = '{value}' AND ({_NEWEST_CHANGE})"
        root.appendChild(QgsRuleBasedRenderer.Rule(symbol, 0, 0, rule, title))
    layers["hist_change"].setRenderer(QgsRuleBasedRenderer(root))
    temporal: QgsVectorLayerTemporalProperties = layers["hist"].temporalProperties()
    temporal.setMode(QgsVectorLayerTemporalProperties.ModeFeatureDateTimeStartAndEndFromFields)
    temporal.setStartField("shown_from")
    temporal.setEndField("shown_to")
    temporal.setLimitMode(Qgis.VectorTemporalLimitMode.IncludeBeginExcludeEnd)
    temporal.setIsActive(True)
    temporal = layers["hist_change"].temporalProperties()
    temporal.setMode(QgsVectorLayerTemporalProperties.ModeFeatureDateTimeInstantFromField)
    temporal.setStartField("published_at")
    temporal.setLimitMode(Qgis.VectorTemporalLimitMode.IncludeBeginExcludeEnd)
    temporal.setIsActive(True)


def _style_impact(layer: QgsVectorLayer) -> None:
    if layer.geometryType() == QgsWkbTypes.PolygonGeometry:
        symbol: QgsSymbol = QgsFillSymbol.createSimple(
            {"color": "123,50,148,60", "outline_color": "123,50,148,255", "outline_width": "0.7"}
        )
    else:
        symbol = QgsMarkerSymbol.createSimple(
            {
                "name": "circle",
                "color": "123,50,148,220",
                "outline_color": "255,255,255,255",
                "size": "2.4",
            }
        )
    layer.renderer().setSymbol(symbol)


def text_format(size: float, colour: tuple[int, int, int]) -> QgsTextFormat:
    """Give text that Chinese is readable in on any map.

    Args:
        size: Points.
        colour: Red, green, blue.
    """
    text = QgsTextFormat()
    text.setFont(QFont(FONTS[0]))
    text.setFamilies(list(FONTS))
    text.setSize(size)
    text.setSizeUnit(QgsUnitTypes.RenderPoints)
    text.setColor(QColor(*colour))
    buffer = QgsTextBufferSettings()
    buffer.setEnabled(True)
    buffer.setSize(0.8)
    buffer.setSizeUnit(QgsUnitTypes.RenderMillimeters)
    buffer.setColor(QColor(255, 255, 255, 230))
    text.setBuffer(buffer)
    return text


def _label(
    layer: QgsVectorLayer,
    expression: str,
    *,
    colour: tuple[int, int, int] = (31, 120, 180),
    size: float = 10,
) -> None:
    settings = QgsPalLayerSettings()
    settings.fieldName = expression
    settings.isExpression = True
    settings.setFormat(text_format(size, colour))
    settings.scaleVisibility = layer.geometryType() != QgsWkbTypes.PointGeometry
    settings.minimumScale = 25000
    settings.maximumScale = 500
    if layer.geometryType() == QgsWkbTypes.PolygonGeometry:
        settings.placement = QgsPalLayerSettings.Horizontal
        settings.centroidWhole = False
        # Areas lie in each other, so each would keep the labels of the others off its edges.
        obstacle = settings.obstacleSettings()
        obstacle.setIsObstacle(False)
        settings.setObstacleSettings(obstacle)
        settings.labelPerPart = False
    if layer.geometryType() == QgsWkbTypes.LineGeometry:
        settings.placement = QgsPalLayerSettings.Line
    layer.setLabeling(QgsVectorLayerSimpleLabeling(settings))
    layer.setLabelsEnabled(True)
