"""A file that is uploaded to a table source goes into the folder of the table that it is of."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from assets.extracts.declared import declared_table
from assets.extracts.errors import ExtractError
from orchestration.cli import upload
from orchestration.cli.session import CommandError
from resources.warehouse import Warehouse
from tests.rig import TableRig

ITEMS = {"id": "bigint", "order_id": "bigint"}


@pytest.mark.parametrize(
    ("name", "columns", "table"),
    [
        ("orders.parquet", "order_id", "orders"),
        ("orders_2024.parquet", "order_id", "orders"),
        ("order_items-2024-01.parquet", "id order_id", "order_items"),
        ("bq-results.parquet", "id order_id", "order_items"),
        ("results.parquet", "order_id", "orders"),
        ("results.parquet", "name", "no table has its columns. Name it after its table, such as orders.parquet"),
        ("orders.parquet", "name", "required column is missing: order_id"),
    ],
)
def test_a_file_finds_its_table(
    warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, columns: str, table: str
) -> None:
    tables = {
        "orders": {"key": ["order_id"], "columns": {"order_id": "bigint"}},
        "order_items": {"key": ["id"], "columns": ITEMS},
    }
    rig = TableRig(warehouse, tmp_path, tables)
    monkeypatch.setattr(upload, "declared_table", partial(declared_table, dbt_project=rig.dbt))
    file = tmp_path / name
    pq.write_table(pa.table({column: pa.array([1], pa.int64()) for column in columns.split()}), file)
    if " " in table:
        with pytest.raises((CommandError, ExtractError)) as error:
            upload.looks_like(rig.shop, file)
        assert table in str(error.value) and str(file) in str(error.value)
        return
    assert upload.looks_like(rig.shop, file) == table
    assert upload.place_of(rig.shop, file, table) == f"{table}/{name}"


def test_a_file_that_is_not_there(warehouse: Warehouse, tmp_path: Path) -> None:
    rig = TableRig(warehouse, tmp_path, {"orders": {"key": ["id"], "columns": ITEMS}})
    with pytest.raises(CommandError, match="no such file"):
        upload.looks_like(rig.shop, tmp_path / "orders.parquet")
