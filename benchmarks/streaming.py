"""The stream: records a second from a stream to raw; seconds from a put to raw and to the facts under the daemon."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks.measure import cartograph, one_shop, scratch
from resources.settings import load_settings
from resources.shops import load_shops
from resources.streams import Stream, open_stream
from resources.warehouse import Warehouse

SHOP, TABLE = "online_retail", "invoice_lines_stream"
LONGEST_WAIT = 900
"""Seconds: on a busy machine the daemon and dbt are slow, and a wait that ends early tells nothing."""
MOTO = """
import sys, threading
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=int(sys.argv[1]), verbose=False)
server.start()
threading.Event().wait()
"""


def stream_of(**settings: Any) -> Stream:
    read = load_settings(**settings)
    return open_stream(read, load_shops(read.shops_file)[SHOP].tables[TABLE].stream or "", str)


def line(number: int, invoice: str) -> tuple[str, bytes]:
    """A record of one line, under its invoice as the key."""
    fields = {
        "record_id": f"{invoice}-{number}",
        "InvoiceNo": invoice,
        "StockCode": f"{20_000 + number % 4_000}",
        "Description": f"LANTERN {number % 4_000}",
        "Quantity": 1 + number % 12,
        "InvoiceDate": f"2011-12-{1 + number % 9:02d} 10:{number % 60:02d}:00",
        "UnitPrice": 1.25,
        "CustomerID": 12_346 + number % 4_300,
        "Country": "United Kingdom",
    }
    return invoice, json.dumps(fields).encode()


def throughput(folder: Path, records: int) -> None:
    """Put and extract, from a local folder and from Kinesis as moto serves it in a process of its own."""
    import boto3
    from botocore.exceptions import BotoCoreError

    print("| stream | records | put: records/s | extract: records/s |\n| --- | ---: | ---: | ---: |")
    put_and_extract(folder / "near", "local folder", records)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    moto = subprocess.Popen([sys.executable, "-c", MOTO, str(port)], stderr=subprocess.DEVNULL)
    os.environ |= {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
    far = {"streams": "kinesis", "aws_endpoint": f"http://127.0.0.1:{port}", "aws_region": "eu-west-1"}
    try:
        client = boto3.client("kinesis", endpoint_url=far["aws_endpoint"], region_name=far["aws_region"])
        wait_for(client.list_streams, 60, BotoCoreError)
        client.create_stream(StreamName=stream_of(**far).name, ShardCount=4)
        put_and_extract(folder / "far", "Kinesis (moto), 4 shards", records, **far)
    finally:
        moto.terminate()
        moto.wait()


def put_and_extract(home: Path, name: str, records: int, **settings: Any) -> None:
    """One line of the table."""
    from assets.extracts.stream import extract_stream
    from resources.embedded_postgres import ensure, release
    from resources.lake import Lake

    ensure(home)
    stream = stream_of(home=home, **settings)
    blocks = [
        [line(number, str(600_000 + number // 20)) for number in range(first, min(first + 5_000, records))]
        for first in range(0, records, 5_000)
    ]
    began = time.perf_counter()
    for block in blocks:
        stream.put(block)
    put = time.perf_counter() - began
    read = load_settings(home=home)
    began = time.perf_counter()
    shop = load_shops(read.shops_file)[SHOP]
    report = extract_stream(Warehouse(read), Lake(read.lake_location), stream, shop, TABLE, str)
    seconds = time.perf_counter() - began
    assert report.totals["rows"] == records, report.totals
    print(f"| {name} | {records:,} | {records / put:,.0f} | {records / seconds:,.0f} |", flush=True)
    release(home)


def wait_for(condition: Callable[[], object], seconds: float, *passing: type[Exception]) -> float:
    """Seconds until a condition holds.

    Args:
        passing: errors of the condition that only mean that it does not hold yet.
    """
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        with suppress(*passing):
            if condition():
                return time.perf_counter() - began
        time.sleep(0.1)
    raise SystemExit(f"it did not come to pass in {seconds:.0f} seconds")


def latency(folder: Path, puts: int) -> None:
    """Seconds from a put to the raw table and to a mart, with the daemon at work and a year of invoices in place."""
    from resources.embedded_postgres import ensure, release
    from simulator.online_retail import write_csv

    home = folder / "latency"
    ensure(home)
    file = folder / "OnlineRetail.csv"
    write_csv(file, lines=50_000)
    cartograph(home, "upload", SHOP, str(file))
    cartograph(home, "materialize")
    command = [str(Path(sys.executable).parent / "cartograph"), "--home", str(home), "up", "--port", "0"]
    up = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
    stream, warehouse = stream_of(home=home), Warehouse(load_settings(home=home))

    def there(question: str, invoice: str) -> bool:
        with warehouse.connect() as connection:
            return bool(connection.execute(question, [invoice]).fetchone())

    raw = f"select 1 from raw_{SHOP}.{TABLE} where invoice_no = %s"
    mart = "select 1 from contract.fct_order_items where order_id = %s"
    print("\n| while the daemon runs | seconds to raw | seconds to the facts |\n| --- | ---: | ---: |")
    try:
        for number in range(puts):
            invoice = f"7{number:05d}"
            stream.put([line(at, invoice) for at in range(20)])
            to_raw = wait_for(lambda invoice=invoice: there(raw, invoice), LONGEST_WAIT)
            what = f"put {number + 1}: 20 records" + ("" if number else ", the start of the daemon included")
            print(f"| {what} | {to_raw:.1f} |", end="", flush=True)
            if number in (0, puts - 1):
                print(f" {to_raw + wait_for(lambda invoice=invoice: there(mart, invoice), LONGEST_WAIT):.1f} |")
            else:
                print(" |")
    finally:
        os.killpg(up.pid, signal.SIGINT)
        up.wait()
        release(home)


def measure(folder: Path) -> None:
    """Both tables."""
    throughput(folder, 100_000)
    with one_shop(folder, SHOP):
        latency(folder, 4)


if __name__ == "__main__":
    with scratch() as folder:
        folder.chmod(0o755)
        measure(folder)
