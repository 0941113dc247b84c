"""The commands that look, check and put: sql, schema, status, upload, docs, dbt, forget; help; pipes; Ctrl-C; paths."""

from __future__ import annotations

import csv
import datetime
import io
import json
import os
import pty
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from assets.extracts.errors import ExtractError
from orchestration.cli import session
from orchestration.cli.main import Format, app
from orchestration.cli.sql import run_sql
from resources.days import FORM
from resources.embedded_postgres import release
from resources.settings import PROJECT_ROOT, get_settings, load_settings
from resources.warehouse import Warehouse
from tests.orchestration.command import COMMAND, cartograph, clean_environment, start
from tests.orchestration.conftest import Demo, lines_of
from tests.rig import rows, sheet
from tests.shared_home import server_is_gone

SHOP = "online_retail"
COMMANDS = sorted(command.name or command.callback.__name__ for command in app.registered_commands)  # type: ignore[union-attr]


def query(home: Path, statement: str, database: Any = "cartograph") -> list[tuple[Any, ...]]:
    with Warehouse(load_settings(home=home, environment="test")).connect(database) as connection:
        return connection.execute(statement).fetchall()  # type: ignore[call-overload,no-any-return]


# Help


def test_the_help_names_every_command_and_how_to_begin(tmp_path: Path) -> None:
    result = cartograph(tmp_path, "--help")
    assert result.returncode == 0
    for name in COMMANDS:
        assert re.search(rf"^│ {name} ", result.stdout, re.M), name
    assert "Begin with cartograph demo" in " ".join(result.stdout.split())
    assert max(map(len, result.stdout.splitlines())) <= 80


@pytest.mark.parametrize("name", COMMANDS)
def test_every_commands_help_has_an_example(name: str, tmp_path: Path) -> None:
    result = cartograph(tmp_path, name, "--help")
    text = " ".join(result.stdout.split())
    assert result.returncode == 0, result.stderr
    assert re.search(rf"Examples?: cartograph (?:--home \S+ )?{name}", text), text
    assert not list(tmp_path.iterdir()), "help makes nothing"


def test_the_help_of_serve_names_all_that_is_served(tmp_path: Path) -> None:
    said = cartograph(tmp_path, "serve", "--help").stdout
    for served in ("recommendations", "search", "answers", "summaries", "events", "health", "metrics"):
        assert served in said


def test_no_command_and_an_unknown_one_are_usage_errors(tmp_path: Path) -> None:
    alone = subprocess.run([COMMAND], capture_output=True, text=True, env=clean_environment())
    assert "Usage: cartograph" in alone.stdout + alone.stderr
    assert "Commands" in alone.stdout + alone.stderr
    unknown = cartograph(tmp_path, "materialise")
    assert unknown.returncode == 2
    assert "No such command" in unknown.stderr


# sql


@pytest.fixture
def sql(
    demo: Demo, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., str]]:
    """`cartograph sql` in this process: the query's output."""
    monkeypatch.setenv("CARTOGRAPH_HOME", str(demo.home))
    get_settings.cache_clear()
    session.console.cache_clear()

    def run(statement: str, output: Format = Format.CSV, lake: bool = False) -> str:
        capsys.readouterr()
        session.console.cache_clear()
        assert run_sql(statement, lake, output) == 0
        return capsys.readouterr().out

    yield run
    get_settings.cache_clear()
    session.console.cache_clear()


def test_unqualified_names_are_found_in_contract_then_marts(sql: Callable[..., str], demo: Demo) -> None:
    assert sql("select count(*) from fct_order_items") == f"count\n{lines_of(demo.home)}\n"
    assert sql("select count(*) > 10 as many from mart_daily_sales") == "many\ntrue\n"
    assert sql("show search_path").startswith('search_path\n"contract, marts')


VALUES = (
    "select 1 as whole, 0.1::numeric as tenth, 123456789012345678.123456789::numeric as long, null::text as nothing,"
    " ''::text as empty, 'a \"b\", c' as quoted, true as yes, date '2010-12-01' as day,"
    " timestamptz '2010-12-01 08:26+00' as instant, 'NaN'::float8 as nan, array[1, 2] as list"
)


def test_csv_is_exact_and_tells_null_from_empty(sql: Callable[..., str]) -> None:
    header, line = sql(VALUES).splitlines()
    assert header == "whole,tenth,long,nothing,empty,quoted,yes,day,instant,nan,list"
    assert line == (
        '1,0.1,123456789012345678.123456789,,"","a ""b"", c",true,2010-12-01,2010-12-01T08:26:00+00:00,nan,"[1, 2]"'
    )
    assert next(csv.reader(io.StringIO(line)))[5] == 'a "b", c'


def test_json_is_exact(sql: Callable[..., str]) -> None:
    (found,) = json.loads(sql(VALUES, Format.JSON), parse_constant=pytest.fail)
    assert found == {
        "whole": 1,
        "tenth": 0.1,
        "long": "123456789012345678.123456789",
        "nothing": None,
        "empty": "",
        "quoted": 'a "b", c',
        "yes": True,
        "day": "2010-12-01",
        "instant": "2010-12-01T08:26:00+00:00",
        "nan": "nan",
        "list": [1, 2],
    }


def test_json_is_whole_and_an_empty_result_is_an_empty_array(sql: Callable[..., str]) -> None:
    assert len(json.loads(sql("select * from generate_series(1, 12001) as n", Format.JSON))) == 12001
    assert json.loads(sql("select * from fct_orders where false", Format.JSON)) == []
    assert sql("select shop, order_id from fct_orders where false") == "shop,order_id\n"


def test_json_refuses_two_columns_of_one_name(sql: Callable[..., str]) -> None:
    with pytest.raises(session.CommandError, match="two columns are named 'a'"):
        sql("select 1 as a, 2 as a", Format.JSON)
    assert sql("select 1 as a, 2 as a") == "a,a\n1,2\n"


def test_a_table_is_whole_in_a_pipe_and_says_what_it_leaves_out(sql: Callable[..., str]) -> None:
    text = sql("select * from mart_daily_sales limit 2", Format.TABLE)
    header, first, _, count = text.splitlines()
    assert header.split()[:3] == ["shop", "order_date", "currency"] and "average_order_value" in header
    assert len(header) > 80 and SHOP in first and count == "(2 rows)"
    long = sql("select n from generate_series(1, 300) as n", Format.TABLE)
    assert "(300 rows; the first 200 are shown, --format csv prints all)" in long
    assert "[red]" in sql("select '[red]x' as markup", Format.TABLE)


def test_a_table_that_is_too_wide_for_a_terminal_becomes_records(demo: Demo) -> None:
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [COMMAND, "--home", str(demo.home), "sql", "select * from mart_daily_sales limit 2"],
        stdout=follower,
        stderr=follower,
        stdin=subprocess.DEVNULL,
        env=clean_environment(TERM="xterm"),
    )
    os.close(follower)
    seen = b""
    while True:
        try:
            block = os.read(leader, 4096)
        except OSError:
            break
        if not block:
            break
        seen += block
    os.close(leader)
    assert process.wait(timeout=180) == 0
    text = re.sub(r"\x1b\[[0-9;]*m", "", seen.decode())
    assert max(len(line.rstrip("\r\n")) for line in text.splitlines()) <= 80
    assert "row 2" in text and re.search(r"^average_order_value +[\d.,]+", text, re.M)


READ_ONLY = "read-only transaction"
DENIED = "permission denied"
NO_ROWS = "gives no rows"


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("insert into contract.fct_orders (shop) values ('x') returning 1", READ_ONLY),
        ("insert into contract.fct_orders (shop) values ('x')", NO_ROWS),
        ("update contract.fct_orders set shop = 'x' returning 1", READ_ONLY),
        ("delete from contract.fct_orders returning 1", READ_ONLY),
        ("truncate contract.fct_orders", NO_ROWS),
        ("drop table contract.fct_orders", NO_ROWS),
        ("create table public.x (a int)", NO_ROWS),
        ("create temp table x (a int)", NO_ROWS),
        ("select 1 as a into temp table x", NO_ROWS),
        ("select 1; delete from contract.fct_orders", "multiple commands"),
        ("select 1; select 2", "multiple commands"),
        ("with gone as (delete from contract.fct_orders returning *) select * from gone", READ_ONLY),
        ("explain analyze delete from contract.fct_orders", READ_ONLY),
        ("do $$begin delete from contract.fct_orders; end$$", NO_ROWS),
        ("copy contract.fct_orders to '/tmp/cartograph-was-here'", NO_ROWS),
        ("copy (select 1) to program 'touch /tmp/cartograph-was-here'", NO_ROWS),
        ("copy contract.fct_orders from program 'true'", NO_ROWS),
        ("set role postgres", NO_ROWS),
        ("reset role", NO_ROWS),
        ("set transaction read write", NO_ROWS),
        ("commit", NO_ROWS),
        ("select set_config('transaction_read_only', 'off', false)", "read-write mode must be set before any query"),
        ("select set_config('role', 'postgres', true)", DENIED),
        ("select set_config('session_authorization', 'postgres', true)", DENIED),
        ("select pg_read_file('/etc/passwd')", DENIED),
        ("select pg_ls_dir('/')", DENIED),
        ("select lo_import('/etc/passwd')", DENIED),
        ("select nextval('ledger.extracts_extract_id_seq')", DENIED),
        ("select setval('ledger.extracts_extract_id_seq', 1)", DENIED),
        ("select pg_reload_conf()", DENIED),
        (
            # A function that runs text as a query sees what an earlier function of the same statement has set.
            "select set_config('role', 'none', true), (select count(*) from ts_stat("
            "'select to_tsvector(pg_read_file(''/etc/passwd''))'))",
            DENIED,
        ),
        ("listen cartograph", NO_ROWS),
        ("vacuum", NO_ROWS),
        ("", "the query is empty"),
        ("selec 1", 'syntax error at or near "selec" (character 1)'),
        ("select * from nothing_here", "run `cartograph materialize`"),
        ("select 1 / 0", "division by zero"),
    ],
)
def test_what_is_no_query_is_refused_and_changes_nothing(
    sql: Callable[..., str], demo: Demo, statement: str, message: str
) -> None:
    with pytest.raises(session.CommandError) as error:
        sql(statement)
    assert message in str(error.value)
    assert query(demo.home, "select count(*) from contract.fct_order_items") == [(lines_of(demo.home),)]
    assert not Path("/tmp/cartograph-was-here").exists()


def test_a_refusal_is_one_line_and_status_2(demo: Demo) -> None:
    result = cartograph(demo.home, "sql", "drop table contract.fct_orders")
    assert result.returncode == 2
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1


def test_a_query_can_come_from_standard_input(demo: Demo) -> None:
    result = cartograph(demo.home, "sql", "--format", "csv", "-", text="select 7 as seven")
    assert result.stdout == "seven\n7\n"


def test_the_lake_is_read_before_any_model_exists(short_tmp: Path) -> None:
    """Extracted only; and from another folder, with a relative home that has a space in it."""
    home = short_tmp / "a home"
    inbox = home / "inbox" / SHOP
    inbox.mkdir(parents=True)
    (inbox / "lines.csv").write_bytes(sheet(rows(30)))
    assert cartograph("a home", "materialize", "group:raw", cwd=short_tmp).returncode == 0
    statement = f"select count(*) as n, min(invoice_date) as first from {SHOP}.invoice_lines"
    result = cartograph("a home", "sql", "--lake", "--format", "csv", statement, cwd=short_tmp)
    assert result.returncode == 0, result.stderr
    assert result.stdout == "n,first\n30,2010-12-01T08:00:00\n"
    early = cartograph("a home", "sql", "select * from fct_orders", cwd=short_tmp)
    assert early.returncode == 2 and "run `cartograph materialize`" in early.stderr


@pytest.mark.parametrize(
    "statement",
    [
        "copy (select 1) to '/tmp/cartograph-was-here'",
        "attach '/tmp/cartograph-was-here' as other",
        "install httpfs",
        "create table x as select 1",
        "select 1; select 2",
        "set threads = 1",
        "select * from nothing_here",
    ],
)
def test_the_lake_is_only_read(sql: Callable[..., str], statement: str) -> None:
    with pytest.raises(session.CommandError):
        sql(statement, lake=True)
    assert not Path("/tmp/cartograph-was-here").exists()


def test_the_lake_holds_what_was_committed(sql: Callable[..., str], demo: Demo) -> None:
    assert sql("select count(*) as n from invoice_lines", lake=True) == f"n\n{lines_of(demo.home)}\n"


# status


def test_status_before_anything_exists_is_json_and_true(short_tmp: Path) -> None:
    result = cartograph(short_tmp / "home", "status", "--json")
    assert result.returncode == 0, result.stderr
    state = json.loads(result.stdout)
    assert state["is_sound"] is True
    assert state["shops"][SHOP]["state"] == "no data"
    assert state["shops"][SHOP]["tables"]["invoice_lines"]["state"] == "missing"
    assert {item["made_at"] for item in state["assets"]} == {None}
    # Of what was never made there is nothing to check.
    assert not any(sum(item["checks"].values()) for item in state["assets"])


def test_status_tells_what_is_there(demo: Demo) -> None:
    result = cartograph(demo.home, "status", "--json")
    assert result.returncode == 0, result.stderr
    state = json.loads(result.stdout)
    assert state["shops"][SHOP]["state"] == "ready"
    assert state["shops"][SHOP]["as_of"] == str(query(demo.home, "select as_of from contract.shop_clock")[0][0])
    by_asset = {item["asset"]: item for item in state["assets"]}
    assert len(by_asset) == 43
    # Nobody sent the API anything, so that there was nothing to read.
    assert by_asset.pop("raw/api/events")["made_at"] is None
    for name, item in by_asset.items():
        made = datetime.datetime.fromisoformat(item["made_at"])
        assert abs(item["age_seconds"] - (datetime.datetime.now(datetime.UTC) - made).total_seconds()) < 60
        assert item["checks"]["never run"] == item["checks"]["failed"] == 0, name
        schema, *_, table = name.split("/")
        if schema in ("contract", "marts") and table != "shop_ready":
            assert query(demo.home, f"select count(*) from {schema}.{table}") == [(item["rows"],)], name
    assert by_asset["contract/shop_ready"]["partition"] == SHOP


def test_status_fits_a_screen(demo: Demo) -> None:
    result = cartograph(demo.home, "status")
    assert max(len(line.rstrip()) for line in result.stdout.splitlines() if not line.startswith("Home")) <= 80
    assert "…" not in result.stdout and "\x1b" not in result.stdout
    assert re.search(r"^contract/shop_ready \[online_retail\] +.* 2 passed", result.stdout, re.M)


# ask, summary


def test_ask_answers_from_the_catalogue_and_names_the_products(demo: Demo) -> None:
    result = cartograph(demo.home, "ask", "Do you have a lantern for the garden?")
    assert result.returncode == 0, result.stderr
    cited = re.findall(r"\[(\w+)\]", result.stdout)
    titles = dict(query(demo.home, "select product_id, title from contract.dim_product"))
    assert cited and all(re.search(rf"^ ?{product} +{titles[product][:10]}", result.stdout, re.M) for product in cited)
    assert re.search(r"^narrator/v1, prompt [0-9a-f]{12}; [\d.]+ s$", result.stdout, re.M)
    assert result.stderr == ""


def test_ask_refuses_what_the_catalogue_does_not_have(demo: Demo) -> None:
    result = cartograph(demo.home, "ask", "Which train goes to Lisbon tomorrow morning?", "--shop", SHOP)
    assert result.returncode == 1
    assert "found nothing in the catalogue" in result.stdout and "no model was asked" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["ask", "lamp " * 10_000], "the question has 50,000 characters, and may have 2,000; shorten it"),
        (["ask", " "], "the question is empty; ask something"),
        (["ask", "lamp?", "--shop", "online_retial"], "did you mean 'online_retail'?"),
        (["summary", "--shop", "online_retial"], "did you mean 'online_retail'?"),
        (["summary", "--date", "yesterday"], f"--date 'yesterday': {FORM}."),
        (["summary", "--date", "20261121"], f"--date '20261121': {FORM}."),
        (["summary", "--date", "1999-12-31"], "online_retail has no summary of 1999-12-31: there are some from 20"),
    ],
    ids=["long", "empty", "no shop to ask", "no shop to sum up", "no day", "another form", "no such day"],
)
def test_what_cannot_be_asked_is_one_line_and_status_2(arguments: list[str], told: str, demo: Demo) -> None:
    result = cartograph(demo.home, *arguments)
    assert result.returncode == 2 and told in result.stderr, result.stderr
    assert len(result.stderr.splitlines()) == 1 and result.stdout == ""


def test_summary_shows_the_last_day_and_what_it_stands_on(demo: Demo) -> None:
    result = cartograph(demo.home, "summary")
    assert result.returncode == 0, result.stderr
    [(day, rendered, orders)] = query(
        demo.home,
        "select summary.day, rendered, orders from serving.daily_summaries as summary"
        " left join marts.mart_daily_sales as sales on sales.shop = summary.shop and sales.order_date = summary.day"
        " order by summary.day desc limit 1",
    )
    assert result.stdout.startswith(f"UCI Online Retail, {day:%A} {day}\n")
    assert " ".join(rendered.split()) in " ".join(result.stdout.split())
    assert "Written by fixed sentences, no language model, prompt " in " ".join(result.stdout.split())
    assert max(map(len, result.stdout.splitlines())) <= 80
    whole = cartograph(demo.home, "summary", "--date", str(day), "--facts").stdout
    assert re.search(rf"^orders +{orders or 0:,} +", whole, re.M) and re.search(r"^products_sold +\d", whole, re.M)
    assert len(whole.splitlines()) > len(result.stdout.splitlines())


# schema


def test_schema_shows_what_is_declared_beside_what_is_found(demo: Demo) -> None:
    result = cartograph(demo.home, "schema", SHOP)
    assert result.returncode == 0, result.stderr
    assert re.search(r"^unit_price +numeric\(18,4\) not null +UnitPrice +", result.stdout, re.M)
    assert cartograph(demo.home, "schema", "zalando").returncode == 2


def test_schema_names_what_does_not_fit_what_is_missing_and_what_is_new(tmp_path: Path) -> None:
    inbox = tmp_path / "inbox" / SHOP
    inbox.mkdir(parents=True)
    header = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,CustomerID,Country,Colour"
    (inbox / "a.csv").write_text(header + "\n1,A,LAMP,few,2010-12-01 08:00,17850,France,red\n")
    (inbox / "b.csv").write_bytes(b"")
    result = cartograph(tmp_path, "schema", SHOP)
    assert result.returncode == 1
    assert re.search(r"^quantity .*does not fit", result.stdout, re.M)
    assert re.search(r"^unit_price .*missing", result.stdout, re.M)
    assert re.search(r"Colour .*new *$", result.stdout, re.M)
    assert "b.csv" in result.stdout and "Remedy: " in result.stdout


# upload


def test_upload_refuses_all_where_one_file_is_refused_and_says_why_of_each(tmp_path: Path) -> None:
    home, files = tmp_path / "home", tmp_path / "files"
    files.mkdir()
    good = files / "good.csv"
    good.write_bytes(sheet(rows(3)))
    (files / "a folder").mkdir()
    (files / "Retail sheet.csv").write_bytes(sheet(rows(3)))
    made = {
        "empty.csv": b"",
        "notes.csv": b"InvoiceNo,StockCode\n1,2\n",
        "cut.csv.gz": b"\x1f\x8b\x08\x00\x00",
        "page.csv": b"<html><body>Not found</body></html>",
        "latin.csv": b"InvoiceNo,StockCode,Description\n1,2,\xa3 caf\xe9\n",
        "data.json": b'{"a": 1}',
    }
    for name, content in made.items():
        (files / name).write_bytes(content)
    names = [
        good,
        files / "missing.csv",
        files / "a folder",
        files / "Retail%20sheet.csv",
        *(files / name for name in made),
    ]
    result = cartograph(home, "upload", SHOP, *names)
    assert result.returncode == 2
    lines = result.stderr.splitlines()
    assert lines[0] == "cartograph: nothing was uploaded."
    assert [str(name) in line for name, line in zip(names[1:], lines[1:], strict=True)] == [True] * 9
    assert "missing.csv: no such file." in lines[1]
    assert "is a folder; name the files in it" in lines[2]
    assert f"There is {files / 'Retail sheet.csv'}: the name is URL-encoded" in lines[3]
    assert all("Remedy: " in line for line in lines[4:])
    assert not home.exists() or not list(home.rglob("*.csv*")), "nothing was copied"


def test_upload_puts_files_into_the_inbox_whole(tmp_path: Path) -> None:
    file = tmp_path / "my lines.csv"
    file.write_bytes(sheet(rows(3)))
    result = cartograph(tmp_path / "home", "upload", SHOP, file)
    assert result.returncode == 0, result.stderr
    assert "Next: cartograph materialize --shop online_retail" in result.stdout
    (there,) = [path for path in (tmp_path / "home" / "inbox").rglob("*") if path.is_file()]
    assert there.name == file.name and there.read_bytes() == file.read_bytes()
    assert (tmp_path / "home" / "kind").read_text().strip() == "real"


def test_simulated_and_real_data_are_never_mixed(demo: Demo, tmp_path: Path) -> None:
    file = tmp_path / "lines.csv"
    file.write_bytes(sheet(rows(3)))
    before = sorted((demo.home / "inbox").rglob("*"))
    refused = cartograph(demo.home, "upload", SHOP, file)
    assert refused.returncode == 2
    assert "holds simulated data, and real data must not be mixed with it" in refused.stderr
    assert sorted((demo.home / "inbox").rglob("*")) == before
    assert cartograph(tmp_path / "home", "upload", SHOP, file).returncode == 0
    other_way = cartograph(tmp_path / "home", "demo", "--size", "0.1")
    assert other_way.returncode == 2
    assert "holds real data, and simulated data must not be mixed with it" in other_way.stderr


def test_upload_to_an_unknown_shop_is_a_usage_error(tmp_path: Path) -> None:
    result = cartograph(tmp_path, "upload", "online-retail", "x.csv")
    assert result.returncode == 2
    assert "did you mean 'online_retail'?" in result.stderr


# docs, dbt, forget


def test_docs_are_built_and_dbt_runs_on_the_home(demo: Demo) -> None:
    result = cartograph(demo.home, "docs", "--build-only")
    assert result.returncode == 0, result.stderr
    assert (demo.home / "docs" / "index.html").is_file()
    catalog = json.loads((demo.home / "docs" / "catalog.json").read_text())
    assert "model.cartograph.fct_orders" in catalog["nodes"]
    manifests = PROJECT_ROOT / "dbt_project" / "target"
    before = {path: path.stat().st_mtime_ns for path in manifests.rglob("manifest.json")}
    listed = cartograph(demo.home, "dbt", "ls", "--select", "fct_orders", "--quiet")
    assert listed.returncode == 0, listed.stdout + listed.stderr
    assert "cartograph.contract.fct_orders" in listed.stdout
    after = {path: path.stat().st_mtime_ns for path in manifests.rglob("manifest.json")}
    assert before == after, "the project's own manifests are left alone"


def test_forget_drops_a_table_after_asking(copied_home: Callable[[], Path]) -> None:
    home = copied_home()
    assert cartograph(home, "forget", SHOP, "no_such_table").returncode == 2
    declined = cartograph(home, "forget", SHOP, "invoice_lines", text="n\n")
    assert declined.returncode == 1
    assert f"with {lines_of(home):,} rows of 1 objects?" in declined.stdout
    done = cartograph(home, "forget", SHOP, "invoice_lines", "--yes")
    assert done.returncode == 0, done.stderr
    assert f"Forgotten: {lines_of(home):,} rows. Next: cartograph materialize" in done.stdout
    assert query(home, "select to_regclass('raw_online_retail.invoice_lines')") == [(None,)]
    assert query(home, "select count(*) from ledger.extracts where removed_at is null") == [(0,)]
    assert cartograph(home, "materialize", "group:raw").returncode == 0
    assert query(home, "select count(*) from raw_online_retail.invoice_lines") == [(lines_of(home),)]


# Settings that are wrong


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("CARTOGRAPH_SHOPS_FILE", "/nowhere/shops.yaml", "/nowhere/shops.yaml: no such file"),
        ("CARTOGRAPH_DBT_PROJECT", "/nowhere/dbt", "/nowhere/dbt"),
        ("CARTOGRAPH_ENV", "produktion", "produktion"),
        ("WAREHOUSE_URL", "mysql://somewhere/x", "WAREHOUSE_URL begins with 'mysql'"),
        ("WAREHOUSE_URL", "postgresql://u:secret@127.0.0.1:1/x", "WAREHOUSE_URL, database"),
    ],
)
def test_a_wrong_setting_is_one_message_and_no_traceback(
    tmp_path: Path, variable: str, value: str, message: str
) -> None:
    result = cartograph(tmp_path, "materialize" if "DBT" in variable else "status", **{variable: value})
    assert result.returncode == 2, result.stderr
    assert message in result.stderr
    assert "Traceback" not in result.stderr and "secret" not in result.stderr


# Pipes and Ctrl-C


@pytest.mark.parametrize(
    "arguments",
    [["sql", "--format", "csv", "select * from generate_series(1, 100000) as n"], ["status"], ["--help"]],
    ids=["sql", "status", "help"],
)
def test_a_pipe_that_is_closed_early_is_no_fault(demo: Demo, arguments: list[str]) -> None:
    command = " ".join(f"'{part}'" for part in [COMMAND, "--home", str(demo.home), *arguments])
    result = subprocess.run(
        ["bash", "-c", f"{command} | head -1"],
        capture_output=True,
        text=True,
        cwd=PROJECT_ROOT,
        env=clean_environment(),
        timeout=180,
    )
    assert result.returncode == 0
    assert len(result.stdout.splitlines()) == 1
    assert result.stderr == ""


def interrupted_at(home: Path, line: str, *arguments: str, group: bool) -> tuple[int, str]:
    """The command's status and what it said, ended by Ctrl-C at a line of its output."""
    process = start(home, *arguments)
    assert process.stdout is not None
    seen = []
    for text in process.stdout:
        seen.append(text)
        if line in text:
            break
    else:
        pytest.fail("it ended before: " + "".join(seen))
    children = psutil.Process(process.pid).children(recursive=True)
    (os.killpg if group else os.kill)(process.pid, signal.SIGINT)
    rest, _ = process.communicate(timeout=180)
    _, alive = psutil.wait_procs(children, timeout=30)
    assert not alive, f"left behind: {alive}"
    return process.returncode, "".join(seen) + rest


def test_ctrl_c_while_extracting_half_loads_nothing(copied_home: Callable[[], Path]) -> None:
    """As a terminal sends it: to the whole group."""
    home = copied_home()
    lines = lines_of(home)
    (home / "inbox" / SHOP / "big.csv").write_bytes(sheet(rows(60_000)))
    status, output = interrupted_at(home, "reading big.csv", "materialize", group=True)
    assert status == 130, output
    assert "Stopped. What was committed stays" in output
    assert "Traceback" not in output
    assert query(home, "select count(*) from raw_online_retail.invoice_lines")[0][0] in (lines, lines + 60_000)
    running = "select count(*) from runs where status in ('STARTED', 'STARTING')"
    assert query(home, running, "dagster") == [(0,)], "no run is said to be at work for ever"


def test_ctrl_c_while_dbt_works_and_the_next_run_goes_on(copied_home: Callable[[], Path]) -> None:
    """As `kill -INT` sends it: to the command alone, which has to end dbt."""
    home = copied_home()
    (home / "inbox" / SHOP / "more.csv").write_bytes(sheet(rows(25, start=5000)))
    status, output = interrupted_at(home, "dbt run", "materialize", group=False)
    assert status == 130, output
    assert "Traceback" not in output
    result = cartograph(home, "materialize")
    assert result.returncode == 0, result.stdout + result.stderr
    assert query(home, "select count(*) from contract.fct_order_items") == [(lines_of(home) + 25,)]


def test_an_error_of_the_users_is_explained_and_one_of_ours_is_traced() -> None:
    assert session.explain(ExtractError("it is wrong", "mend it")) == "it is wrong. Remedy: mend it."
    assert session.explain(ValueError("a fault of ours")) is None


def test_the_server_of_a_home_goes_when_the_last_command_has_ended(copied_home: Callable[[], Path]) -> None:
    home = copied_home()
    assert cartograph(home, "sql", "select 1").returncode == 0
    assert server_is_gone(home)
    assert query(home, "select 1") == [(1,)]
    release(home)
    assert server_is_gone(home)
