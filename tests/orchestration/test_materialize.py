"""`cartograph demo` and `cartograph materialize`: what they make, what they say, their exit status, what they leave."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestration.automation import DOMAINS
from orchestration.cli.materialize import RUNS, said, select
from orchestration.cli.session import CommandError
from resources.settings import load_settings
from resources.warehouse import Warehouse
from tests.orchestration.command import cartograph
from tests.orchestration.conftest import Demo, lines_of
from tests.rig import row, rows, sheet
from tests.shared_home import server_is_gone

SHOP = "online_retail"


def warehouse_of(home: Path) -> Warehouse:
    return Warehouse(load_settings(home=home, environment="test"))


def query(home: Path, statement: str) -> list[tuple[Any, ...]]:
    with warehouse_of(home).connect() as connection:
        return connection.execute(statement).fetchall()  # type: ignore[call-overload,no-any-return]


def release_and_wait(home: Path) -> None:
    from resources.embedded_postgres import release

    release(home)
    assert server_is_gone(home)


# The demo


def test_the_demo_ends_well_and_shows_what_came_of_it(demo: Demo) -> None:
    said_lines = demo.output.read_text()
    assert re.search(rf"online_retail +UCI Online Retail +{lines_of(demo.home):,} rows in 1 file, up to 20", said_lines)
    assert re.search(r"All is well: \d\d assets made, \d\d+ checks, [\d.]+ s \(extract ", said_lines)
    orders, sales = query(
        demo.home,
        "select sum(orders), round(sum(gross_sales)) from marts.mart_daily_sales where shop = 'online_retail'",
    )[0]
    assert re.search(rf"^online_retail +20\d\d-\d\d-\d\d +\d+ +{orders} +{sales:,} GBP", said_lines, re.M)
    assert re.search(r"^online_retail +orders +[▁▂▃▄▅▆▇█ ]{20,} +\d+", said_lines, re.M)
    assert "online_retail: in most orders (" in said_lines
    assert f'--home {demo.home} sql "select' in said_lines
    assert re.search(r"^UCI Online Retail, \w+day 20\d\d-\d\d-\d\d$", said_lines, re.M)
    assert re.search(r"^(orders|revenue) +£?[\d,.]+ +", said_lines, re.M), "what the summary stands on"
    assert "Written by fixed sentences, no language model" in said_lines
    answer, refusal = re.findall(r'^Asked online_retail: "[^"]+"\n(.+?)^\((.+?)\)$', said_lines, re.M | re.S)
    assert re.search(r"\[\w+\], \d+\.\d\d GBP\.", answer[0]) and answer[1].startswith("narrator/v1, prompt ")
    assert "found nothing in the catalogue" in refusal[0]
    assert refusal[1].startswith("refused: nothing found; no model was asked")


def test_the_demo_speaks_in_short_lines_without_colours_or_chatter(demo: Demo) -> None:
    output = demo.output.read_text()
    assert "\x1b" not in output
    for chatter in (
        "--vars",
        "Copying",
        "Fetching",
        "subsetted",
        "AssetObservation",
        "Finished dbt",
        "Warning",
        "Traceback",
    ):
        assert chatter not in output
    for line in (
        "dbt run",
        "dbt test",
        "made contract/fct_orders",
        "made marts/mart_daily_sales",
        "made contract/shop_ready",
    ):
        assert re.search(rf"^ +[\d.]+ s  {line}$", output, re.M), line
    long = [
        line for line in output.splitlines() if len(line) > 80 and str(demo.home) not in line and "--home" not in line
    ]
    assert [line for line in long if not line.startswith(("All is well", "Your own data"))] == []


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("Running dbt command: `/x/y/dbt --no-use-colors run --vars {}`.", "dbt run"),
        ("Running dbt command: `dbt test --select fqn:*`.", "dbt test"),
        ("Fetching row count for model.cartograph.fct_orders", None),
        ("A dbt subsetted execution is not being performed.", None),
        ("Copying `a` to `b` to take advantage of partial parsing.", None),
        ("Finished dbt command: `dbt run`.", None),
        ("Logging an `AssetObservation` instead of\n\nmore", None),
        ("op 'dbt_models' did not yield or return expected outputs {'a'}.", None),
        ("committed 3 rows\nand more", "committed 3 rows"),
    ],
)
def test_one_short_line_for_a_message(message: str, line: str | None) -> None:
    assert said(message) == line


# The second run

COUNTS = (
    "select schemaname || '.' || relname, n_tup_ins, n_tup_upd, n_tup_del from pg_stat_user_tables"
    " where schemaname like 'raw\\_%'"
    " or schemaname in ('staging', 'contract', 'marts', 'ledger', 'test_failures') order by 1"
)


def settled_counts(home: Path) -> list[tuple[Any, ...]]:
    """The counters once every session but this one has ended, for a session hands in its own at its end."""
    with warehouse_of(home).connect(autocommit=True) as connection:
        deadline = time.monotonic() + 30
        others = (
            "select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()"
            " and application_name <> 'cartograph sql'"
        )
        while time.monotonic() < deadline and connection.execute(others).fetchone() != (0,):  # type: ignore[call-overload]
            connection.execute("select pg_sleep(0.05)")
        connection.execute("select pg_stat_force_next_flush()")
        connection.execute("select pg_stat_clear_snapshot()")
        return connection.execute(COUNTS).fetchall()  # type: ignore[call-overload,no-any-return]


def test_a_second_run_makes_nothing_and_writes_nothing(demo: Demo, copied_home: Callable[[], Path]) -> None:
    home = copied_home()
    # In a copy the same file lies under another path: the first call takes note of that.
    assert cartograph(home, "materialize").returncode == 0
    before = settled_counts(home)
    dagster_runs = "select count(*) from runs"
    with warehouse_of(home).connect("dagster") as connection:
        runs_before = connection.execute(dagster_runs).fetchone()
    result = cartograph(home, "materialize")
    assert result.returncode == 0, result.stdout + result.stderr
    assert settled_counts(home) == before
    assert sum(inserted for _, inserted, _, _ in before) > lines_of(home)
    assert "Build and test" not in result.stdout and "Declare" not in result.stdout, "nothing downstream ran"
    assert re.search(rf"raw/online_retail/invoice_lines +{lines_of(home):,} +2/2\s*$", result.stdout, re.M)
    assert "All is well: 2 assets made, 4 checks" in result.stdout
    with warehouse_of(home).connect("dagster") as connection:
        assert connection.execute(dagster_runs).fetchone() == (runs_before[0] + 1,)  # type: ignore[index]
    assert "never run" not in cartograph(home, "status").stdout


# Exit status


def test_a_refused_file_is_status_1_and_stops_nothing_else(copied_home: Callable[[], Path]) -> None:
    home = copied_home()
    bad = home / "inbox" / SHOP / "broken.csv"
    bad.write_bytes(b"InvoiceNo,StockCode\n1,2\n")
    for _ in range(2):
        result = cartograph(home, "materialize")
        assert result.returncode == 1, result.stdout
        assert "every_object_taken" in result.stdout and str(bad) in result.stdout
        assert "Remedy:" in result.stdout
        assert "Not all is well" in result.stdout
    assert query(home, "select count(*) from raw_online_retail.invoice_lines") == [(lines_of(home),)]
    bad.unlink()
    assert cartograph(home, "materialize").returncode == 0


@pytest.fixture(scope="module")
def bad_day(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A copy of the demo home into which came a good file, a refused one, an invoice over midnight; its first run."""
    import shutil
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="cgb-"))
    folder.chmod(0o755)
    home = demo.copy_to(folder / "home")
    inbox = home / "inbox" / SHOP
    (inbox / "good.csv").write_bytes(sheet(rows(25, start=5000)))
    (inbox / "refused.csv").write_bytes(b"this;is;another\nkind;of;file\n")
    midnight = [
        row(9000, InvoiceDate="2011-03-07 23:59:00"),
        row(9000, InvoiceDate="2011-03-08 00:01:00", StockCode="1X"),
    ]
    (inbox / "midnight.csv").write_bytes(sheet([*midnight, row(9001, Quantity="many"), *rows(20, start=9002)]))
    result = cartograph(home, "materialize")
    yield home, result
    release_and_wait(home)
    shutil.rmtree(folder, ignore_errors=True)


def test_good_files_are_loaded_and_built_beside_a_refused_one(bad_day: Any) -> None:
    home, result = bad_day
    assert result.returncode == 1
    assert "refused.csv" in result.stdout
    assert query(home, "select count(*) from raw_online_retail.invoice_lines") == [(lines_of(home) + 25 + 22,)]
    built = query(home, "select count(*) from contract.fct_order_items")
    assert built == [(lines_of(home) + 25 + 22,)]
    assert query(home, "select count(*) from marts.mart_daily_sales where order_date = '2011-03-08'") == [(1,)]


def test_a_bad_row_is_set_aside_and_said_but_no_fault(bad_day: Any) -> None:
    home, result = bad_day
    assert "1 rejected" in result.stdout
    assert query(home, "select count(*) from raw_online_retail.rejects") == [(1,)]
    assert re.search(r"^warn raw/online_retail/invoice_lines: every_row_readable$", result.stdout, re.M)


def test_stored_failures_are_status_1_and_readable(bad_day: Any) -> None:
    _, result = bad_day
    assert "error contract/shop_ready: no_stored_failures" in result.stdout
    assert "| ---" not in result.stdout, "a Markdown table is for the UI"
    assert re.search(
        r"^ +fct_orders_key: failing rows: \d+; "
        r"look at: select \* from test_failures\.fct_orders_key where shop = 'online_retail'$",
        result.stdout,
        re.M,
    )


def test_stored_failures_are_status_1_also_where_nothing_is_new(bad_day: Any) -> None:
    home, _ = bad_day
    (home / "inbox" / SHOP / "refused.csv").unlink(missing_ok=True)
    result = cartograph(home, "materialize")
    assert result.returncode == 1
    assert re.search(r"not ready online_retail: \d+ tests fail as before: .*fct_orders_key", result.stdout)
    assert "Build and test" not in result.stdout
    status = cartograph(home, "status")
    assert status.returncode == 1
    assert "online_retail not ready" in status.stdout and "fct_orders_key" in status.stdout


# Usage


def test_a_home_without_data_is_no_fault_and_says_what_to_do(short_tmp: Path) -> None:
    home = short_tmp / "empty home"  # a path with a space
    result = cartograph(home, "materialize", "group:raw")
    assert result.returncode == 0, result.stdout + result.stderr
    status = cartograph(home, "status")
    assert status.returncode == 0
    assert "online_retail no data" in status.stdout
    assert "cartograph upload online_retail FILE" in status.stdout


@pytest.mark.parametrize(
    ("selection", "shop", "message"),
    [
        (
            "group:nothing",
            None,
            "'group:nothing' names no asset; groups: contract, marts, monitoring, raw, recommender, search, staging, "
            "summaries. Try `group:marts`",
        ),
        ("xx::: ((", None, "Invalid selection string: xx::: ((. Try `group:marts`"),
        ("key:marts/nothing", SHOP, "names no asset"),
        ('key:"raw/online_retail/*"', "another", "names no asset"),
    ],
)
def test_a_selection_that_names_nothing_is_explained(selection: str, shop: str | None, message: str) -> None:
    from orchestration.definitions import defs

    with pytest.raises(CommandError) as error:
        select(selection, defs.resolve_asset_graph(), shop)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("selection", "count"), [(None, 43), ("group:raw", 3), ("contract/fct_orders", 1), ("+contract/fct_orders", 2)]
)
def test_a_selection_names_assets(selection: str | None, count: int) -> None:
    from orchestration.definitions import defs

    assert len(select(selection, defs.resolve_asset_graph(), None)) == count


def test_every_domain_is_made_in_a_run_with_its_partitions() -> None:
    from orchestration.definitions import defs

    assert sorted(domain for domains in RUNS.values() for domain in domains) == sorted(DOMAINS)
    graph = defs.resolve_asset_graph()
    for domains in RUNS.values():
        keys = [key for key in graph.executable_asset_keys if key.path[0] in domains]
        assert len({tuple(graph.get(key).partitions_def.get_partition_keys()) for key in keys}) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--shop", "online_retial"], "did you mean 'online_retail'?"),
        (["--shop", "zalando"], "there are: online_retail"),
        (["xx::: (("], "Invalid selection string"),
        (["--nonsense"], "No such option"),
    ],
)
def test_a_wrong_use_is_status_2_with_a_helpful_message(arguments: list[str], message: str, demo: Demo) -> None:
    result = cartograph(demo.home, "materialize", *arguments)
    assert result.returncode == 2
    assert message in " ".join(result.stderr.split())
    assert "Traceback" not in result.stderr
