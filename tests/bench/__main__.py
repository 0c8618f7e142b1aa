"""`make bench`: the firmware beside what people would pick instead, and close to the wire.

    python -m tests.bench                 all sections
    python -m tests.bench smtp pop3       some
    python -m tests.bench --quick         all, small
    python -m tests.bench --engine rp2040 --image FILE.uf2

Prints Markdown, and writes it with a JSON twin and SVG plots to build/bench/. Ends with an error
when a server lost a message that it had acknowledged; a missed target is only said.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

from host_tools.firmware_build import BUILD
from tests.bench import counts, report, rp2040
from tests.bench.context import Context, open_folder
from tests.bench.sections.budget import budget
from tests.bench.sections.growth import growth
from tests.bench.sections.memory import memory
from tests.bench.sections.mime import mime
from tests.bench.sections.pop3 import pop3
from tests.bench.sections.profile import profile
from tests.bench.sections.sessions import sessions
from tests.bench.sections.smtp import smtp


def bus_counts(context: Context) -> report.Section:
    """The exact counts of tests/bench/counts.py, and what a real board would make of them."""
    counts.section()
    return report.Section("Buses", (BUILD / "bench" / "bus.md").read_text())


SECTIONS = {"bus": bus_counts, "smtp": smtp, "pop3": pop3, "sessions": sessions,
            "memory": memory, "budget": budget, "growth": growth, "mime": mime, "profile": profile}


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", metavar="SECTION",
                        help="of " + ", ".join(SECTIONS) + " (default: all)")
    parser.add_argument("--quick", action="store_true", help="less of everything, one round")
    parser.add_argument("--engine", choices=("rp2040",),
                        help="only the cycles of an emulated RP2040: of the native code, and with "
                             "--image of what is received, stored and sent")
    parser.add_argument("--image", type=Path, metavar="FILE.uf2",
                        default=os.environ.get("PICOPOST_UF2"),
                        help="MicroPython's for the Pico (default: PICOPOST_UF2)")
    parser.add_argument("--out", type=Path, default=BUILD / "bench", metavar="FOLDER",
                        help="where the results go (default: build/bench)")
    return parser


def about() -> dict[str, str]:
    """What it was measured on."""
    model = next((line.partition(":")[2].strip() for line in
                  Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")),
                 platform.machine())
    return {"machine": f"{os.cpu_count()} x {model}, Linux {platform.release()}, "
                       f"Python {platform.python_version()}",
            "load before": f"{os.getloadavg()[0]:.1f}"}


def main() -> None:
    """Run the sections and write what they found."""
    parser = arguments()
    options = parser.parse_args()
    for name in options.sections:
        if name not in SECTIONS:
            parser.error(f"no section {name}; there are {', '.join(SECTIONS)}")
    if options.engine:
        print(rp2040.section(options.image and Path(options.image)))
        return
    machine = about()
    start = time.monotonic()
    found: dict[str, report.Section] = {}
    for name in options.sections or SECTIONS:
        print(f"{time.monotonic() - start:6.0f} s  {name}", file=sys.stderr, flush=True)
        # Not /tmp, which may be memory, where syncing costs nothing; and a short path, for sockets.
        with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="picopost-bench-") as folder:
            context = Context(open_folder(folder), options.quick)
            found[name] = SECTIONS[name](context)
            found[name].text += context.skipped()
        machine["took"] = (f"{time.monotonic() - start:.0f} s"
                           + (", quick" if options.quick else ""))
        text = report.write(found, machine, options.out)  # also if a later one fails
    print(text)


if __name__ == "__main__":
    main()
