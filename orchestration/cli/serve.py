"""`cartograph serve`: the API under uvicorn, in this process or in several that share a port."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from orchestration.cli.session import console, shown
from resources.settings import get_settings

_DRAIN_SECONDS = 30
"""So long may requests take that are under way when the server is told to end."""


def run_serve(host: str, port: int, workers: int) -> int:
    """Serve until SIGTERM or Ctrl-C; what is under way is answered, and accepted events are stored, before the end."""
    settings = get_settings()
    figures = Path(tempfile.mkdtemp(prefix="cartograph-metrics-")) if workers > 1 else None
    if figures is not None:
        # Read when prometheus-client is imported, by each worker: their figures are added up from files.
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(figures)
    else:
        os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)

    import uvicorn

    from serving.api.app import create_app

    create_app(settings)  # what a person can mend is said here, and not once for each worker
    console().print(f"Home {shown(settings.home)}; the API's pages: http://{host}:{port}/docs", markup=False)
    try:
        uvicorn.run(
            "serving.api.app:served",
            factory=True,
            host=host,
            port=port,
            workers=workers,
            loop="uvloop",
            http="httptools",
            ws="none",
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=_DRAIN_SECONDS,
        )
    finally:
        if figures is not None:
            shutil.rmtree(figures, ignore_errors=True)
    return 0
