"""An inbox on S3: upload puts files there, the sensor sees them, and simulation says that it writes elsewhere."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from orchestration.cli.session import CommandError, console
from orchestration.cli.simulate import refuse_other_inbox
from orchestration.cli.upload import run_upload
from orchestration.sensors import FAR_LISTING, evaluate_inbox
from resources.dagster_resources import ObjectsResource
from resources.far import SourceError
from resources.settings import get_settings, load_settings
from tests.far.conftest import Bucket
from tests.orchestration.test_sensors import shop
from tests.rig import rows, sheet
from tests.standins.s3 import BadDay

SHOP = "online_retail"


@pytest.fixture(autouse=True)
def fresh_console() -> Iterator[None]:
    """The console keeps the standard output of its first call, which is that of one test."""
    console.cache_clear()
    yield
    console.cache_clear()


@pytest.fixture
def inbox(bucket: Bucket, aws: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Bucket]:
    """A bucket that holds the inboxes of the home in which this process is."""
    aws.setenv("INBOX_URL", f"s3://{bucket.name}/in box/")
    aws.setenv("CARTOGRAPH_HOME", str(tmp_path / "home"))
    get_settings.cache_clear()
    yield bucket
    get_settings.cache_clear()


# Upload


def test_files_are_uploaded_whole(inbox: Bucket, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    large = sheet(rows(150_000))
    assert len(large) > 10 << 20
    files = {"a b%41.csv": sheet(rows(5)), "ü.csv.gz": gzip.compress(sheet(rows(3))), "large.csv": large}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    assert run_upload(SHOP, [tmp_path / name for name in files]) == 0
    assert {key: inbox.get(key) for key in inbox.keys()} == {  # noqa: SIM118
        f"in box/{SHOP}/{name}": data for name, data in files.items()
    }
    assert not inbox.uploads() and not (tmp_path / "home" / "inbox").exists()
    (tmp_path / "large.csv").write_bytes(sheet(rows(2)))
    assert run_upload(SHOP, [tmp_path / "large.csv"]) == 0
    assert inbox.get(f"in box/{SHOP}/large.csv") == sheet(rows(2))


def test_an_upload_that_fails_leaves_nothing(inbox: Bucket, bad_day: BadDay, tmp_path: Path) -> None:
    file = tmp_path / "large.csv"
    file.write_bytes(sheet(rows(150_000)))
    bad_day.fail(403, "AccessDenied", "Access Denied", method="POST")
    with pytest.raises(SourceError, match=rf"{SHOP}/large.csv: access is denied .*allow this user s3:PutObject"):
        run_upload(SHOP, [file])
    bad_day.reset()
    bad_day.before = lambda request: (
        bad_day.fail(403, "AccessDenied", method="PUT") if request.query.get("partNumber") == ["1"] else None
    )
    with pytest.raises(SourceError, match="access is denied"):
        run_upload(SHOP, [file])
    assert inbox.keys() == [] == inbox.uploads()


@pytest.mark.parametrize("name", [".hidden.csv", "a.csv.part"])
def test_a_name_that_no_extract_would_look_at_is_refused(
    inbox: Bucket, aws: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    (tmp_path / "a.csv").write_bytes(sheet(rows(2)))
    (tmp_path / name).write_bytes(sheet(rows(2)))
    shops = tmp_path / "shops.yaml"
    shops.write_text(get_settings().shops_file.read_text().replace("*.csv", "*"))
    aws.setenv("CARTOGRAPH_SHOPS_FILE", str(shops))
    get_settings.cache_clear()
    with pytest.raises(CommandError, match=r"nothing was uploaded\.\n.*leave hidden and unfinished files alone"):
        run_upload(SHOP, [tmp_path / "a.csv", tmp_path / name])
    assert inbox.keys() == []


def test_two_files_of_one_name_are_refused(inbox: Bucket, tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.csv").write_bytes(sheet(rows(2)))
    with pytest.raises(CommandError, match=r"it would take the place of .*one/a\.csv"):
        run_upload(SHOP, [tmp_path / "one" / "a.csv", tmp_path / "two" / "a.csv"])
    assert inbox.keys() == []


def test_an_inbox_can_be_another_folder(aws: pytest.MonkeyPatch, tmp_path: Path) -> None:
    aws.setenv("CARTOGRAPH_HOME", str(tmp_path / "home"))
    (tmp_path / "a.csv").write_bytes(sheet(rows(2)))
    for place in (str(tmp_path / "x"), (tmp_path / "y").as_uri()):
        aws.setenv("INBOX_URL", place)
        get_settings.cache_clear()
        run_upload(SHOP, [tmp_path / "a.csv"])
    get_settings.cache_clear()
    assert [(tmp_path / place / SHOP / "a.csv").read_bytes() for place in "xy"] == [sheet(rows(2))] * 2


def test_simulation_says_that_it_writes_elsewhere(inbox: Bucket, tmp_path: Path) -> None:
    with pytest.raises(CommandError) as caught:
        refuse_other_inbox(get_settings())
    assert "INBOX_URL is s3://" in str(caught.value) and "aws s3 sync" in str(caught.value)
    assert "\n" not in str(caught.value)
    refuse_other_inbox(load_settings(home=tmp_path, inbox_url=None))


# The sensor


class Ticks:
    """Ticks of the inbox sensor over two shops on S3, at instants that the test chooses."""

    def __init__(self, home: Path, shops: dict[str, str | None]) -> None:
        self.shops = {name: shop(name, location) for name, location in shops.items()}
        self.objects = ObjectsResource(home=str(home))
        self.cursor: str | None = None
        self.now = datetime(2026, 3, 2, tzinfo=UTC)

    def tick(self, later: timedelta = FAR_LISTING) -> dg.SensorResult:
        self.now += later
        result = evaluate_inbox(dg.build_sensor_context(cursor=self.cursor), self.objects, self.shops, self.now)
        self.cursor = result.cursor
        return result

    def asked(self, later: timedelta = FAR_LISTING) -> list[str]:
        return [request.tags["shop"] for request in self.tick(later).run_requests or []]


def skip_of(result: dg.SensorResult) -> str:
    assert not result.run_requests and result.skip_reason is not None
    return str(result.skip_reason.skip_message if not isinstance(result.skip_reason, str) else result.skip_reason)


@pytest.fixture
def ticks(inbox: Bucket, tmp_path: Path) -> Ticks:
    return Ticks(tmp_path / "home", {"first": None, "second": None})


def test_an_object_is_asked_for_at_once_and_once(ticks: Ticks, inbox: Bucket) -> None:
    assert skip_of(ticks.tick()) == "first: no objects; second: no objects"
    inbox.put("in box/first/a.csv", b"1")
    assert ticks.asked() == ["first"]
    assert skip_of(ticks.tick()) == "first: 1 objects, nothing new; second: no objects"
    inbox.put("in box/first/a.csv", b"2")
    assert [ticks.asked(), ticks.asked()] == [["first"], []]


def test_a_source_on_s3_is_listed_every_half_minute_at_most(ticks: Ticks, bad_day: BadDay) -> None:
    for _ in range(36):
        result = ticks.tick(timedelta(seconds=5))
    assert sum(request.is_listing for request in bad_day.requests) == 2 * 6
    ticks.tick(FAR_LISTING)
    assert skip_of(ticks.tick(timedelta(seconds=5))) == (
        "first: listed a moment ago, again in 25 s; second: listed a moment ago, again in 25 s"
    )
    assert result.cursor


def test_a_source_that_refuses_hides_no_other_and_says_why_in_one_line(
    inbox: Bucket, bad_day: BadDay, tmp_path: Path
) -> None:
    inbox.put("in box/second/a.csv", b"1")
    ticks = Ticks(tmp_path / "home", {"first": "s3://no-such-bucket/in", "second": None})
    assert ticks.asked() == ["second"]
    reason = skip_of(ticks.tick())
    assert "first: its source cannot be listed (s3://no-such-bucket/in: there is no bucket" in reason
    assert "\n" not in reason and "Remedy: " in reason
    before = len(bad_day.requests)
    ticks.tick(timedelta(seconds=5))
    assert len(bad_day.requests) == before, "a source that refuses is asked again at every tick"
