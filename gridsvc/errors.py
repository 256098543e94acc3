"""What can go wrong, named so that the reader knows the thing, the place and the remedy.

    GridsvcError
    ├── SettingsError
    ├── DatabaseUnavailable
    └── ...

Nothing here knows of HTTP; `gridsvc.api.problems` maps each class to a status.
"""


class GridsvcError(Exception):
    """An error the caller can act on.

    Attributes:
        detail: What is wrong and where, one sentence without its full stop.
        remedy: What to do about it, one sentence without its full stop.
    """

    def __init__(self, detail: str, *, remedy: str) -> None:
        super().__init__(detail, remedy)
        self.detail = detail
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.detail}. {self.remedy}."


class SettingsError(GridsvcError):
    """A setting is missing or cannot be used."""


class DatabaseUnavailable(GridsvcError):
    """No PostGIS answers, or it is too old."""
