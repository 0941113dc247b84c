"""The dbt project: its rules over the manifest, its unit tests, and what runs do to a real Postgres."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from assets.extracts import ledger
from assets.extracts.declared import declared_table
from assets.extracts.extract import extract_table
from assets.extracts.raw import ensure_raw
from resources.embedded_postgres import ensure, release
from resources.lake import Lake
from resources.objects import ObjectStore
from resources.settings import load_settings
from resources.shops import API, load_shops
from resources.warehouse import Warehouse
from tests.conftest import ALL_SHOPS
from tests.dbt_runs import PROJECT, Dbt, everything, five_shops, query, shop, tracked_tables, versions

WITHIN = {"online_retail": ["lines"]}
"""Staging models beside the entities, which only those of their shop read: raw tables that are one to all of them."""
LAYERS = {"staging": {"staging"}, "contract": {"staging", "contract"}, "marts": {"contract", "marts"}}
PREFIXES = {"staging": ("stg_",), "contract": ("dim_", "fct_", "shop_clock"), "marts": ("mart_",)}
TABLE_OF = {
    "customers": "dim_customer",
    "products": "dim_product",
    "product_history": "dim_product_history",
    "categories": "dim_category",
    "orders": "fct_orders",
    "order_items": "fct_order_items",
    "events": "fct_events",
    "reviews": "fct_reviews",
}
BY_DAY = {
    *("fct_orders", "fct_order_items", "fct_events", "fct_interactions"),
    *("mart_daily_sales", "mart_daily_funnel", "mart_hourly_activity"),
}
SCHEMAS = ("raw_online_retail", "raw_second", "staging", "contract", "marts", "ledger")


# --- Rules over the manifest, without a database ---


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    dbt = Dbt(PROJECT, tmp_path_factory.mktemp("dbt"))
    result = dbt("parse", shops=five_shops())
    assert result.success, result.exception
    return dbt.manifest


def models(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    return [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]


def attached(manifest: dict[str, Any], model: str) -> list[dict[str, Any]]:
    return [
        node
        for node in manifest["nodes"].values()
        if node["resource_type"] == "test" and node.get("attached_node") == model
    ]


def test_the_contract_is_whole(manifest: dict[str, Any]) -> None:
    names = {node["name"] for node in models(manifest) if node["schema"] != "staging"}
    assert names == {
        *TABLE_OF.values(),
        "dim_date",
        "fct_interactions",
        "shop_clock",
        "mart_daily_sales",
        "mart_product_sales",
        "mart_country_sales",
        "mart_customer_value",
        "mart_daily_funnel",
        "mart_daily_reviews",
        "mart_category_sales",
        "mart_product_funnel",
        "mart_customer_cohorts",
        "mart_hourly_activity",
    }
    assert {node["fqn"][2] for node in models(manifest) if node["schema"] == "staging"} == {*five_shops(), API}


def test_all_is_described(manifest: dict[str, Any]) -> None:
    data_tests = [node for node in manifest["nodes"].values() if node["resource_type"] == "test"]
    tables = [*models(manifest), *manifest["sources"].values()]
    bare = [
        node["unique_id"]
        for node in [*tables, *data_tests, *manifest["unit_tests"].values()]
        if not node["description"]
    ]
    bare += [
        f"{node['unique_id']}.{name}" for node in tables for name, c in node["columns"].items() if not c["description"]
    ]
    bare += [node["unique_id"] for node in tables if not node["columns"]]
    bare += [source["source_name"] for source in manifest["sources"].values() if not source["source_description"]]
    assert not bare
    bases = {node["name"]: node for node in models(manifest)}
    assert all(bases[node["model"]] for node in manifest["unit_tests"].values())


def test_names_and_schemas_follow_the_layer(manifest: dict[str, Any]) -> None:
    for node in models(manifest):
        layer = node["fqn"][1]
        assert node["schema"] == layer and node["name"].startswith(PREFIXES[layer]), node["unique_id"]
        if layer == "staging" and not node["config"]["meta"].get("shop"):
            entities = "|".join([*TABLE_OF, *WITHIN.get(node["fqn"][2], [])])
            assert re.fullmatch(rf"stg_{node['fqn'][2]}__({entities})", node["name"]), node["name"]
        elif layer == "staging":  # a table, so that its raw table is not read again for each change of another
            assert node["config"]["meta"]["shop"] == node["fqn"][2] and "shop" in node["columns"], node["name"]
    for node in manifest["nodes"].values():
        if node["resource_type"] == "test":
            assert node["schema"] == "test_failures" and len(node["alias"]) <= 63, node["unique_id"]


def test_each_layer_reads_only_what_it_may(manifest: dict[str, Any]) -> None:
    for node in models(manifest):
        layer = node["fqn"][1]
        for below in node["depends_on"]["nodes"]:
            if below.startswith("source."):
                assert layer == "staging" and manifest["sources"][below]["source_name"] == node["fqn"][2], (
                    node["name"],
                    below,
                )
            else:
                read = manifest["nodes"][below]["fqn"]
                assert read[1] in LAYERS[layer], (node["name"], below)
                assert layer != "staging" or read[2] == node["fqn"][2], (node["name"], below)


def test_contracts_are_enforced_and_keys_tested(manifest: dict[str, Any]) -> None:
    for node in models(manifest):
        assert node["config"]["contract"]["enforced"], node["name"]
        assert all(column["data_type"] for column in node["columns"].values()), node["name"]
        if node["schema"] == "staging":
            continue
        tests = attached(manifest, node["unique_id"])
        keys = [
            test["test_metadata"]["kwargs"]["columns"]
            for test in tests
            if test["test_metadata"]["name"] == "shop_unique"
        ]
        first = "date" if node["name"] == "dim_date" else "shop"
        assert len(keys) == 1 and keys[0][0] == first and next(iter(node["columns"])) == first, node["name"]
        assert any(test["test_metadata"]["name"] == "shop_not_null" for test in tests), node["name"]


def test_staging_has_the_columns_of_the_contract(manifest: dict[str, Any]) -> None:
    by_name = {node["name"]: {name: c["data_type"] for name, c in node["columns"].items()} for node in models(manifest)}
    for name, columns in by_name.items():
        if name.startswith("stg_") and name.split("__")[1] in TABLE_OF:
            contract = by_name[TABLE_OF[name.split("__")[1]]]
            # The one of the API is of all shops, and says of which.
            assert list(columns)[:1] == ["shop"] or not name.startswith(f"stg_{API}__"), name
            told = {c: t for c, t in columns.items() if (name, c) != (f"stg_{API}__events", "shop")}
            assert told == {c: t for c, t in contract.items() if c not in ("shop", "is_inferred")}, name


def test_every_day_table_says_its_day(manifest: dict[str, Any]) -> None:
    for node in models(manifest):
        if node["schema"] != "staging":
            by_day = node["config"]["incremental_strategy"] == "by_day"
            day = node["config"]["meta"].get("day_column")
            assert by_day == (day in node["columns"]), node["name"]
            assert by_day == (node["name"] in BY_DAY), node["name"]


def test_personal_data_ends_at_staging(manifest: dict[str, Any]) -> None:
    for node in models(manifest):
        if node["schema"] != "staging":
            assert not [name for name, column in node["columns"].items() if "pii" in column["tags"]], node["name"]


def test_no_staging_model_reads_personal_data(manifest: dict[str, Any]) -> None:
    """A renamed column has no tag, so the SQL itself must not name one."""
    personal: dict[str, set[str]] = {}
    for source in manifest["sources"].values():
        tagged = {name for name, column in source["columns"].items() if "pii" in column["tags"]}
        personal.setdefault(source["source_name"], set()).update(tagged)
    assert personal["olist"] >= {"customer_zip_code_prefix", "customer_city", "geolocation_lat", "seller_city"}
    for node in models(manifest):
        if node["schema"] == "staging":
            named = set(re.findall(r"\w+", re.sub(r"--.*|{#.*?#}", "", node["raw_code"])))
            assert not named & personal[node["fqn"][2]], node["name"]


def test_the_tests_stay_few_and_each_belongs_to_a_shop(manifest: dict[str, Any]) -> None:
    tests = [node for node in manifest["nodes"].values() if node["resource_type"] == "test"]
    assert len(tests) < 150
    assert all(test["config"]["store_failures"] for test in tests)
    assert all(
        test["config"]["severity"].lower() == "error" or "few" in test["name"] or "exists" in test["name"]
        for test in tests
    )
    for file in (PROJECT / "tests").rglob("*.sql"):
        assert "{% call failures() %}" in file.read_text(), file


def test_sources_declare_what_the_load_needs() -> None:
    for file in (PROJECT / "models" / "staging").glob("*/_sources.yml"):
        for source in yaml.safe_load(file.read_text())["sources"]:
            assert source["name"] == file.parent.name and source["schema"] == f"raw_{source['name']}"
            for table in source["tables"]:
                columns = {column["name"]: column for column in table["columns"]}
                assert columns["_extract_id"]["data_type"] == "bigint"
                assert all(column["data_type"] for column in columns.values())


def test_a_shop_that_is_not_configured_has_no_models(tmp_path: Path) -> None:
    dbt = Dbt(PROJECT, tmp_path)
    result = dbt("parse", shops={"bare": shop(provides=[])})
    assert result.success, result.exception
    assert [node["name"] for node in models(dbt.manifest) if node["schema"] == "staging"] == [f"stg_{API}__events"]


def test_missing_shops_are_a_clear_error(tmp_path: Path) -> None:
    result = Dbt(PROJECT, tmp_path)("parse", shops={})
    assert not result.success and "cartograph dbt" in str(result.exception)


# --- Runs on a real Postgres, with two shops: the second has a copy of the first one's staging folder ---


@pytest.fixture(scope="module")
def socket_dir() -> Iterator[str]:
    """The folder of a server's socket; CARTOGRAPH_TEST_PGHOST names one that is already up."""
    if host := os.environ.get("CARTOGRAPH_TEST_PGHOST"):
        yield host
        return
    home = Path(tempfile.mkdtemp(prefix="cg_dbt_"))
    home.chmod(0o711)
    try:
        yield str(ensure(home).socket_dir)
    finally:
        release(home)
        time.sleep(1.5)
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="module")
def connection(socket_dir: str) -> Iterator[psycopg.Connection]:
    name = f"dbt_test_{os.getpid()}"
    with psycopg.connect(host=socket_dir, user="postgres", dbname="postgres", autocommit=True) as admin:
        admin.execute(f"create database {name}")
        with psycopg.connect(host=socket_dir, user="postgres", dbname=name, autocommit=True) as connection:
            yield connection
        admin.execute(f"drop database {name} with (force)")


LINES = [
    # invoice, code, text, quantity, instant, price, customer, country
    ("536365", "85123A", "WHITE HEART", 6, "2010-12-01 08:26", "2.55", "17850", "United Kingdom"),
    ("536365", "71053", "LANTERN", 6, "2010-12-01 08:26", "3.39", "17850", "United Kingdom"),
    ("536365", "71053", "LANTERN", 6, "2010-12-01 08:26", "3.39", "17850", "United Kingdom"),
    ("536366", "85123a", "white heart", 1, "2010-12-01 09:00", "2.95", None, "France"),
    ("C536367", "85123A", "WHITE HEART", -1, "2010-12-02 10:00", "2.55", "17850", "United Kingdom"),
    ("536368", "POST", "POSTAGE", 1, "2010-12-02 11:00", "18.00", "12583", "France"),
    ("536369", "71053", "LANTERN", 2, "2010-12-03 11:00", "4.25", "12583", "France"),
    ("536370", "22423", None, 56, "2010-12-04 11:00", "0", None, "United Kingdom"),
]


def add_lines(connection: psycopg.Connection, shop: str, lines: list[tuple[Any, ...]], extract: int) -> None:
    with connection.transaction():
        connection.cursor().executemany(
            f"insert into raw_{shop}.invoice_lines values (%s, %s, %s, %s, %s, %s, %s, %s, {extract})", lines
        )
        changed(connection, shop, *{line[4][:10] for line in lines}, extract=extract)


def changed(connection: psycopg.Connection, shop: str, *days: str | None, extract: int = 1) -> None:
    connection.execute("select pg_advisory_xact_lock(1)")
    connection.cursor().executemany(
        "insert into ledger.changes (shop, table_name, day, extract_id) values (%s, 'invoice_lines', %s, %s)",
        [(shop, day, extract) for day in days],
    )


@pytest.fixture(scope="module")
def dbt(socket_dir: str, connection: psycopg.Connection, tmp_path_factory: pytest.TempPathFactory) -> Dbt:
    work = tmp_path_factory.mktemp("two_shops")
    project = work / "dbt_project"
    shutil.copytree(PROJECT, project, ignore=shutil.ignore_patterns("target", "logs"))
    staging = project / "models" / "staging"
    (staging / "second").mkdir()
    for file in (staging / "online_retail").iterdir():
        if file.name != "_unit_tests.yml":
            text = file.read_text().replace("online_retail", "second")
            (staging / "second" / file.name.replace("online_retail", "second")).write_text(text)
    source = yaml.safe_load((staging / "online_retail" / "_sources.yml").read_text())["sources"][0]
    tables = {
        table["name"]: ", ".join(f"{column['name']} {column['data_type']}" for column in table["columns"])
        for table in source["tables"]
    }
    connection.execute(ledger.DDL)
    connection.execute("create schema raw_api")
    events = ", ".join(f"{column.name} {column.data_type}" for column in declared_table(API, "events").columns)
    connection.execute(f"create table raw_api.events ({events}, _extract_id bigint not null, shop text not null)")
    for name in ("online_retail", "second"):
        connection.execute(f"create schema raw_{name}")
        for table, columns in tables.items():
            connection.execute(f"create table raw_{name}.{table} ({columns})")
        add_lines(connection, name, LINES, extract=1)
    dbt = Dbt(project, work, socket_dir, connection.info.dbname)
    # The third shop provides nothing and has no staging folder.
    dbt.shops = {
        "online_retail": shop(),
        "second": shop(currency="EUR"),
        "bare": shop(provides=[], timezone="Asia/Tokyo"),
    }
    dbt.run()
    return dbt


def writes(connection: psycopg.Connection) -> dict[str, tuple[int, ...]]:
    # A backend reports what it did within a second, or when it ends.
    time.sleep(1.2)
    rows = query(
        connection,
        "select schemaname || '.' || relname, n_tup_ins, n_tup_upd, n_tup_del from pg_stat_user_tables"
        " where schemaname = any(%s)",
        list(SCHEMAS),
    )
    return {name: tuple(counts) for name, *counts in rows}


def stored(connection: psycopg.Connection, test: str) -> dict[str, int]:
    return dict(query(connection, f"select shop, max(shop_failures) from test_failures.{test} group by shop"))


def net(connection: psycopg.Connection, shop: str, day: str) -> Any:
    rows = query(
        connection, "select net_sales from marts.mart_daily_sales where shop = %s and order_date = %s", shop, day
    )
    return float(rows[0][0]) if rows else None


def test_a_first_run_fills_the_contract(dbt: Dbt, connection: psycopg.Connection) -> None:
    for name, currency in (("online_retail", "GBP"), ("second", "EUR")):
        assert query(
            connection,
            "select count(*), count(distinct order_id), sum(amount)::float, min(currency), max(currency)"
            " from contract.fct_order_items where shop = %s",
            name,
        ) == [(8, 6, 82.88, currency, currency)]
    assert query(connection, "select shop, as_of, facts from contract.shop_clock order by shop") == [
        ("bare", None, 0),
        ("online_retail", date(2010, 12, 4), 8),
        ("second", date(2010, 12, 4), 8),
    ]
    assert query(connection, "select count(*) from contract.fct_events") == [(0,)]
    assert query(
        connection,
        "select year, iso_year, week, day_of_week, is_weekend, month_name, day_name from contract.dim_date"
        " where date = %s",
        date(2011, 1, 2),
    ) == [(2011, 2010, 52, 7, True, "January", "Sunday")]
    # Every model says how far it is for every shop, or what stands on it could not go on.
    tracked = len(tracked_tables(connection)) - 1
    assert query(connection, "select count(*), count(distinct model) from ledger.builds") == [(3 * tracked, tracked)]


def test_all_data_tests_pass_and_name_the_shop(dbt: Dbt, connection: psycopg.Connection) -> None:
    assert dbt.test() == {}
    # The tests of shops that are not configured stand in the manifest too, disabled.
    nodes = [node for node in dbt.manifest["nodes"].values() if node["config"]["enabled"]]
    tests = [node["alias"] for node in nodes if node["resource_type"] == "test"]
    with_shop = query(
        connection,
        "select table_name from information_schema.columns"
        " where table_schema = 'test_failures' and column_name = 'shop'",
    )
    assert {name for (name,) in with_shop} == set(tests)


def test_with_nothing_pending_nothing_is_written(dbt: Dbt, connection: psycopg.Connection) -> None:
    views = (
        "select relname, oid::text, xmin::text from pg_class where relnamespace = 'staging'::regnamespace order by 1"
    )
    before, rows = writes(connection), {table: versions(connection, table) for table in tracked_tables(connection)}
    made = query(connection, views)
    dbt.run()
    assert query(connection, views) == made
    assert writes(connection) == before
    assert {table: versions(connection, table) for table in tracked_tables(connection)} == rows


def test_only_the_changed_days_are_touched(dbt: Dbt, connection: psycopg.Connection) -> None:
    days = {"fct_orders": "order_date", "fct_order_items": "order_date", "fct_interactions": "interaction_date"}
    tables = {f"contract.{table}": day for table, day in days.items()} | {"marts.mart_daily_sales": "order_date"}
    others = "shop <> 'online_retail' or {} not in ('2010-12-01', '2010-12-03')"
    before = {table: versions(connection, table, others.format(day)) for table, day in tables.items()}
    second = {
        table: versions(connection, table, "shop = 'second'")
        for table in tracked_tables(connection)
        if "date" not in table
    }

    # A line more on one day; of another day nothing is left.
    with connection.transaction():
        connection.execute("delete from raw_online_retail.invoice_lines where invoice_date::date = '2010-12-03'")
        changed(connection, "online_retail", "2010-12-03", extract=2)
    add_lines(
        connection,
        "online_retail",
        [("536365", "22423", "CAKE", 1, "2010-12-01 08:26", "10", "17850", "France")],
        extract=2,
    )
    dbt.run()

    assert {table: versions(connection, table, others.format(day)) for table, day in tables.items()} == before
    assert {table: versions(connection, table, "shop = 'second'") for table in second} == second
    for table, day in tables.items():
        where = f"from {table} where shop = 'online_retail' and {day} = '2010-12-03'"
        assert query(connection, f"select count(*) {where}") == [(0,)], table
    assert net(connection, "online_retail", "2010-12-01") == pytest.approx(58.93 + 10)
    assert net(connection, "second", "2010-12-01") == pytest.approx(58.93)
    assert dbt.test() == {}


def test_a_part_of_the_models_can_run_first(dbt: Dbt, connection: psycopg.Connection) -> None:
    before = net(connection, "second", "2010-12-02")
    add_lines(
        connection, "second", [("536371", "71053", "LANTERN", 1, "2010-12-02 12:00", "5", "1", "France")], extract=3
    )
    # The mart alone has nothing to go on: its parent does not hold the change yet, and so it does not count as built.
    dbt.run("--select", "mart_daily_sales")
    assert net(connection, "second", "2010-12-02") == before
    dbt.run("--select", "fct_order_items")
    dbt.run("--select", "mart_daily_sales")
    assert net(connection, "second", "2010-12-02") == before + 5
    heads = "select count(distinct change_id) from ledger.builds where shop = 'second'"
    assert query(connection, heads) == [(2,)]
    dbt.run()
    assert query(connection, heads) == [(1,)]
    assert query(connection, "select count(*) from contract.fct_orders where order_id = '536371'") == [(1,)]


def test_a_commit_in_between_is_left_to_the_next_run(dbt: Dbt, connection: psycopg.Connection) -> None:
    built = "select change_id from ledger.builds where shop = 'second' and model = 'fct_order_items'"
    lines = "select count(*) from contract.fct_order_items where shop = 'second' and order_date = '2010-12-08'"
    raw = "raw_second.invoice_lines"
    line = ("536380", "71053", "LANTERN", 1, "2010-12-08 12:00", "5", "1", "France")
    add_lines(connection, "second", [line], extract=3)
    with ThreadPoolExecutor() as pool, psycopg.connect(host=dbt.pg_host, user="postgres", dbname=dbt.database) as other:
        # dbt writes down what is pending, and then has to wait for the table.
        other.execute(f"lock table {raw} in access exclusive mode")
        add_lines(other, "second", [line], extract=4)
        run = pool.submit(dbt.run, "--select", "fct_order_items")
        end = time.monotonic() + 120
        while not query(connection, "select 1 from pg_locks where not granted and relation = %s::regclass", raw):
            assert time.monotonic() < end and not run.done()
            time.sleep(0.02)
        other.commit()
        run.result(180)
    (head,) = query(connection, "select max(change_id) from ledger.changes where shop = 'second'")[0]
    assert query(connection, built) == [(head - 1,)]
    dbt.run()
    assert query(connection, built) == [(head,)] and query(connection, lines) == [(2,)]


def test_new_code_makes_its_own_shop_again(dbt: Dbt, connection: psycopg.Connection) -> None:
    tables = [table for table in tracked_tables(connection) if "date" not in table]
    first = {table: versions(connection, table, "shop = 'online_retail'") for table in tables}
    second = {table: versions(connection, table, "shop = 'second'") for table in tables}
    dbt.shops["second"]["code"] = "b"

    # A model that reads rows of the old code is made, but not counted as being of the new one.
    dbt.run("--select", "mart_daily_sales")
    code = "select code from ledger.builds where shop = 'second' and model = 'mart_daily_sales'"
    assert query(connection, code) == [("behind its parents",)]
    dbt.run()
    assert query(connection, "select distinct code from ledger.builds where shop = 'second'") == [("b",)]
    assert {table: versions(connection, table, "shop = 'online_retail'") for table in tables} == first
    for table in tables:
        rows = versions(connection, table, "shop = 'second'")
        assert len(rows) == len(second[table]) and not rows & second[table], table


def test_one_shops_bad_day_is_its_own(dbt: Dbt, connection: psycopg.Connection) -> None:
    bad = [
        ("536399", "71053", "LANTERN", 1, "2010-12-05 23:59", "5", "1", "France"),
        ("536399", "71053", "LANTERN", 1, "2010-12-06 00:00", "5", "1", "France"),
    ]
    add_lines(connection, "second", bad, extract=4)
    dbt.run()
    # An invoice over midnight has two days: the key tests say so, and name it.
    assert dbt.test() == {"fct_orders_key": 1, "fct_order_items_key": 1}
    assert stored(connection, "fct_orders_key") == {"second": 1}
    assert query(connection, "select order_id from test_failures.fct_orders_key") == [("536399",)]
    with connection.transaction():
        connection.execute("delete from raw_second.invoice_lines where _extract_id = 4")
        changed(connection, "second", "2010-12-05", "2010-12-06", extract=5)
    dbt.run()
    assert dbt.test("--select", "fct_orders") == {}


def test_failures_are_sampled_but_counted_whole(dbt: Dbt, connection: psycopg.Connection) -> None:
    wrong = "update contract.fct_order_items set amount = amount + %s"
    inserted = (
        "insert into contract.fct_orders"
        " select 'second', 'x' || n, null, now(), '2010-12-01', 'odd', 'EUR', null, 0, false"
    )
    lines = dict(query(connection, "select shop, count(*) from contract.fct_order_items group by shop"))
    connection.execute(f"{inserted} from generate_series(1, 250) as n")
    connection.execute(wrong, [1])
    failing = dbt.test("--select", "fct_orders_day_is_local", "fct_order_items_amount_is_product")
    assert failing == {"fct_orders_day_is_local": 250, "fct_order_items_amount_is_product": sum(lines.values())}
    assert stored(connection, "fct_orders_day_is_local") == {"second": 250}
    assert stored(connection, "fct_order_items_amount_is_product") == lines
    assert query(connection, "select count(*) from test_failures.fct_orders_day_is_local") == [(100,)]
    connection.execute(wrong, [-1])
    connection.execute("delete from contract.fct_orders where status = 'odd'")


def test_a_change_without_a_day_makes_the_shop_again(dbt: Dbt, connection: psycopg.Connection) -> None:
    first = versions(connection, "contract.fct_order_items", "shop = 'online_retail'")
    with connection.transaction():
        connection.execute("update raw_second.invoice_lines set unit_price = unit_price + 1 where quantity > 0")
        changed(connection, "second", None, extract=6)
    dbt.run()
    assert versions(connection, "contract.fct_order_items", "shop = 'online_retail'") == first
    assert query(
        connection, "select price::float from contract.dim_product where shop = 'second' and product_id = 'POST'"
    ) == [(19,)]


def test_steps_and_a_full_refresh_agree(dbt: Dbt, connection: psycopg.Connection) -> None:
    steps = everything(connection)
    dbt.run("--full-refresh")
    assert everything(connection) == steps
    assert dbt.test() == {}


# --- Runs with all five shops: their own raw tables, empty, then with rows that wait, change and come late ---


@pytest.fixture(scope="module")
def world() -> Iterator[Warehouse]:
    """A warehouse with the raw tables of all five shops, empty and typed."""
    home = Path(tempfile.mkdtemp(prefix="cg_five_"))
    home.chmod(0o711)
    try:
        warehouse = Warehouse(load_settings(home=home, environment="test"))
        ensure_raw(warehouse, load_shops(ALL_SHOPS))
        yield warehouse
    finally:
        release(home)
        time.sleep(1.5)
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="module")
def five(world: Warehouse, tmp_path_factory: pytest.TempPathFactory) -> Dbt:
    with world.connect() as connection:
        dbt = Dbt(PROJECT, tmp_path_factory.mktemp("five"), connection.info.host, connection.info.dbname)
    dbt.shops = five_shops()
    dbt.run()
    return dbt


def test_shops_without_a_row_are_borne_by_every_table(five: Dbt, world: Warehouse) -> None:
    assert five.test() == {}
    with world.connect() as connection:
        clocks = query(connection, "select shop, as_of, facts from contract.shop_clock order by shop")
        assert clocks == [(name, None, 0) for name in sorted(five.shops)]
        filled = [
            table
            for table in tracked_tables(connection)
            if query(connection, f"select from {table} limit 1")
            and table not in ("contract.shop_clock", "contract.dim_date")
        ]
    assert filled == []


def test_unit_tests_pass(five: Dbt) -> None:
    result = five("test", "--select", "test_type:unit")
    assert {item.node.name: item.message for item in result.result if item.status != "pass"} == {}
    assert len(result.result) >= 50


class Olist:
    """The files of Olist's source, a version of each table at a time, and what is in the contract of them."""

    def __init__(self, dbt: Dbt, world: Warehouse, folder: Path) -> None:
        self.dbt, self.world = dbt, world
        self.shop = load_shops(ALL_SHOPS)["olist"]
        self.store, self.lake = ObjectStore(str(folder / "inbox")), Lake(str(folder / "lake"))
        (folder / "inbox").mkdir()
        self.inbox = folder / "inbox"

    def load(self, until: str, **tables: list[dict[str, str]]) -> None:
        """Write a file of each table, load it and bring the models up to it."""
        for table, rows in tables.items():
            declared = declared_table("olist", table)
            names = [column.name for column in declared.columns]
            file = self.shop.tables[table].objects[0].replace("*", f"_{until}.csv")
            lines = [",".join(names), *(",".join(row.get(name, "") for name in names) for row in rows)]
            (self.inbox / file).write_text("\n".join(lines) + "\n")
        for table in self.shop.tables:
            report = extract_table(self.world, self.lake, self.store, self.shop, table, say=lambda _: None)
            assert not report.failed, report.failed
        self.dbt.run()

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        with self.world.connect() as connection:
            return query(connection, sql)

    def rows_of(self, day: str) -> dict[str, set[tuple[Any, ...]]]:
        """The physical identity of a day's rows, in the tables that are made day by day."""
        with self.world.connect() as connection:
            return {
                table: versions(connection, table, f"shop = 'olist' and {column} = '{day}'")
                for table, column in (
                    ("contract.fct_orders", "order_date"),
                    ("contract.fct_order_items", "order_date"),
                    ("contract.fct_interactions", "interaction_date"),
                    ("marts.mart_daily_sales", "order_date"),
                    ("marts.mart_hourly_activity", "activity_date"),
                )
            }


def order(name: str, day: str, status: str = "delivered") -> dict[str, str]:
    return {
        "order_id": name,
        "customer_id": f"c_{name}",
        "order_status": status,
        "order_purchase_timestamp": f"{day} 22:30:00",
    }


def line(name: str, number: int = 1, product: str = "p", price: str = "10.00") -> dict[str, str]:
    return {"order_id": name, "order_item_id": str(number), "product_id": product, "price": price, "freight_value": "7"}


def test_rows_that_come_late_or_change_reach_their_day_and_no_other(
    five: Dbt, world: Warehouse, tmp_path: Path
) -> None:
    olist = Olist(five, world, tmp_path)
    olist.load(
        "2017-11-23",
        orders=[order("a", "2017-11-20"), order("b", "2017-11-21"), order("c", "2017-11-22", "shipped")],
        order_items=[line("a"), line("a", 2, "q", "5.50"), line("b"), line("c"), line("d", 1, "unheard")],
        customers=[{"customer_id": f"c_{name}", "customer_unique_id": "u"} for name in "ab"],
        products=[{"product_id": name, "product_category_name": "artes"} for name in "pq"],
        order_reviews=[
            {"review_id": "r", "order_id": name, "review_score": "5", "review_creation_date": "2017-11-24 00:00:00"}
            for name in "ac"
        ],
    )
    # What cannot be filed waits, and is said: an order line, and the customer of an order.
    assert five.test() == {"stg_olist__order_items_few_waiting": 1}
    assert olist.ask("select order_id, customer_id, amount::float from contract.fct_orders order by 1") == [
        ("a", "u", 15.5),
        ("b", "u", 10),
        ("c", None, 10),
    ]
    assert olist.ask("select count(*) from contract.dim_product where is_inferred") == [(0,)]
    first = olist.rows_of("2017-11-20")
    assert all(first.values())

    olist.load(
        "2017-11-24",
        orders=[order("b", "2017-11-21", "canceled"), order("d", "2017-11-23")],
        customers=[{"customer_id": f"c_{name}", "customer_unique_id": f"u_{name}"} for name in "cd"],
    )
    assert olist.rows_of("2017-11-20") == first
    assert olist.ask("select order_id, customer_id, status from contract.fct_orders order by 1") == [
        ("a", "u", "delivered"),
        ("b", "u", "cancelled"),
        ("c", "u_c", "shipped"),
        ("d", "u_d", "delivered"),
    ]
    assert olist.ask("select review_id, order_id, customer_id from contract.fct_reviews order by 2") == [
        ("r", "a", "u"),
        ("r", "c", "u_c"),
    ]
    assert olist.ask("select product_id from contract.dim_product where is_inferred") == [("unheard",)]
    # A cancelled order was never sold: it is in neither of the two sums of its day.
    assert olist.ask(
        "select gross_sales::float, cancelled_amount::float, net_sales::float from marts.mart_daily_sales"
        " where order_date = '2017-11-21'"
    ) == [(0, 10, 0)]

    # A corrected day: the order leaves the one and comes to the other. A line has a new price.
    others = olist.rows_of("2017-11-22")
    olist.load("2017-11-25", orders=[order("a", "2017-11-19")], order_items=[line("a", 1, "p", "9.00")])
    assert not any(olist.rows_of("2017-11-20").values()) and all(olist.rows_of("2017-11-19").values())
    assert olist.rows_of("2017-11-22") == others
    assert olist.ask(
        "select order_date::text, sum(amount)::float from contract.fct_order_items where order_id = 'a' group by 1"
    ) == [("2017-11-19", 14.5)]

    with world.connect() as connection:
        steps = everything(connection)
    five.run("--full-refresh")
    with world.connect() as connection:
        assert everything(connection) == steps
    # The last line names a product that no file has, one of three.
    assert five.test() == {"dim_product_few_inferred": 1}
