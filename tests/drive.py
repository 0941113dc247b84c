"""One extract of a rig's shop in a process of its own, to be killed, watched or run beside others."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

from resources.settings import load_settings
from resources.warehouse import Warehouse
from tests.rig import Rig


def main(warehouse_home: str, rig_home: str) -> int:
    settings = load_settings(_env_file=None, home=Path(warehouse_home), environment="test")
    rig = Rig(Warehouse(settings), Path(rig_home))
    report = rig.run()
    print(*rig.said, *report.failed, sep="\n")
    print(f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
