"""The API of a home as a process that watches settings and prompts of a test's own."""

from __future__ import annotations

import sys
from pathlib import Path

import uvicorn

from resources.settings import get_settings
from serving.api.app import create_app


def main() -> None:
    port, models_file, prompts_dir = sys.argv[1:]
    app = create_app(get_settings(), Path(models_file), Path(prompts_dir))
    uvicorn.run(app, port=int(port), log_level="warning", access_log=False, ws="none", timeout_graceful_shutdown=30)


if __name__ == "__main__":
    main()
