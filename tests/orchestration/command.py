"""Running the `cartograph` command, and other programs, as a person does: in a process of its own, on a home."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from resources.settings import PROJECT_ROOT, Settings
from tests.orchestration.forked import starter

BIN = Path(sys.executable).parent
COMMAND = str(BIN / "cartograph")
SPINE = "not (group:recommender or group:monitoring or group:summaries)"
"""What `materialize` is asked for where what stands on the marts is not looked at."""


def clean_environment(**more: str) -> dict[str, str]:
    """This process's environment without a person's settings of Cartograph and Dagster, on a screen of 80 columns."""
    names = {str(field.validation_alias) for field in Settings.model_fields.values()} | {"DAGSTER_HOME"}
    names -= {"CARTOGRAPH_SHOPS_FILE"}  # the tests' own
    kept = {name: value for name, value in os.environ.items() if name not in names}
    return {**kept, "COLUMNS": "80", **more}


def cartograph(
    home: Path | str,
    *arguments: str | Path,
    cwd: Path = PROJECT_ROOT,
    text: str | None = None,
    timeout: float = 600,
    **environment: str,
) -> subprocess.CompletedProcess[str]:
    """Run the command on a home to its end, in a process of its own (see `forked.py`)."""
    command = [COMMAND, "--home", str(home), *map(str, arguments)]
    return starter().run(command, clean_environment(**environment), cwd, text, timeout)


def start(home: Path | str, *arguments: str, cwd: Path = PROJECT_ROOT, **environment: str) -> subprocess.Popen[str]:
    """Start the command in a session of its own, as a shell starts a job: Ctrl-C is a SIGINT to its group."""
    return subprocess.Popen(
        [COMMAND, "--home", str(home), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=cwd,
        env=clean_environment(**environment),
        start_new_session=True,
    )
