"""The one place where the plain clients of `resources/` become Dagster resources."""

import sys
from collections.abc import Sequence
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

import dagster as dg
from dagster_dbt import DbtCliResource
from packaging.version import Version

from resources.far import Say
from resources.lake import Lake
from resources.objects import ObjectStore, object_store
from resources.s3 import announce
from resources.settings import Settings, load_settings
from resources.shops import Shop
from resources.streams import Stream, open_stream
from resources.tables import TableSource, table_source
from resources.warehouse import Warehouse


class WarehouseResource(dg.ConfigurableResource):
    """The Postgres warehouse of a home. A URL that is set is read when it is needed and is never in run config."""

    home: str

    def client(self) -> Warehouse:
        return Warehouse(load_settings(home=Path(self.home)))


class LakeResource(dg.ConfigurableResource):
    """The lake of Parquet files."""

    location: str

    def client(self, say: Say = announce) -> Lake:
        return Lake(self.location, say)


class ObjectsResource(dg.ConfigurableResource):
    """The object sources of the shops: folders and prefixes."""

    home: str

    def client(self, shop: Shop, say: Say = announce) -> ObjectStore:
        return object_store(load_settings(home=Path(self.home)), shop, say)


class TablesResource(dg.ConfigurableResource):
    """The table sources of the shops: BigQuery, or folders in its place."""

    home: str

    def client(self, shop: Shop, say: Say) -> TableSource:
        return table_source(load_settings(home=Path(self.home)), shop, say)


class StreamsResource(dg.ConfigurableResource):
    """The streams of the shops: Kinesis, or folders in its place."""

    home: str

    def client(self, name: str, say: Say) -> Stream:
        return open_stream(load_settings(home=Path(self.home)), name, say)


class QuickDbtCliResource(DbtCliResource):
    """dbt as a resource, without what DbtCliResource does before each call and nothing here uses.

    It starts `dbt --version` once in every process, and loads dbt into this process at each call, for an adapter that
    counts rows and reads columns: together more time than dbt needs for a day of new rows.
    """

    @cached_property
    def _cli_version(self) -> Version:
        return Version(version("dbt-core"))

    def _initialize_dbt_core_adapter(self, args: Sequence[str]) -> None:  # type: ignore[override]
        return None


def build_resources(settings: Settings) -> dict[str, object]:
    """The resources of all assets, by key."""
    return {
        "warehouse": WarehouseResource(home=str(settings.home)),
        "lake": LakeResource(location=settings.lake_location),
        "objects": ObjectsResource(home=str(settings.home)),
        "tables": TablesResource(home=str(settings.home)),
        "streams": StreamsResource(home=str(settings.home)),
        "dbt": QuickDbtCliResource(
            project_dir=str(settings.dbt_project),
            profiles_dir=str(settings.dbt_project),
            # Found beside this interpreter, so that no environment needs to be activated.
            dbt_executable=str(Path(sys.executable).parent / "dbt"),
            global_config_flags=["--no-use-colors"],
        ),
    }
