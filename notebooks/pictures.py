"""How pictures look in all notebooks: title, units, source, and what they do not say."""

import logging
import textwrap
from collections.abc import Mapping

import geopandas as gpd
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import Markdown, display
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from gridsvc.hotspots.looks import KINDS, Look

# On Debian, Windows and macOS. Latin letters come from the first font that matplotlib brings.
_CHINESE = (
    *("Noto Sans CJK SC", "Noto Sans CJK JP", "Source Han Sans SC", "WenQuanYi Zen Hei"),
    *("Microsoft YaHei", "SimHei", "PingFang SC", "Heiti SC", "Arial Unicode MS"),
)
_installed = {font.name for font in font_manager.fontManager.ttflist}
_found = [name for name in _CHINESE if name in _installed][:1]
BLUE, RED, GREY = "#2166ac", "#b2182b", "#6b6b6b"
"""The city's blue and red, as on the map; readers without colour vision tell them by lightness."""

# It tells for every size that a Chinese font has no weight of just this number.
logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
plt.rcParams.update(
    {
        "font.family": ["DejaVu Sans", *_found],
        "figure.dpi": 80,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": "medium",
        "figure.constrained_layout.use": True,
    }
)


def words(title: Mapping[str, str]) -> str:
    """Give a text in both languages; in English where no font shows Chinese."""
    shown = [title[language] for language in ("en", "zh") if language in title]
    return " ".join(shown if _found else shown[:1])


def readable(text: str | None, otherwise: str) -> str:
    """Give a text if the fonts can show it, else another."""
    return text if text and (_found or text.isascii()) else otherwise


def tell(text: str) -> None:
    """Show prose whose numbers are computed."""
    display(Markdown(text))


def table(
    frame: pd.DataFrame, formats: Mapping[str, str] | str = "", *, index: bool = False
) -> None:
    """Show a table.

    Args:
        frame: The table.
        formats: How numbers are written, of each column or of all.
        index: Whether to show it.
    """
    styled = frame.style.format(dict(formats) if isinstance(formats, Mapping) else formats or None)
    display(styled if index else styled.hide())


def finish(figure: Figure, title: str, *, source: str, silent: str) -> None:
    """Write above and below the picture what it needs to be passed on alone.

    Args:
        figure: The picture.
        title: What it shows, with units where axes do not tell them.
        source: Of the data.
        silent: What the picture does not say, a sentence.
    """
    title = title if _found else "".join(letter for letter in title if ord(letter) < 0x2E80)
    figure.suptitle(title.strip(), x=0.01, ha="left", fontweight="bold")
    width = int(figure.get_figwidth() * 15)
    under = f"Source: {source}.\nIt does not say: {silent}"
    if not _found:
        under = "".join(letter for letter in under if ord(letter) < 0x2E80)
    lines = [line for part in under.split("\n") for line in textwrap.wrap(part, width)]
    # Below all the rest: kernels, like savefig(bbox_inches="tight"), cut the picture around it.
    figure.canvas.draw()  # lays it out
    low = figure.get_tightbbox().y0 / figure.get_figheight()
    figure.text(
        0.01, min(low, 0) - 0.01, "\n".join(lines), va="top", fontsize="x-small", color=GREY
    )
    plt.show()


def length(metres: float) -> str:
    """Write a length in the unit that suits it, with two digits that count."""
    for unit, worth in (("km", 1000.0), ("m", 1.0), ("cm", 0.01)):
        if metres >= worth * 0.9995:
            return f"{float(f'{metres / worth:.2g}'):g} {unit}"
    return f"{float(f'{metres * 1000:.2g}'):g} mm"


def bare(axes: Axes, areas: gpd.GeoDataFrame) -> None:
    """Make axes a map: equal scales, no ticks, a bar of round length."""
    axes.set_aspect("equal")
    axes.set_axis_off()
    west, south, east, north = areas.total_bounds
    rough = (east - west) / 5
    power = 10 ** np.floor(np.log10(rough))
    bar_m = max(step * power for step in (1, 2, 5) if step * power <= rough)
    low = south - (north - south) * 0.04
    axes.plot([west, west + bar_m], [low, low], color="black", lw=2, solid_capstyle="butt")
    axes.text(west + bar_m * 1.08, low, length(bar_m), va="center", fontsize="small")
    axes.set_xlim(west - (east - west) * 0.01, east + (east - west) * 0.01)
    axes.set_ylim(low - (north - south) * 0.04, north + (north - south) * 0.01)


def shades(  # noqa: PLR0913  what to draw, and how
    axes: Axes,
    areas: gpd.GeoDataFrame,
    values: np.ndarray,
    *,
    unit: str,
    title: str = "",
    cmap: str = "Blues",
    top: float | None = None,
) -> None:
    """Colour areas by a number, light to dark; the top of the scale is the 98th percentile."""
    values = np.asarray(values, float)
    scale = Normalize(0, top if top is not None else np.nanpercentile(values, 98) or 1)
    areas.plot(
        ax=axes, color=plt.get_cmap(cmap)(scale(np.nan_to_num(values))), lw=0.2, edgecolor="#999999"
    )
    bare(axes, areas)
    axes.set_title(title, loc="left")
    axes.figure.colorbar(
        ScalarMappable(scale, cmap), ax=axes, label=unit, shrink=0.6, extend="max", pad=0.01
    )


def classes(
    axes: Axes,
    areas: gpd.GeoDataFrame,
    kinds: np.ndarray,
    *,
    title: str = "",
    looks: Mapping[str, Look] = KINDS,
) -> None:
    """Colour areas by a class, in the colours of the managers' map."""
    areas.plot(ax=axes, color=[looks[kind].colour for kind in kinds], lw=0.15, edgecolor="#999999")
    bare(axes, areas)
    axes.set_title(title, loc="left")


def legend(figure: Figure, *kinds: np.ndarray, looks: Mapping[str, Look] = KINDS) -> None:
    """Tell the classes that are on any of the maps."""
    present = set().union(*kinds)
    figure.legend(
        handles=[
            Patch(facecolor=look.colour, edgecolor=GREY, label=words(look.title))
            for kind, look in looks.items()
            if kind in present
        ],
        # Under the figure, as `finish` puts the source under both.
        loc="upper left",
        bbox_to_anchor=(0.0, 0.01),
        bbox_transform=figure.transFigure,
        ncols=3,
        fontsize="x-small",
        frameon=False,
    )
