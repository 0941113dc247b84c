"""The `cartograph` command: its commands, options and help. What each command does stands in the module of its name."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="cartograph",
    help=(
        "The data platform of an online shop: raw files become tested facts, dimensions and marts.\n\n"
        "Begin with `cartograph demo`. For your own data: `cartograph upload SHOP FILE...`, `cartograph materialize`, "
        'then `cartograph sql "select * from mart_daily_sales limit 5"`, and `cartograph up` to look at it all.'
    ),
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Format(StrEnum):
    """How a result is printed."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


@app.callback()
def _home(
    home: Annotated[
        Path | None,
        typer.Option(
            help="The folder that holds all data. Default: $CARTOGRAPH_HOME, else .cartograph in the project.",
            show_default=False,
        ),
    ] = None,
) -> None:
    # Settings are read once, and by every process that is started from here: so the option goes into the environment.
    if home is not None:
        os.environ["CARTOGRAPH_HOME"] = str(home.expanduser().absolute())


@app.command()
def demo(
    size: Annotated[
        float, typer.Option(min=0.05, max=100.0, help="1 is at most 60,000 events and 25,000 orders a shop.")
    ] = 1.0,
    seed: Annotated[int, typer.Option(help="Another seed gives other shops of the same kinds.")] = 7,
) -> None:
    """Simulate the shops, load, model and test them, and show what came of it.

    Uses the home `.cartograph/demo`, apart from your own data, unless --home or CARTOGRAPH_HOME names another.

    Examples: `cartograph demo`, `cartograph --home /tmp/shops demo --size 3 --seed 3`
    """
    from orchestration.cli.demo import run_demo

    raise typer.Exit(run_demo(size, seed))


@app.command()
def up(
    port: Annotated[
        int, typer.Option(help="The first port to try for the Dagster UI; the next free ones are taken.")
    ] = 3000,
) -> None:
    """Start the Dagster UI with its daemon, the MLflow UI, the dbt docs site and the API; Ctrl-C stops them all.

    Examples: `cartograph up`, `cartograph --home .cartograph/demo up --port 4000`
    """
    from orchestration.cli.up import run_up

    raise typer.Exit(run_up(port))


@app.command()
def serve(
    host: Annotated[
        str, typer.Option(help="The address to listen on; 0.0.0.0 is all of this machine's.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 takes a free one.")] = 8000,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes that share the port.")] = 1,
) -> None:
    """Serve the API: recommendations, search, answers, summaries, events, health, metrics; its pages are at /docs.

    Ctrl-C stops it, once what is under way is answered.

    `cartograph up` starts it too. New champions are served within seconds, without a restart.

    Examples: `cartograph serve`, `cartograph --home .cartograph/demo serve --port 9000`,
    `cartograph serve --host 0.0.0.0 --workers 4`

    Ask it: `curl -s localhost:8000/recommendations -H "content-type: application/json" -d '{"shop": "online_retail"}'`
    """
    from orchestration.cli.serve import run_serve

    raise typer.Exit(run_serve(host, port, workers))


@app.command()
def simulate(
    shops: Annotated[
        list[str] | None,
        typer.Argument(
            help="thelook, retailrocket, online_retail, olist, anime. Default: all five.", show_default=False
        ),
    ] = None,
    days: Annotated[
        int | None,
        typer.Option(help="Length of the first write in days. Default: each shop's own.", show_default=False),
    ] = None,
    scale: Annotated[
        float | None,
        typer.Option(
            help="Share of the public set's size, up to 1. Default: at most 60,000 events and 25,000 orders a shop.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Another seed gives other shops. Default: 7.", show_default=False)
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(
            metavar="YYYY-MM-DD", help="The last day. Default: yesterday by the shop's clock.", show_default=False
        ),
    ] = None,
    drift: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND", help="Change the world: tastes, prices, wording (olist), volume.", show_default=False
        ),
    ] = None,
    start: Annotated[
        list[str] | None,
        typer.Option("--from", metavar="YYYY-MM-DD", help="The first day on which --drift holds.", show_default=False),
    ] = None,
) -> None:
    """Write simulated shops into the inbox, in the schemas and file formats of the public sets.

    A second call grows the shops to yesterday: the same world, in new files with the new days and what changed.
    The home must hold simulated data alone. What was planted stands in `simulated/SHOP` of the home.

    Examples: `cartograph simulate`, `cartograph simulate olist --scale 0.1 --days 365`,
    `cartograph simulate retailrocket --drift tastes --from 2026-03-01`

    Day by day: `cartograph simulate --until 2026-03-01`, later `cartograph simulate --until 2026-03-02`
    """
    from orchestration.cli.simulate import run_simulate

    raise typer.Exit(run_simulate(shops or [], days, scale, seed, until, drift or [], start or []))


@app.command()
def upload(
    shop: Annotated[str, typer.Argument(help="A shop of config/shops.yaml.")],
    files: Annotated[list[Path], typer.Argument(help="CSV, Parquet or xlsx files, plain or in gzip or zip.")],
) -> None:
    """Put raw files into a shop's inbox, after checking that they look like that shop's.

    Nothing is loaded yet: `cartograph materialize` does that, or the inbox sensor while `cartograph up` runs.

    Examples: `cartograph upload online_retail OnlineRetail.xlsx`, `cartograph upload online_retail 2011-*.csv.gz`
    """
    from orchestration.cli.upload import run_upload

    raise typer.Exit(run_upload(shop, files))


@app.command()
def stream(
    shop: Annotated[str, typer.Argument(help="A shop of config/shops.yaml that has a stream.")],
    file: Annotated[
        Path | None,
        typer.Argument(help="A CSV, Parquet or xlsx file, plain or in gzip or zip."),
    ] = None,
    records: Annotated[
        int | None, typer.Option(min=1, help="Send the first so many rows only. Default: all.", show_default=False)
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(min=0.01, help="Rows a second. Default: as fast as they go.", show_default=False),
    ] = None,
    table: Annotated[
        str | None,
        typer.Option(help="The raw table, where the shop has several with a stream.", show_default=False),
    ] = None,
    accept_gap: Annotated[
        bool,
        typer.Option(
            "--accept-gap", help="Send nothing: go on without the records that the stream lost before they were read."
        ),
    ] = False,
) -> None:
    """Send the rows of a file to a shop's stream, as a producer would: one JSON record for each row.

    Where the stream is (a folder of the home, or Kinesis) CARTOGRAPH_STREAMS says. A stream of Kinesis must exist.
    The records are read by `cartograph materialize`, or within seconds while `cartograph up` runs. A file that is sent
    again gives its records the same names: they are there twice in the raw table, and count once behind it.

    Examples: `cartograph stream online_retail today.csv`,
    `cartograph stream online_retail today.csv --records 20 --rate 2`

    After a loss: `cartograph stream online_retail --accept-gap`
    """
    from orchestration.cli.stream import run_accept_gap, run_stream

    if accept_gap:
        raise typer.Exit(run_accept_gap(shop, table, file))
    raise typer.Exit(run_stream(shop, file, records, rate, table))


@app.command()
def materialize(
    selection: Annotated[
        str | None,
        typer.Argument(
            help='Assets in Dagster\'s selection syntax: `group:marts`, `key:"raw/online_retail/*"`. Default: all.'
        ),
    ] = None,
    shop: Annotated[str | None, typer.Option(help="Extract and declare ready this shop alone.")] = None,
) -> None:
    """Bring assets up to date: extract what is new, build and test what changed, declare the shops ready, and make what
    the models of each shop need: trained for a reason only, promoted on evidence, published.

    Runs in this process. The exit status is 0 only where every step succeeded and every check that must pass passed.

    Examples: `cartograph materialize`, `cartograph materialize --shop online_retail`,
    `cartograph materialize "group:raw"`, `cartograph materialize "not group:recommender"`
    """
    from orchestration.cli.materialize import run_materialize

    raise typer.Exit(run_materialize(selection, shop))


@app.command()
def status(as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False) -> None:
    """Show each shop and asset: when it was made, its rows, its checks.

    Exit status 1 where a check that must pass fails.

    Examples: `cartograph status`, `cartograph status --json`
    """
    from orchestration.cli.status import run_status

    raise typer.Exit(run_status(as_json))


@app.command()
def sql(
    query: Annotated[str, typer.Argument(help="One SQL statement that reads. `-` reads it from standard input.")],
    lake: Annotated[
        bool, typer.Option("--lake", help="Read the raw lake with DuckDB instead, as SHOP.TABLE; needs no model.")
    ] = False,
    output: Annotated[
        Format, typer.Option("--format", help="table is for people; csv and json are exact and whole.")
    ] = Format.TABLE,
) -> None:
    """Run a read-only query on the warehouse. Names without a schema are looked up in contract, then marts.

    Examples: `cartograph sql "select * from mart_daily_sales order by order_date desc limit 7"`,
    `cartograph sql --lake "select count(*) from online_retail.invoice_lines"`
    """
    from orchestration.cli.sql import run_sql

    raise typer.Exit(run_sql(sys.stdin.read() if query == "-" else query, lake, output))


@app.command()
def schema(shop: Annotated[str, typer.Argument(help="A shop of config/shops.yaml.")]) -> None:
    """Show the columns and types found in a shop's raw files beside those declared in its _sources.yml.

    Example: `cartograph schema online_retail`
    """
    from orchestration.cli.schema import run_schema

    raise typer.Exit(run_schema(shop))


@app.command()
def docs(
    port: Annotated[int, typer.Option(help="The first port to try.")] = 8080,
    build_only: Annotated[
        bool, typer.Option("--build-only", help="Build the site and print where it is, serve nothing.")
    ] = False,
) -> None:
    """Build the dbt docs site, with the columns and lineage of every table, and serve it; Ctrl-C stops it.

    Examples: `cartograph docs`, `cartograph docs --port 9000`, `cartograph docs --build-only`
    """
    from orchestration.cli.docs import run_docs

    raise typer.Exit(run_docs(port, build_only))


@app.command()
def forget(
    shop: Annotated[str, typer.Argument(help="A shop of config/shops.yaml.")],
    table: Annotated[str, typer.Argument(help="One of its raw tables.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Drop a raw table and its ledger, so that the next extract loads it anew, as after a change of a declared type.

    Rows whose files, or records, are no longer in the source stay in the lake only.

    Example: `cartograph forget online_retail invoice_lines`, then `cartograph materialize`
    """
    from orchestration.cli.forget import run_forget

    raise typer.Exit(run_forget(shop, table, yes))


@app.command()
def rollback(
    model: Annotated[str, typer.Argument(help="A domain that has models, such as recommender.")],
    shop: Annotated[
        str | None, typer.Option(help="This shop alone. Default: all shops that have the model.", show_default=False)
    ] = None,
    to: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="VERSION", help="This version. Default: the previous champion.", show_default=False
        ),
    ] = None,
) -> None:
    """Give a model its previous champion back, and write down who did.

    The API serves it within half a minute, without a restart; what was computed beforehand for all customers is made
    anew. Exit status 1 where it could be done for some shops only.

    Examples: `cartograph rollback recommender`, `cartograph rollback recommender --shop online_retail`,
    `cartograph rollback recommender --shop online_retail --to 3`
    """
    from orchestration.cli.rollback import run_rollback

    raise typer.Exit(run_rollback(model, shop, to))


@app.command()
def search(
    text: Annotated[str, typer.Argument(help="What is looked for, in words.")],
    shop: Annotated[
        str | None, typer.Option(help="The shop. Default: CARTOGRAPH_DEFAULT_SHOP.", show_default=False)
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(metavar="CONDITION", help="A condition that must hold; may be given again.", show_default=False),
    ] = None,
    top: Annotated[int, typer.Option(min=1, max=100, help="So many products at most.")] = 10,
) -> None:
    """Search the products of a shop, by the words of a text and by its meaning.

    Conditions: `price<20`, `price>=5`, `category=Women`, `country=France,Germany` (one of both), `brand!=Acme`,
    `last_sold_at>=2026-01-01`. Exit status 1 where nothing fits.

    Examples: `cartograph search "warm jacket" --shop thelook`,
    `cartograph search "gift for a gardener" --shop online_retail --where "price<10" --where country=France`
    """
    from orchestration.cli.search import run_search

    raise typer.Exit(run_search(text, shop, where or [], top))


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help="A question about the shop's products, in the shop's language.")],
    shop: Annotated[
        str | None, typer.Option(help="The shop. Default: CARTOGRAPH_DEFAULT_SHOP.", show_default=False)
    ] = None,
) -> None:
    """Ask about the products of a shop; the answer cites those that it speaks of by their ids.

    Each sentence is held against the products that were found before it is shown, and prices are read at that moment.
    What cannot be answered from them is refused in words: exit status 1. Which model is asked stands in
    config/models.yaml; without one it is the narrator, which lists what was found.

    Examples: `cartograph ask "Do you have a warm coat?" --shop thelook`,
    `cartograph ask "Which candle holders do you have?" --shop online_retail`
    """
    from orchestration.cli.ask import run_ask

    raise typer.Exit(run_ask(question, shop))


@app.command()
def summary(
    shop: Annotated[
        str | None, typer.Option(help="The shop. Default: CARTOGRAPH_DEFAULT_SHOP.", show_default=False)
    ] = None,
    day: Annotated[
        str | None,
        typer.Option("--date", metavar="YYYY-MM-DD", help="The day. Default: the last one.", show_default=False),
    ] = None,
    facts: Annotated[
        bool, typer.Option("--facts", help="Show all facts of the day, not only those that the text names.")
    ] = False,
) -> None:
    """Show what happened in a shop on a day, and the facts that the text stands on.

    Summaries are made by `cartograph materialize`, for the last days that config/models.yaml asks for. Who wrote one
    (a language model, or fixed sentences) and by which prompt stands below it.

    Examples: `cartograph summary --shop thelook`, `cartograph summary --shop online_retail --date 2026-03-01 --facts`
    """
    from orchestration.cli.summary import run_summary

    raise typer.Exit(run_summary(shop, day, facts))


@app.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []})
def dbt(context: typer.Context) -> None:
    """Run dbt on this home's warehouse, with the variables that the project needs.

    Examples: `cartograph dbt test --select fct_orders`, `cartograph dbt show --select mart_daily_sales`
    """
    from orchestration.cli.dbt import run_dbt

    if not context.args or context.args[0] in ("-h", "--help"):
        print(context.get_help())
        raise typer.Exit
    raise typer.Exit(run_dbt(context.args))


def main() -> None:
    """The entry point: a fault that a person can mend is one message and status 2, not a traceback."""
    from orchestration.cli.session import explain

    try:
        app()
    except KeyboardInterrupt:
        print("cartograph: stopped.", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        message = explain(error)
        if message is None:
            raise
        print(f"cartograph: {message}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
