"""The typed settings: every environment variable that Cartograph reads, its default and its meaning.

Read once per process with `get_settings()`. Nothing else in the code reads the environment, apart from the tools
(Dagster, dbt, MLflow) that are started with values from here.
"""

from __future__ import annotations

from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

PROJECT_ROOT = Path(__file__).resolve().parent.parent


class Environment(StrEnum):
    """Where this process runs. `orchestration/environments.py` says for each what is switched on."""

    LOCAL = "local"
    TEST = "test"
    STAGING = "staging"
    PRODUCTION = "production"


class SettingsError(ValueError):
    """A setting has a value that cannot be used; the message names the variable, the value and the remedy."""


class Settings(BaseSettings):
    """The settings of one process. `.env.example` explains each for people."""

    model_config = SettingsConfigDict(
        env_file=PROJECT_ROOT / ".env", extra="ignore", frozen=True, env_ignore_empty=True
    )

    environment: Environment = Field(Environment.LOCAL, validation_alias="CARTOGRAPH_ENV")
    home: Path = Field(PROJECT_ROOT / ".cartograph", validation_alias="CARTOGRAPH_HOME")
    shops_file: Path = Field(PROJECT_ROOT / "config" / "shops.yaml", validation_alias="CARTOGRAPH_SHOPS_FILE")
    dbt_project: Path = Field(PROJECT_ROOT / "dbt_project", validation_alias="CARTOGRAPH_DBT_PROJECT")
    warehouse_url: SecretStr | None = Field(None, validation_alias="WAREHOUSE_URL")
    lake_url: str | None = Field(None, validation_alias="LAKE_URL")
    mlflow_tracking_uri: str | None = Field(None, validation_alias="MLFLOW_TRACKING_URI")
    mlflow_ui_url: str | None = Field(None, validation_alias="MLFLOW_UI_URL")
    inbox_url: str | None = Field(None, validation_alias="INBOX_URL")
    bigquery: Literal["folder", "google"] = Field("folder", validation_alias="CARTOGRAPH_BIGQUERY")
    bigquery_project: str | None = Field(None, validation_alias="BIGQUERY_PROJECT")
    bigquery_endpoint: str | None = Field(None, validation_alias="BIGQUERY_ENDPOINT")
    bigquery_storage_endpoint: str | None = Field(None, validation_alias="BIGQUERY_STORAGE_ENDPOINT")
    streams: Literal["folder", "kinesis"] = Field("folder", validation_alias="CARTOGRAPH_STREAMS")
    aws_endpoint: str | None = Field(None, validation_alias="AWS_ENDPOINT_URL")
    aws_region: str | None = Field(None, validation_alias="AWS_REGION")
    default_shop: str | None = Field(None, validation_alias="CARTOGRAPH_DEFAULT_SHOP")
    models_dir: Path = Field(PROJECT_ROOT / ".cartograph" / "models", validation_alias="CARTOGRAPH_MODELS")
    qdrant_url: str | None = Field(None, validation_alias="QDRANT_URL")
    qdrant_api_key: SecretStr | None = Field(None, validation_alias="QDRANT_API_KEY")
    qdrant_shards: int = Field(1, ge=1, le=64, validation_alias="QDRANT_SHARDS")
    qdrant_replicas: int = Field(1, ge=1, le=16, validation_alias="QDRANT_REPLICAS")
    qdrant_quantization: Literal["none", "int8"] = Field("none", validation_alias="QDRANT_QUANTIZATION")
    api_poll_seconds: float = Field(5.0, ge=0.1, le=20.0, validation_alias="CARTOGRAPH_API_POLL_SECONDS")
    api_body_seconds: float = Field(30.0, ge=1.0, le=600.0, validation_alias="CARTOGRAPH_API_BODY_SECONDS")
    records_days: int = Field(90, ge=2, le=3650, validation_alias="CARTOGRAPH_RECORDS_DAYS")
    dbt_threads: int = Field(4, ge=1, le=64, validation_alias="CARTOGRAPH_DBT_THREADS")

    @field_validator("home", "shops_file", "dbt_project", "models_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @property
    def inbox(self) -> Path:
        """The folder that holds one folder of raw files per shop, where no `INBOX_URL` names another place."""
        return self.home / "inbox"

    def inbox_of(self, shop: str) -> str:
        """Where a shop's raw files are: a folder, or a URL that pyarrow's filesystems understand."""
        return f"{self.inbox_url.rstrip('/')}/{shop}" if self.inbox_url else str(self.inbox / shop)

    @property
    def lake_location(self) -> str:
        """The root of the lake: a folder, or a URL that pyarrow's filesystems understand."""
        return self.lake_url or str(self.home / "lake")

    @property
    def dagster_home(self) -> Path:
        """Where Dagster keeps its instance file and the logs of its runs."""
        return self.home / "dagster"

    @property
    def dbt_target(self) -> Path:
        """Where dbt writes its manifest and compiled SQL for this home."""
        return self.home / "dbt"


def load_settings(**values: object) -> Settings:
    """Settings from the environment, with `values`, by the names of the fields, in place of what it says.

    Raises:
        SettingsError: a variable has a value that cannot be used.
    """
    # The names of the fields are not read from the environment: HOME, for one, is not ours.
    variables = {name: field.validation_alias for name, field in Settings.model_fields.items()}
    try:
        return Settings(**{str(variables.get(name, name)): value for name, value in values.items()})  # type: ignore[arg-type]
    except ValidationError as error:
        lines = []
        for problem in error.errors():
            name = problem["loc"][0] if problem["loc"] else "settings"
            lines.append(f"{name}={problem['input']!r}: {problem['msg']}. Correct it in the environment or in .env.")
        raise SettingsError("\n".join(lines)) from error


@cache
def get_settings() -> Settings:
    """The settings of this process, read at the first call."""
    return load_settings()
