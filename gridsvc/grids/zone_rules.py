"""How shop-front zones are graded by their record, and how often each grade is visited."""

from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from gridsvc.grids.scheme_fields import Code, SchemeTable, Title, refuse


class ZoneGrade(SchemeTable):
    """A grade, for zones with no more than so much on their record."""

    code: Annotated[str, StringConstraints(pattern=r"^[A-Z]$")]
    title: Title
    at_most: Annotated[int, Field(ge=0)] | None = None
    """Problems that proved true within the window; None, of the last grade, is any number."""
    inspect_every_days: Annotated[int, Field(ge=1, le=366)]
    """How often such a zone is visited."""


class ZoneRules(SchemeTable):
    """Which layer the zones are, and how they are graded."""

    layer: Code
    window_days: Annotated[int, Field(ge=1, le=3660)] = 365
    """How far back the record goes; 24 hours each."""
    grades: Annotated[tuple[ZoneGrade, ...], Field(alias="grade", min_length=1)]
    """The best first; a zone has the first one that it is within."""

    @model_validator(mode="after")
    def _each_holds_more(self) -> Self:
        *graded, last = self.grades
        if last.at_most is not None:
            refuse(
                f"a zone with more than {last.at_most} would have no grade",
                f"Remove at_most of the last grade, {last.code}",
            )
        bounds = [grade.at_most for grade in graded]
        if None in bounds or bounds != sorted(set(bounds), key=lambda bound: bound or 0):
            refuse(
                "the bounds at_most do not rise from grade to grade",
                "Give each grade but the last a bound, the lowest first",
            )
        if len({grade.code for grade in self.grades}) < len(self.grades):
            refuse("two grades have one code", "Give each its own code")
        return self

    def grade_of(self, substantiated: int) -> ZoneGrade:
        """Find the grade of a zone by its record."""
        return next(
            grade
            for grade in self.grades
            if grade.at_most is None or substantiated <= grade.at_most
        )
