"""`cartograph docs`: build the dbt docs site of this home and serve it."""

from __future__ import annotations

import subprocess
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from assets.extracts.raw import ensure_raw
from assets.marts.project import dbt_command
from orchestration.cli.dbt import dbt_environment
from orchestration.cli.session import CommandError, console, shown
from resources.settings import Settings, get_settings
from resources.shops import load_shops
from resources.warehouse import Warehouse


def run_docs(port: int, build_only: bool) -> int:
    """Build, and serve until Ctrl-C."""
    settings = get_settings()
    console().print("Building the docs site ...")
    site = build_site(settings)
    console().print(f"Built: {shown(site / 'index.html')}")
    if build_only:
        return 0
    server = docs_server(site, port)
    console().print(f"Serving it at http://127.0.0.1:{server.server_port} (Ctrl-C stops)")
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        console().print("Stopped.")
    finally:
        server.server_close()
    return 0


def build_site(settings: Settings) -> Path:
    """Build the site with the columns and sizes that the warehouse has now; returns its folder.

    Raises:
        CommandError: dbt failed; the message is its own.
    """
    shops = load_shops(settings.shops_file)
    warehouse = Warehouse(settings)
    ensure_raw(warehouse, shops)
    site = settings.home / "docs"
    result = subprocess.run(
        [*dbt_command("--no-use-colors", "docs", "generate", shops=shops), "--target-path", str(site)],
        capture_output=True,
        text=True,
        env=dbt_environment(warehouse),
    )
    if result.returncode != 0:
        raise CommandError(f"dbt could not build the docs:\n{result.stdout.strip()}\n{result.stderr.strip()}")
    return site


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Say nothing for each request."""


def docs_server(site: Path, port: int) -> ThreadingHTTPServer:
    """A server of a built site on this machine's loopback, at the port or the next free one."""
    for candidate in range(port, port + 100):
        try:
            return ThreadingHTTPServer(("127.0.0.1", candidate), partial(_Quiet, directory=str(site)))
        except OSError:
            continue
    raise CommandError(f"no port from {port} to {port + 99} is free; name another with --port.")
