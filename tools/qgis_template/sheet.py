"""The print layout: a sheet for each street."""

from qgis.core import (
    QgsLayoutItemLabel,
    QgsLayoutItemLegend,
    QgsLayoutItemMap,
    QgsLayoutItemMapAtlasClippingSettings,
    QgsLayoutItemPage,
    QgsLayoutItemPicture,
    QgsLayoutItemScaleBar,
    QgsLayoutPoint,
    QgsLayoutSize,
    QgsLegendStyle,
    QgsPrintLayout,
    QgsProject,
    QgsScaleBarSettings,
    QgsUnitTypes,
    QgsVectorLayer,
)
from qgis.PyQt.QtGui import QFont

from tools.qgis_template.styles import FONTS, text_format

_NEWEST = "aggregate('gridsvc_change_set', 'max', \"newest_revision\")"
_SHOWN = "aggregate('gridsvc_change_set', 'concatenate', \"name\", filter:=\"is_shown\")"
_DRAFT = f"coalesce('  草稿 Draft: ' || nullif({_SHOWN}, ''), '')"


def lay_out(project: QgsProject, layers: dict[str, QgsVectorLayer]) -> None:
    """Add the layout: A3 across, the map at the left, what explains it at the right."""
    layout = QgsPrintLayout(project)
    layout.initializeDefaults()
    layout.setName("街道图 Street map")
    page: QgsLayoutItemPage = layout.pageCollection().page(0)
    page.setPageSize("A3", QgsLayoutItemPage.Landscape)
    _add_label(
        layout,
        "[% @project_title %] · [% coalesce(attribute(@atlas_feature, 'name'), "
        "attribute(@atlas_feature, 'code')) %]",
        at=(10, 8, 330, 14),
        size=22,
        bold=True,
    )
    plan = _add_map(layout, layers["tiling"])
    _add_legend(layout, plan)
    _add_north(layout, plan)
    _add_bar(layout, plan)
    _add_label(
        layout,
        f"版本 Revision [% coalesce({_NEWEST}, 0) %][% {_DRAFT} %]\n"
        "比例尺 Scale 1:[% round(item_variables('map')['map_scale']) %]\n"
        "[% @project_crs %]\n"
        "打印 Printed [% format_date(now(), 'yyyy-MM-dd HH:mm') %]",
        at=(346, 264, 66, 22),
        size=9,
    )
    atlas = layout.atlas()
    atlas.setEnabled(True)
    atlas.setCoverageLayer(layers["tiling"])
    atlas.setPageNameExpression('coalesce("name", "code")')
    atlas.setFilenameExpression("'street-' || \"code\"")
    atlas.setSortFeatures(True)
    atlas.setSortExpression('"code"')
    project.layoutManager().addLayout(layout)


def _add_map(layout: QgsPrintLayout, shown: QgsVectorLayer) -> QgsLayoutItemMap:
    plan = QgsLayoutItemMap(layout)
    plan.attemptMove(QgsLayoutPoint(10, 26))
    plan.attemptResize(QgsLayoutSize(330, 256))
    plan.setFrameEnabled(True)
    plan.setId("map")
    plan.zoomToExtent(shown.extent())  # unlike setExtent it leaves the frame its shape
    plan.setAtlasDriven(True)
    plan.setAtlasScalingMode(QgsLayoutItemMap.Auto)
    plan.setAtlasMargin(0.05)
    plan.setFollowVisibilityPreset(True)
    plan.setFollowVisibilityPresetName("编辑 Edit")
    clipping: QgsLayoutItemMapAtlasClippingSettings = plan.atlasClippingSettings()
    clipping.setEnabled(True)
    clipping.setForceLabelsInsideFeature(True)
    layout.addLayoutItem(plan)
    return plan


def _add_legend(layout: QgsPrintLayout, plan: QgsLayoutItemMap) -> None:
    legend = QgsLayoutItemLegend(layout)
    legend.setTitle("图例 Legend")
    legend.setLinkedMap(plan)
    legend.setLegendFilterByMapEnabled(True)
    legend.setAutoUpdateModel(True)
    for style, size in (
        (QgsLegendStyle.Title, 14),
        (QgsLegendStyle.Group, 11),
        (QgsLegendStyle.Subgroup, 10),
        (QgsLegendStyle.SymbolLabel, 9),
    ):
        legend.setStyleFont(style, _font(size))
    legend.attemptMove(QgsLayoutPoint(346, 42))
    layout.addLayoutItem(legend)


def _add_north(layout: QgsPrintLayout, plan: QgsLayoutItemMap) -> None:
    north = QgsLayoutItemPicture(layout)
    north.setPicturePath(":/images/north_arrows/layout_default_north_arrow.svg")
    north.setLinkedMap(plan)
    north.attemptMove(QgsLayoutPoint(385, 10))
    north.attemptResize(QgsLayoutSize(20, 26))
    layout.addLayoutItem(north)


def _add_bar(layout: QgsPrintLayout, plan: QgsLayoutItemMap) -> None:
    bar = QgsLayoutItemScaleBar(layout)
    bar.setStyle("Single Box")
    bar.setLinkedMap(plan)
    bar.setUnits(QgsUnitTypes.DistanceMeters)
    bar.setUnitLabel("米 m")
    bar.setSegmentSizeMode(QgsScaleBarSettings.SegmentSizeFitWidth)
    bar.setMinimumBarWidth(30)
    bar.setMaximumBarWidth(62)
    bar.setNumberOfSegments(2)
    bar.setNumberOfSegmentsLeft(0)
    bar.setTextFormat(text_format(9, (0, 0, 0)))
    bar.attemptMove(QgsLayoutPoint(346, 250))
    layout.addLayoutItem(bar)


def _font(size: float, *, bold: bool = False) -> QFont:
    font = QFont(FONTS[0])
    font.setPointSizeF(size)
    font.setBold(bold)
    return font


def _add_label(
    layout: QgsPrintLayout,
    text: str,
    *,
    at: tuple[float, float, float, float],
    size: float,
    bold: bool = False,
) -> None:
    label = QgsLayoutItemLabel(layout)
    label.setText(text)
    label.setFont(_font(size, bold=bold))
    label.attemptMove(QgsLayoutPoint(*at[:2]))
    label.attemptResize(QgsLayoutSize(*at[2:]))
    layout.addLayoutItem(label)
