"""For tests of far sources: moto's server, a proxy before it for bad days, and a shop with all its files on S3."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest

from resources import s3
from resources.lake import Lake
from resources.objects import ObjectStore
from resources.warehouse import Warehouse
from tests.rig import Rig, sheet
from tests.standins.s3 import BadDay, Request

REGION = "eu-west-1"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "AKIATESTING", "AWS_SECRET_ACCESS_KEY": "testing"}


@pytest.fixture(scope="session")
def moto_server() -> Iterator[tuple[str, int]]:
    """The address of moto's server, which lives in this process."""
    with serve_moto() as address:
        yield address


@contextmanager
def serve_moto() -> Iterator[tuple[str, int]]:
    """moto's server in this process, on a free port."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        yield server.get_host_and_port()
    finally:
        server.stop()


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """Credentials and a region, and nothing of what this machine knows of AWS."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_REGION", REGION)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.fixture(scope="session")
def proxy(moto_server: tuple[str, int]) -> Iterator[BadDay]:
    made = BadDay(*moto_server)
    yield made
    made.stop()


@pytest.fixture
def bad_day(proxy: BadDay, aws: pytest.MonkeyPatch) -> Iterator[BadDay]:
    """S3 by a proxy that does as it is told; where a test has to wait, it waits for a moment only."""
    aws.setenv("AWS_ENDPOINT_URL", proxy.url)
    aws.setattr(s3, "LONGEST_WAIT", 0.02)
    proxy.reset()
    # Another test may have had other credentials.
    s3._client.cache_clear()
    yield proxy
    proxy.reset()


class Bucket:
    """A bucket of one test, reached without the proxy."""

    def __init__(self, server: tuple[str, int], name: str) -> None:
        self.name, self.url = name, f"http://{server[0]}:{server[1]}"
        session = boto3.session.Session(*CREDENTIALS.values(), region_name=REGION)
        self.client = session.client("s3", endpoint_url=self.url)
        self.client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})

    def put(self, key: str, data: bytes, **more: Any) -> str:
        self.client.put_object(Bucket=self.name, Key=key, Body=data, **more)
        return f"s3://{self.name}/{key}"

    def get(self, key: str) -> bytes:
        return self.client.get_object(Bucket=self.name, Key=key)["Body"].read()  # type: ignore[no-any-return]

    def delete(self, key: str) -> None:
        self.client.delete_object(Bucket=self.name, Key=key)

    def keys(self, prefix: str = "") -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix)
        return [item["Key"] for page in pages for item in page.get("Contents", [])]

    def uploads(self) -> list[str]:
        """Keys of uploads that were begun and neither completed nor given up."""
        return [item["Key"] for item in self.client.list_multipart_uploads(Bucket=self.name).get("Uploads", [])]

    def backend(self) -> Any:
        """What moto keeps the bucket in, for what would take too many requests."""
        from moto.s3.models import s3_backends

        return s3_backends["123456789012"]["aws"]

    def empty(self) -> None:
        for key in self.keys():
            self.delete(key)


_buckets = iter(range(10_000))


@pytest.fixture
def bucket(moto_server: tuple[str, int], bad_day: BadDay) -> Bucket:
    return Bucket(moto_server, f"test-{next(_buckets)}")


class FarRig(Rig):
    """A shop of one raw table whose files and lake are in a bucket."""

    def __init__(self, warehouse: Warehouse, home: Path, bucket: Bucket, **table: Any) -> None:
        super().__init__(warehouse, home, **table)
        self.bucket = bucket
        self.heard: list[str] = []
        """What was said of waits."""
        self.store = ObjectStore(f"s3://{bucket.name}/inbox", say=self._hear)
        self.lake = Lake(f"s3://{bucket.name}/lake", say=self._hear)

    def _hear(self, text: str) -> None:
        self.heard.append(text)

    def put(self, name: str, data: bytes | list[str]) -> str:  # type: ignore[override]
        return self.bucket.put(f"inbox/{name}", data if isinstance(data, bytes) else sheet(data))

    def delete(self, name: str) -> None:
        self.bucket.delete(f"inbox/{name}")

    def uri(self, name: str) -> str:
        return f"{self.store.location}/{name}"


@pytest.fixture
def far_rig(warehouse: Warehouse, tmp_path: Path, bucket: Bucket) -> Iterator[FarRig]:
    made = FarRig(warehouse, tmp_path, bucket)
    yield made
    made.clear()


def when(bad_day: BadDay, method: str, key: str, act: Callable[[], object], passage: int = 1) -> None:
    """Do something when a key is asked for the n-th time."""
    seen = 0

    def before(request: Request) -> None:
        nonlocal seen
        if (request.method, request.key) == (method, key):
            seen += 1
            if seen == passage:
                act()

    bad_day.before = before
