"""`python -m bench [MEASURE ...] [--quick] [--rounds N]`: measure, and print a report in Markdown."""

import argparse
import importlib
import os
import platform
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from types import FrameType

from bench.scale import FULL, QUICK, Scale
from bench.servers import Servers
from tests.reaper import close_reaper

MEASURES = ("throughput", "latency", "due_storm")


def main(arguments: Sequence[str]) -> None:
    """Run the measures that are named, all when none is."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure against peers and bare limits.")
    parser.add_argument("measures", nargs="*", metavar="MEASURE", help=f"{', '.join(MEASURES)}; all when none is given")
    parser.add_argument("--quick", action="store_true", help="small sizes: shows that it works, not how fast it is")
    parser.add_argument("--rounds", type=int, metavar="N", help="how many times each contestant has its turn")
    chosen = parser.parse_args(arguments)
    for name in chosen.measures:
        if name not in MEASURES:
            parser.error(f"no such measure: {name}; choose from {', '.join(MEASURES)}")
    scale = QUICK if chosen.quick else FULL
    if chosen.rounds:
        scale = replace(scale, rounds=max(1, chosen.rounds))
    signal.signal(signal.SIGTERM, _interrupt)
    _measure(chosen.measures or MEASURES, scale)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """SIGTERM ends like Ctrl-C does: in good order."""
    raise KeyboardInterrupt


def _measure(names: Sequence[str], scale: Scale) -> None:
    servers = Servers()
    began = time.monotonic()
    try:
        print(_machine(), flush=True)
        for name in names:
            print(f"\n{importlib.import_module(f'bench.{name}').run(servers, scale)}", flush=True)
    finally:
        servers.close()
        close_reaper()
    scale.note(f"{time.monotonic() - began:.0f} s")


def _machine() -> str:
    load = ", ".join(f"{part:.1f}" for part in os.getloadavg())
    at = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return (
        f"{at}, {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, load before: {load}"
    )


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)
