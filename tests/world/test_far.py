"""The whole graph with every source far, and the lake too, has the same contract and marts as with every source near.

Far are: BigQuery (the stand-in, REST and gRPC), S3 and Kinesis (moto's server over HTTP). Near is the shared world,
which came to be in three loads. Far is made in one; there the newest lines of Online Retail come by the stream, half
of them in a file too.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from resources.embedded_postgres import release
from tests.conftest import ALL_SHOPS
from tests.orchestration.command import cartograph
from tests.shared_home import server_is_gone
from tests.standins.bigquery import BigQueryStandIn
from tests.world.conftest import Home, World

BUCKET, STREAM = "far-shop", "online-retail-invoice-lines"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "AKIATESTING", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_REGION": "eu-west-1"}


@pytest.fixture(scope="module")
def far(world: World) -> Iterator[Home]:
    """A home that holds nothing of its own: its sources and its lake are far."""
    from moto.server import ThreadedMotoServer

    near = Home(world.home)
    path = Path(tempfile.mkdtemp(prefix="cgf-"))
    path.chmod(0o755)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    endpoint = "http://{}:{}".format(*server.get_host_and_port())
    session = boto3.session.Session(*list(CREDENTIALS.values())[:2], region_name="eu-west-1")
    s3, kinesis = session.client("s3", endpoint_url=endpoint), session.client("kinesis", endpoint_url=endpoint)
    try:
        # moto's servers of one process share what they hold, so other tests' streams are there as well.
        with contextlib.suppress(kinesis.exceptions.ResourceNotFoundException):
            kinesis.delete_stream(StreamName=STREAM)
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        kinesis.create_stream(StreamName=STREAM, ShardCount=2)
        [newest] = near.source("online_retail").glob("*.csv")
        lines = newest.read_bytes().splitlines(keepends=True)
        for shop in near.shops:
            for file in near.source(shop).rglob("*"):
                key = f"inbox/{shop}/{file.relative_to(near.source(shop))}"
                if file == newest:
                    s3.put_object(Bucket=BUCKET, Key=key, Body=b"".join(lines[: len(lines) // 2]))
                elif file.is_file() and shop != "thelook":  # whose tables are BigQuery's
                    s3.upload_file(str(file), BUCKET, key)
        dataset = near.shops["thelook"].source.dataset  # type: ignore[union-attr]
        with BigQueryStandIn({dataset: near.source("thelook")}) as bigquery:
            environment = {
                **CREDENTIALS,
                **bigquery.environment(),
                "AWS_ENDPOINT_URL": endpoint,
                "AWS_EC2_METADATA_DISABLED": "true",
                "INBOX_URL": f"s3://{BUCKET}/inbox",
                "LAKE_URL": f"s3://{BUCKET}/lake",
                "CARTOGRAPH_STREAMS": "kinesis",
                "CARTOGRAPH_SHOPS_FILE": str(ALL_SHOPS),
            }
            for arguments in (("stream", "online_retail", str(newest)), ("materialize",)):
                result = cartograph(path / "home", *arguments, timeout=1200, **environment)
                assert result.returncode == 0, result.stdout + result.stderr
        yield Home(path / "home")
    finally:
        release(path / "home")
        server_is_gone(path / "home")
        server.stop()
        shutil.rmtree(path, ignore_errors=True)


def tables(home: Home) -> list[str]:
    found = home.query(
        "select table_schema || '.' || table_name from information_schema.tables"
        " where table_schema in ('contract', 'marts') order by 1"
    )
    return [name for (name,) in found]


def test_every_table_is_the_same_row_for_row(home: Home, far: Home) -> None:
    assert tables(far) == tables(home)
    assert len(tables(home)) >= 20
    for name in tables(home):
        near_rows = Counter(row for (row,) in home.query(f"select {name.split('.')[1]}::text from {name}"))
        far_rows = Counter(row for (row,) in far.query(f"select {name.split('.')[1]}::text from {name}"))
        assert far_rows == near_rows, (
            f"{name}: only far {list((far_rows - near_rows).elements())[:3]},"
            f" only near {list((near_rows - far_rows).elements())[:3]}"
        )


def test_nothing_far_came_from_here(far: Home) -> None:
    """Every line of the ledger names a far place, and the home has neither an inbox, nor a lake, nor streams."""
    uris = {uri.split("://")[0] for (uri,) in far.query("select uri from ledger.extracts")}
    assert uris == {"bigquery", "s3", "kinesis"}
    assert not {"inbox", "lake", "streams"} & {item.name for item in far.path.iterdir()}


def test_the_stream_brought_lines_that_a_file_holds_and_others(far: Home) -> None:
    [(streamed, also)] = far.query(
        "select count(*), count(*) filter (where exists (select from raw_online_retail.invoice_lines as held"
        " where (held.invoice_no, held.stock_code) = (streamed.invoice_no, streamed.stock_code)))"
        " from raw_online_retail.invoice_lines_stream as streamed"
    )
    assert streamed > also > streamed // 4
