"""Options that say how a file of reports is written, wherever one is read."""

from typing import Annotated

import typer

Crs = Annotated[
    str | None,
    typer.Option(
        metavar="C|COL",
        help="EPSG:4326, gcj02, bd09 …, or the column that names one a row; the scheme's first if "
        "left out.",
    ),
]
TimeFormat = Annotated[
    str | None,
    typer.Option(
        metavar="FORMAT",
        help="How times are written where not as ISO 8601, in strptime's letters: "
        "'%m/%d/%Y %I:%M:%S %p'.",
    ),
]
