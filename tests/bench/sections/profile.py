"""Where the time in the VM goes, and what is allocated: why a target is missed."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.bench.context import Context
from tests.bench.measure import load, read
from tests.bench.report import Chart, Section, Table
from tests.bench.servers import USER, Picopost

_WATCH = Path(__file__).parents[1] / "allocation_watch.py"
_KB, _MB = 1 << 10, 1 << 20
# By size: messages in a session whose allocations are counted, and messages profiled.
_MESSAGES = {_KB: (20, 400), 100 * _KB: (8, 160), 5 * _MB: (1, 8)}
_SHOWN = 12
_SYMBOL = re.compile(r"\s*([\d.]+)%\s+\[(.)\]\s+(\S+)")
# The VM's functions by what they are for; the first that fits.
GROUPS = [("garbage collection", r"gc_(mark|sweep|collect|deal).*"),
          ("allocation", r"gc_(alloc|realloc|free).*|m_(malloc|realloc|free).*"),
          ("bytecode", r"mp_execute_bytecode"),
          ("viper and native code", r"0x[0-9a-f]+"),
          ("the rest of the VM", r".*")]
KERNEL = "kernel: sockets, files, waiting"

_TEXT = """\
Octets of heap that the 64-bit VM hands out for one more message in a session, counted; and where
its process spends its time, by Linux's perf. perf counts the CPU's time only: what an fsync waits
is not in it."""


def profile(context: Context) -> Section:
    """Run it."""
    perf = shutil.which("perf")
    if perf is None:
        context.missing["perf"] = "not installed: Debian's linux-perf"
    allocated: dict[str, int] = {}
    symbols: dict[str, list[tuple[float, str, str]]] = {}

    def watched(folder: Path) -> Picopost:
        return Picopost(folder, main=_WATCH)

    for size, (few, many) in _MESSAGES.items():
        if context.quick:
            many = max(4, many // 4)
        name = f"{size // _KB} KB" if size < _MB else f"{size // _MB} MB"
        for dotted_every, dots in ((0, ""), (20, ", dots"))[:1 if size == _KB else 2]:
            with context.running(watched) as [server]:
                def send(count: int, size=size, every=dotted_every, server=server) -> None:
                    load(server, kind="one", count=count, size=size, dotted_every=every)

                def fetch(count: int, server=server) -> None:
                    read(server, numbers=[1] * count)

                ways: dict[str, tuple[Callable, str]] = {"out": (fetch, "pop3")}
                if not dotted_every:
                    ways["in"] = send, "smtp"
                send(1)
                fetch(1)
                server.running.wait_for("closed", service="pop3")
                for way, (act, service) in sorted(ways.items()):
                    what = f"{name} {way}{dots}"
                    allocated[what] = for_one_more(server, act, service, few)
                    if perf:
                        symbols[what] = sampled(perf, server.pid, context.place(),
                                                lambda act=act, many=many: act(many))
                        server.running.wait_for("closed", service=service)
                assert server.stored(0) >= 1, USER
    return section(allocated, symbols)


def for_one_more(server: Picopost, act: Callable[[int], None], service: str, count: int) -> int:
    """What sessions of `count` + 1 messages and of one differ by, by message."""

    def taken(messages: int) -> int:
        act(messages)
        return server.running.wait_for("closed", service=service)["allocated"]

    start = taken(1)
    one = taken(1)
    return (taken(count + 1) - one - (one - start)) // count


def sampled(perf: str, pid: int, path: Path,
            act: Callable[[], None]) -> list[tuple[float, str, str]]:
    """[(percent, "k" for the kernel's, symbol)] of the process while `act` runs."""
    recorder = subprocess.Popen([perf, "record", "-q", "-p", str(pid), "-o", str(path)],
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 10
        # Its file gets a head once it looks at the process.
        while not (path.exists() and path.stat().st_size) and recorder.poll() is None:
            if time.monotonic() > deadline:
                break
            time.sleep(0.05)
        act()
    finally:
        if recorder.poll() is None:
            recorder.send_signal(signal.SIGINT)
        recorder.wait()
    report = subprocess.run([perf, "report", "-i", str(path), "--stdio", "-q", "--sort", "symbol"],
                            capture_output=True, text=True).stdout
    return [(float(match[1]), match[2], match[3]) for line in report.splitlines()
            if (match := _SYMBOL.match(line))]


def groups(symbols: list[tuple[float, str, str]]) -> dict[str, float]:
    """Percent by kind."""
    shares = dict.fromkeys([*(name for name, _ in GROUPS), KERNEL], 0.0)
    for percent, where, symbol in symbols:
        kind = KERNEL if where == "k" else next(
            name for name, pattern in GROUPS if re.fullmatch(pattern, symbol))
        shares[kind] += percent
    return shares


def section(allocated: dict[str, int],
            symbols: dict[str, list[tuple[float, str, str]]]) -> Section:
    """Tables and a plot."""
    result = Section("Where it goes", _TEXT)
    result.tables.append(Table("Octets allocated for a message", ["message", "octets"], [
        [what, f"{octets:,}"] for what, octets in allocated.items()]))
    symbols = {what: found for what, found in symbols.items() if found}
    if symbols:
        shares = {what: groups(found) for what, found in symbols.items()}
        kinds = list(next(iter(shares.values())))
        result.tables.append(Table("Share of the CPU's time, %", ["message", *kinds], [
            [what, *(f"{share[kind]:.0f}" for kind in kinds)] for what, share in shares.items()]))
        result.tables.append(Table("Functions that take most, %", ["message", "functions"], [
            [what, ", ".join(f"{symbol} {percent:.1f}" for percent, _, symbol in found[:_SHOWN])]
            for what, found in symbols.items()]))
        result.charts.append(Chart("profile", "Share of the CPU's time", "%", list(shares), {
            kind: [round(share[kind], 1) for share in shares.values()] for kind in kinds}))
    result.data = {"allocated": allocated, "symbols": {
        what: found[:3 * _SHOWN] for what, found in symbols.items()}}
    return result
