"""Cases at places and days, for tests of what comes back."""

import numpy as np
import pandas as pd

START = pd.Timestamp("2026-01-01", tz="UTC")


def cases_of(
    rows: list[tuple[float, float, float, float | None, str | None]], *, days: float = 1.0
) -> pd.DataFrame:
    """Make a frame of cases of (x, y, opened, closed, category), times in days since `START`."""
    x, y, opened, closed, category = zip(*rows, strict=True) if rows else ((),) * 5
    unit = pd.Timedelta(days=days)

    def times(values: tuple[float | None, ...]) -> pd.Series:
        instants = [pd.NaT if value is None else START + value * unit for value in values]
        return pd.Series(instants, dtype="datetime64[us, UTC]")

    return pd.DataFrame(
        {
            "id": [str(n) for n in range(len(rows))],
            "x": np.array(x, float),
            "y": np.array(y, float),
            "opened_at": times(opened),
            "closed_at": times(closed),
            "category": pd.Categorical(list(category), categories=sorted({*category} - {None})),
            "responsible": pd.Categorical(["P1"] * len(rows), categories=["P1"]),
        }
    )
