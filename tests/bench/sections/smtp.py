"""Mail in: messages and megabytes a second, by size, by number of senders."""

from __future__ import annotations

import time
from pathlib import Path

from tests.bench.context import Context
from tests.bench.measure import delivered, interleaved, median
from tests.bench.report import Chart, Section, Table, Target, figure, human
from tests.bench.servers import Aiosmtpd, Picopost, Postfix, Sink

_KB, _MB = 1 << 10, 1 << 20
SENDERS = (1, 4, 8)
# Messages a run: about a second's work.
COUNTS = {_KB: 160, 100 * _KB: 32, 5 * _MB: 8}
QUICK = {_KB: 40, 100 * _KB: 16, 5 * _MB: 8}
KINDS = {"each": "a session for each message", "one": "one session for all of a sender's messages"}
# The emulated chips take their time: messages a run, by size and senders.
CHIPS = {_KB: (16, 16, 16), 100 * _KB: (2, 4, 8), 5 * _MB: (1, 0, 0)}
_WANTED = 2.0  # times aiosmtpd

_TEXT = """\
Messages of lines of 78 octets, sent without pipelining by clients in one process beside the
servers, all on this machine; medians of runs that take turns. picopost is the firmware in the
MicroPython VM with a Pico W's heap, its FAT card an image file; it syncs (fsync) once a message,
after its index record, and on the way in a large one. aiosmtpd appends to an mbox and syncs once.
Postfix's `250` means that its queue file is synced; what stands in brackets is until virtual(8)
has brought all of them into the mbox. `(nothing kept)` is Postfix's smtp-sink: the most that the
clients can do. `421` counts the connections, of all runs, that were told to come back, which the
clients did at once. After each run every server was asked, or its mbox counted, for every message
that it had acknowledged."""


def no_fsync(folder: Path) -> Picopost:
    return Picopost(folder, durable=False)


def chips(folder: Path) -> Picopost:
    return Picopost(folder, chips=True)


def run(server, **job) -> dict:
    """As `delivered`, and `kept`: seconds until all were where they stay."""
    result = delivered(server, **job)
    result["kept"] = result["seconds"]
    if isinstance(server, Postfix):
        result["kept"] = max(result["seconds"], time.time() - result["began"])
    return result


def cell(results: list[dict] | None, size: int) -> str:
    if not results:
        return "-"
    count, seconds = results[0]["done"], median(results)
    text = f"{figure(count / seconds)}/s, {figure(count * size / seconds / 1e6)} MB/s"
    kept = median(results, "kept")
    if kept > seconds:
        text += f" ({figure(count * size / kept / 1e6)})"
    refused = sum(result["refused"] for result in results)
    return text + (f", {refused} x 421" if refused else "")


def smtp(context: Context) -> Section:
    """Run it."""
    counts = QUICK if context.quick else COUNTS
    found: dict[tuple, dict[str, list]] = {}
    for size, count in counts.items():
        with context.running(Sink, Postfix, Aiosmtpd, Picopost, no_fsync) as servers:
            for server in servers:  # what is loaded with the first message is loaded
                delivered(server, kind="each", count=1, size=size)
            for kind in KINDS:
                for clients in SENDERS:
                    found[kind, size, clients] = interleaved(
                        servers, context.rounds,
                        lambda server, job=(kind, clients, count, size): run(
                            server, kind=job[0], clients=job[1], count=job[2], size=job[3]))
        with context.running(chips) as [board]:
            for clients, few in zip(SENDERS, CHIPS[size], strict=True):
                if few and not (context.quick and clients > 1):
                    found["each", size, clients][board.name] = [
                        run(board, kind="each", clients=clients, count=few, size=size)]
    return section(found)


def section(found: dict[tuple, dict[str, list]]) -> Section:
    """Tables, plots and targets of {(kind, size, senders): {server: results}}."""
    names = list(dict.fromkeys(name for results in found.values() for name in results))
    result = Section("Mail in (SMTP)", _TEXT)
    sizes = sorted({size for _, size, _ in found})
    shares: dict[int, list[float]] = {size: [] for size in sizes}
    for kind, title in KINDS.items():
        table = Table(title, ["size", "senders", *names, "picopost / aiosmtpd"])
        for (of, size, clients), results in found.items():
            if of != kind:
                continue
            share = ratio(results)
            if share:
                shares[size].append(share)
            table.rows.append([human(size), str(clients),
                               *(cell(results.get(name), size) for name in names),
                               figure(share) if share else "-"])
        result.tables.append(table)
    for size in sizes:
        rates = {name: [rate(found.get(("each", size, clients), {}).get(name), size)
                        for clients in SENDERS] for name in names if "nothing" not in name}
        result.charts.append(Chart(
            f"smtp-{human(size).replace(' ', '')}", f"Mail in: messages of {human(size)}, a "
            "session each", "messages/s" if size <= _KB else "MB/s", list(SENDERS), rates,
            x_title="senders"))
        result.targets.append(Target(
            f"{human(size)}: at least {_WANTED:g} times aiosmtpd with 1, 4, 8 senders, both ways",
            ", ".join(figure(share) for share in shares[size]) or "-",
            min(shares[size]) >= _WANTED if shares[size] else None))
    result.data = {f"{kind}, {human(size)}, {clients} senders": results
                   for (kind, size, clients), results in found.items()}
    return result


def ratio(results: dict[str, list]) -> float | None:
    """How many times aiosmtpd's speed picopost has."""
    if "aiosmtpd" not in results or "picopost" not in results:
        return None
    return median(results["aiosmtpd"]) / median(results["picopost"])


def rate(results: list[dict] | None, size: int) -> float | None:
    if not results:
        return None
    a_second = results[0]["done"] / median(results)
    return round(a_second if size <= _KB else a_second * size / 1e6, 2)
