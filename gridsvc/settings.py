"""The one reader of the environment; everything else is handed a `Settings`."""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """How this installation runs, read once from `GRIDSVC_…` variables."""

    model_config = SettingsConfigDict(env_prefix="GRIDSVC_", frozen=True, extra="ignore")

    database_url: SecretStr | None = None
    """A PostgreSQL with PostGIS ≥ 3.3; without it the embedded cluster is used."""

    home: Path = Path(".gridsvc")
    """Where the embedded cluster and its password live."""

    api_keys_required: bool = True
    """Whether the API asks for keys; the demo turns it off, on loopback only."""

    statement_timeout_s: float = 30.0
    """The longest a statement of the API may run."""

    escalation_interval_s: float = Field(30.0, ge=0)
    """How often the served API lets cases climb whose time is up; 0 leaves it to
    `gridsvc cases climb`."""
