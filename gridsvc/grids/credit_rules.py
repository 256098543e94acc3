"""What reporters are credited with, as a scheme says it."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from gridsvc.grids.scheme_fields import SchemeTable, refuse

Points = Annotated[int, Field(ge=0, le=1_000_000)]


class CreditRules(SchemeTable):
    """Points for a report that proved true."""

    first_points: Points
    """For whoever reported a case first."""
    joined_points: Points = 0
    """For each other reporter of the case."""

    @model_validator(mode="after")
    def _first_is_worth_most(self) -> Self:
        if self.joined_points > self.first_points:
            refuse(
                f"joined_points {self.joined_points} is more than first_points {self.first_points}",
                "Swap the two, or raise first_points",
            )
        return self
