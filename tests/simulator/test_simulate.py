"""Tests of simulating shops by name: sizes, memory, growth, interruption, and errors that say what to do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from orchestration.cli.session import CommandError
from resources.settings import get_settings
from simulator import olist, simulate
from simulator.plan import Drift, Plan
from simulator.simulate import SHOPS, SimulationError

TODAY = date(2026, 3, 11)
YESTERDAY = date(2026, 3, 10)
FAST = {"days": 40, "scale": 0.005}


class Home:
    """A folder to simulate into, and what is in it."""

    def __init__(self, folder: Path) -> None:
        self.inbox, self.truths = folder / "inbox", folder / "simulated"

    def simulate(self, *shops: str, today: date = TODAY, **options: Any) -> list[simulate.Simulated]:
        return simulate.simulate(shops, self.inbox, self.truths, today=today, **options)

    def plan(self, shop: str) -> dict[str, Any]:
        return dict(json.loads((self.truths / shop / "plan.json").read_text()))

    def content(self) -> dict[str, bytes]:
        """All files but the lock, whose content means nothing."""
        files = [path for root in (self.inbox, self.truths) for path in root.rglob("*") if path.is_file()]
        base = self.inbox.parent
        return {str(path.relative_to(base)): path.read_bytes() for path in files if path.name != "lock"}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_a_shop_is_written_up_to_yesterday_and_remembered(home: Home) -> None:
    (made,) = home.simulate("olist", **FAST)
    assert made.shop == "olist" and made.plan.until == YESTERDAY and made.plan.start == date(2026, 1, 30)
    assert len(made.files) == 9 and made.rows == sum(file.rows for file in made.files) > 5_000
    assert made.size == sum(path.stat().st_size for path in (home.inbox / "olist").iterdir())
    assert made.rows_per_second > 0
    assert home.plan("olist") == {
        "seed": 7,
        "scale": 0.005,
        "days": 40,
        "start": "2026-01-30",
        "until": "2026-03-10",
        "after": None,
        "drifts": [],
        "files": [file.path.name for file in made.files],
    }


def test_defaults_are_of_the_size_of_a_demo(home: Home) -> None:
    retail, market, catalogue = home.simulate("online_retail", "olist", "anime")
    assert [made.shop for made in (retail, market, catalogue)] == ["online_retail", "olist", "anime"]
    assert retail.rows == pytest.approx(24_500, rel=0.1)
    rows = {file.table: file.rows for file in market.files}
    assert 22_000 < rows["orders"] <= 27_000
    assert catalogue.rows == 300
    assert (market.plan.until - market.plan.start).days == 759


def test_a_later_call_grows_the_same_world(home: Home, tmp_path: Path) -> None:
    home.simulate("olist", "anime", today=date(2026, 3, 1), **FAST)
    before = home.content()
    olist_grown, anime_grown = home.simulate("olist", "anime")
    after = home.content()
    assert all(after[name] == content for name, content in before.items() if name.startswith("inbox"))
    names = {name for name in set(after) - set(before) if name.startswith("inbox")}
    assert names and all(name.startswith("inbox/olist/") and name.endswith(f"_{YESTERDAY}.csv") for name in names)
    assert olist_grown.plan.start == date(2026, 1, 20) and olist_grown.plan.until == YESTERDAY
    assert anime_grown.files == () and anime_grown.rows_per_second == 0
    assert home.plan("olist")["until"] == "2026-03-10"
    (nothing,) = home.simulate("olist")
    assert nothing.files == () and home.content() == after


def test_the_same_options_may_be_given_again_and_others_may_not(home: Home) -> None:
    home.simulate("olist", "anime", today=date(2026, 3, 1), seed=3, **FAST)
    home.simulate("olist", "anime", seed=3, **FAST)
    for option, value, there in (("seed", 7, 3), ("scale", 0.01, 0.005), ("days", 41, 40)):
        with pytest.raises(
            SimulationError, match=f"olist was simulated with --{option} {there}, .* {value} .*another home"
        ):
            home.simulate("olist", **{option: value})
    with pytest.raises(SimulationError, match="anime was simulated with --seed 3"):
        home.simulate("anime", seed=4)


def test_a_world_without_its_files_is_not_grown(home: Home) -> None:
    home.simulate("anime")
    (home.inbox / "anime" / "anime_with_synopsis.csv").unlink()
    with pytest.raises(SimulationError, match=r"none of its files is in .*inbox/anime\. Remove .*simulated/anime"):
        home.simulate("anime", today=TODAY + timedelta(days=1))


def test_drifts_may_come_with_the_first_write_and_later(home: Home, tmp_path: Path) -> None:
    first, second = Drift("volume", date(2026, 2, 20)), Drift("prices", date(2026, 3, 5))
    home.simulate("olist", today=date(2026, 3, 1), drifts=[first], **FAST)
    (grown,) = home.simulate("olist", drifts=[first, second])
    assert grown.plan.drifts == (first, second)
    assert home.plan("olist")["drifts"] == [
        {"kind": "volume", "start": "2026-02-20"},
        {"kind": "prices", "start": "2026-03-05"},
    ]
    at_once = Home(tmp_path / "other")
    (whole,) = at_once.simulate("olist", drifts=[first, second], days=50, scale=0.005)
    assert whole.plan.start == date(2026, 1, 20) == grown.plan.start
    orders = [
        {line for path in each.inbox.glob("olist/olist_order_items*") for line in path.read_text().splitlines()}
        for each in (home, at_once)
    ]
    assert orders[0] == orders[1]


@pytest.mark.parametrize(
    ("shops", "options", "message"),
    [
        (["olits"], {}, "no shop that can be simulated is named 'olits'; did you mean 'olist'?"),
        (["bookshop"], {}, "there are: thelook, retailrocket, online_retail, olist, anime"),
        (["olist"], {"scale": 1.5}, "the scale 1.5 is not above 0 and at most 1"),
        (["olist"], {"scale": 0.0}, "the scale 0.0 is not"),
        (["olist"], {"days": 0}, "0 days cannot be simulated"),
        (
            ["olist"],
            {"until": TODAY},
            r"2026-03-11 has not ended by the shop's clock \(America/Sao_Paulo\).*2026-03-10",
        ),
        (["anime", "olist"], {"drifts": [Drift("prices", YESTERDAY)]}, "anime cannot show the drift 'prices': .* none"),
        (["retailrocket"], {"drifts": [Drift("wording", YESTERDAY)]}, "it can show tastes, prices, volume"),
        (["olist"], {"drifts": [Drift("prices", TODAY)]}, "simulated up to 2026-03-10: .* would not show"),
        (["olist"], {"drifts": [Drift("prices", date(2020, 1, 1))]}, "begins on 2026-01-30: .* no day before"),
    ],
)
def test_wrong_requests_are_refused_before_anything_is_written(
    home: Home, shops: list[str], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(SimulationError, match=message):
        home.simulate(*shops, **{**FAST, **options})
    assert home.content() == {}


def test_what_is_written_cannot_be_changed(home: Home) -> None:
    home.simulate("olist", **FAST)
    before = home.content()
    with pytest.raises(SimulationError, match="written up to 2026-03-10 already and cannot go back to 2026-03-01"):
        home.simulate("olist", until=date(2026, 3, 1))
    with pytest.raises(SimulationError, match="'tastes' from 2026-03-10 would change days that are there"):
        home.simulate("olist", drifts=[Drift("tastes", YESTERDAY)], today=TODAY + timedelta(days=9))
    assert home.content() == before


@contextmanager
def broken_after(monkeypatch: pytest.MonkeyPatch, files: int) -> Iterator[None]:
    """The writer dies when so many files have their names."""
    real = olist.write

    def write(folder: Path, truth: Path, plan: Plan, after: date | None, say: Any) -> Any:
        written = real(folder, truth, plan, after, say)
        for file in written[files:]:
            file.path.unlink()
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(olist, "write", write)
        yield


@pytest.mark.parametrize("files", [0, 4, 9])
def test_a_first_write_that_was_broken_off_is_ended(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: int
) -> None:
    with broken_after(monkeypatch, files), pytest.raises(OSError, match="no space"):
        home.simulate("olist", seed=5, **FAST)
    with pytest.raises(SimulationError, match="was simulated with --seed 5"):
        home.simulate("olist", seed=6)
    for folder in (home.inbox, home.truths):  # as a killed process leaves them
        (folder / "olist" / ".orders.csv.123.part").write_text("half")
    said: list[str] = []
    (made,) = home.simulate("olist", say=said.append)
    assert any("broken off" in line for line in said) and len(made.files) == 9
    other = Home(tmp_path / "other")
    other.simulate("olist", seed=5, **FAST)
    assert home.content() == other.content()


@pytest.mark.parametrize("files", [0, 3, 6])
def test_growth_that_was_broken_off_is_ended_before_the_next(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: int
) -> None:
    days = [TODAY, TODAY + timedelta(days=5), TODAY + timedelta(days=8)]
    other = Home(tmp_path / "other")
    for today in days:
        other.simulate("olist", today=today, **FAST)
    home.simulate("olist", today=days[0], **FAST)
    with broken_after(monkeypatch, files), pytest.raises(OSError, match="no space"):
        home.simulate("olist", today=days[1])
    home.simulate("olist", today=days[2])
    assert home.content() == other.content()


def test_two_at_a_time_are_refused(home: Home) -> None:
    home.simulate("anime")
    with simulate._alone(home.truths / "anime", "anime"), pytest.raises(SimulationError, match="by another process"):
        home.simulate("anime")


def test_a_memory_that_cannot_be_read_is_named(home: Home) -> None:
    home.simulate("anime")
    (home.truths / "anime" / "plan.json").write_text('{"seed": 7}')
    with pytest.raises(SimulationError, match=r"plan\.json is not as a simulation writes it .*'scale'.* anew"):
        home.simulate("anime")


def test_the_table_of_shops_agrees_with_their_writers(tmp_path: Path) -> None:
    for name, profile in SHOPS.items():
        module = __import__(f"simulator.{name}", fromlist=["write"])
        for kind in simulate.DRIFT_KINDS:
            if kind not in profile.drifts:
                plan = Plan(7, 0.001, TODAY - timedelta(days=9), YESTERDAY, (Drift(kind, YESTERDAY),))  # type: ignore[arg-type]
                with pytest.raises(ValueError, match=f"{name} cannot show the drift '{kind}'"):
                    module.write(tmp_path / name, tmp_path / name, plan, None, lambda _: None)
        assert set(module.DRIFTS) == set(profile.drifts)


# The command


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Runs `cartograph simulate`; returns what it prints, or raises what it raises."""
    from orchestration.cli import session
    from orchestration.cli.main import app

    monkeypatch.setenv("CARTOGRAPH_HOME", str(tmp_path / "home"))
    get_settings.cache_clear()

    def run(*arguments: str) -> str:
        session.console.cache_clear()
        result = CliRunner().invoke(app, ["simulate", *arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result.output

    yield run
    get_settings.cache_clear()
    session.console.cache_clear()


def test_the_command_writes_and_says_what_next(command: Any, tmp_path: Path) -> None:
    output = command("anime", "olist", "--days", "30", "--scale", "0.005", "--until", "2026-01-31")
    assert (tmp_path / "home" / "kind").read_text() == "simulated\n"
    assert len(list((tmp_path / "home/inbox/olist").iterdir())) == 9
    assert json.loads((tmp_path / "home/simulated/olist/plan.json").read_text())["start"] == "2026-01-02"
    rows = {
        line.split()[0]: line.split() for line in output.splitlines() if line[:6].strip() in ("shop", "olist", "anime")
    }
    assert rows["shop"] == ["shop", "last", "day", "files", "rows", "MB", "rows/s"]
    assert rows["olist"][1:3] == ["2026-01-31", "9"] and rows["anime"][1:4] == ["-", "1", "81"]
    assert "materialize" in output
    command("olist", "--until", "2026-02-02", "--drift", "prices", "--drift", "wording", "--from", "2026-02-01")
    drifts = json.loads((tmp_path / "home/simulated/olist/plan.json").read_text())["drifts"]
    assert drifts == [{"kind": "prices", "start": "2026-02-01"}, {"kind": "wording", "start": "2026-02-01"}]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["olits"], "did you mean 'olist'"),
        (["olist", "--drift", "prices"], "--drift prices needs --from DATE"),
        (["olist", "--from", "2026-01-01"], "--from 2026-01-01 needs --drift KIND"),
        (["olist", "--drift", "price", "--from", "2026-01-01"], "no drift is named 'price'; did you mean 'prices'"),
        (["olist", "--drift", "prices", "--from", "1st of May"], "--from '1st of May': write a day as YYYY-MM-DD"),
        (["olist", "--until", "2099-01-01"], "2099-01-01 has not ended"),
        (["anime", "--drift", "prices", "--from", "2026-01-01"], "anime cannot show the drift"),
        (["olist", "--seed", "8"], "was simulated with --seed 7"),
    ],
)
def test_the_command_names_value_and_remedy(command: Any, arguments: list[str], message: str) -> None:
    command("olist", "--days", "5", "--scale", "0.001", "--until", "2026-01-31")
    with pytest.raises(CommandError, match=message):
        command(*arguments)


def test_a_home_of_real_data_is_left_alone(command: Any, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "kind").write_text("real\n")
    with pytest.raises(CommandError, match="holds real data"):
        command("anime")
    assert not (tmp_path / "home" / "inbox").exists()


def test_all_shops_that_can_show_a_drift_are_taken(command: Any) -> None:
    from orchestration.cli import simulate as cli

    assert cli._able(SHOPS, []) == list(SHOPS)
    assert cli._able(SHOPS, ["wording"]) == ["olist"]
    assert "anime" not in cli._able(SHOPS, ["volume"])


def test_the_help_teaches(command: Any) -> None:
    from orchestration.cli.main import app

    text = typer.main.get_command(app).commands["simulate"].help  # type: ignore[attr-defined]
    assert "Examples: `cartograph simulate`" in text and "--drift tastes --from" in text
