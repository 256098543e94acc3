"""What classes of hotspots are called and how they look: on the map, in QGIS, in notebooks.

Colours are ColorBrewer's RdBu, which readers with any of the usual deficiencies of colour vision
tell apart (colorbrewer2.org); red is more, blue is less.
"""

from dataclasses import dataclass

Title = dict[str, str]


@dataclass(frozen=True, slots=True)
class Look:
    """How a class is told.

    Attributes:
        title: By language.
        colour: #rrggbb.
    """

    title: Title
    colour: str


KINDS: dict[str, Look] = {
    "hot_99": Look({"zh": "热点（q < 0.01）", "en": "Hot (q < 0.01)"}, "#b2182b"),
    "hot_95": Look({"zh": "热点（q < 0.05）", "en": "Hot (q < 0.05)"}, "#ef8a62"),
    "hot_90": Look({"zh": "热点（q < 0.10）", "en": "Hot (q < 0.10)"}, "#fddbc7"),
    "none": Look({"zh": "与随机无异", "en": "No more than chance"}, "#f7f7f7"),
    "cold_90": Look({"zh": "冷点（q < 0.10）", "en": "Cold (q < 0.10)"}, "#d1e5f0"),
    "cold_95": Look({"zh": "冷点（q < 0.05）", "en": "Cold (q < 0.05)"}, "#67a9cf"),
    "cold_99": Look({"zh": "冷点（q < 0.01）", "en": "Cold (q < 0.01)"}, "#2166ac"),
    "untested": Look({"zh": "未检验（无相邻区域）", "en": "Not tested (no neighbours)"}, "#d9d9d9"),
}
"""Classes of Gi*, by q after Benjamini and Hochberg."""

_PATTERNS = {
    "new": ("新增的", "New"),
    "consecutive": ("连续的", "Consecutive"),
    "intensifying": ("逐渐加强的", "Intensifying"),
    "persistent": ("持续的", "Persistent"),
    "diminishing": ("逐渐减弱的", "Diminishing"),
    "sporadic": ("分散的", "Sporadic"),
    "oscillating": ("振荡的", "Oscillating"),
    "historical": ("历史的", "Historical"),
}
_HOT_COLOURS = (
    *("#67001f", "#b2182b", "#d6604d", "#f4a582", "#fddbc7", "#e7c9b8", "#c994c7", "#bdbdbd"),
)
_COLD_COLOURS = (
    *("#053061", "#2166ac", "#4393c3", "#92c5de", "#d1e5f0", "#c1d3de", "#9ebcda", "#bdbdbd"),
)

PATTERNS: dict[str, Look] = {
    f"{pattern}_{kind}": Look({"zh": f"{zh}{noun_zh}", "en": f"{en} {noun_en} spot"}, colour)
    for kind, noun_zh, noun_en, colours in (
        ("hot", "热点", "hot", _HOT_COLOURS),
        ("cold", "冷点", "cold", _COLD_COLOURS),
    )
    for (pattern, (zh, en)), colour in zip(_PATTERNS.items(), colours, strict=True)
} | {"none": Look({"zh": "无规律", "en": "No pattern"}, "#f7f7f7")}
"""Classes of emerging hot spots, such as `new_hot`."""
