"""Mail out: messages and megabytes a second, by size, and where lines begin with dots."""

from __future__ import annotations

from pathlib import Path

from tests.bench.context import Context
from tests.bench.measure import Lost, delivered, interleaved, median, read
from tests.bench.report import Chart, Section, Table, Target, figure, human
from tests.bench.servers import Dovecot, Picopost

_KB, _MB = 1 << 10, 1 << 20
# By account: size, messages, and every how manyth line begins with a dot (0: none).
BOXES = {"small": (_KB, 400, 0), "medium": (100 * _KB, 60, 0), "large": (5 * _MB, 8, 0),
         "mediumdots": (100 * _KB, 60, 20), "largedots": (5 * _MB, 8, 20)}
# What the emulated chips are asked for: messages.
CHIPS = {"small": 8, "medium": 2, "large": 1, "mediumdots": 2, "largedots": 1}
_WANTED = {"medium": 0.8, "large": 0.8, "mediumdots": 0.5, "largedots": 0.5}

_TEXT = """\
The same messages from both servers: delivered to picopost, exported from its card as mbox, and
given to dovecot-pop3d. One session at a time, RETR one after another, by a client that receives
into a large buffer and looks only at its end; medians of runs that take turns. Every message was
counted and had the same number of octets from both."""


def title(box: str) -> str:
    size, _, dotted_every = BOXES[box]
    return human(size) + (f", {100 // dotted_every}% of the lines with a dot" if dotted_every
                          else "")


def fill(server: Picopost, box: str, count: int) -> None:
    """Deliver what a box is to hold."""
    size, _, dotted_every = BOXES[box]
    delivered(server, kind="one", clients=min(4, count), count=count, size=size,
              dotted_every=dotted_every, recipient=f"{box}@xyz.com")


def fetch(server, box: str, count: int) -> dict:
    """One session; Lost unless all is there."""
    result = read(server, user=box, numbers=list(range(1, count + 1)))
    if result["messages"] != count:
        raise Lost(f"{server.name} has {result['messages']} messages of {count} in {box}")
    return result


def pop3(context: Context) -> Section:
    """Run it."""
    counts = {box: count if not context.quick else max(2, count // 8)
              for box, (_, count, _) in BOXES.items()}
    found: dict[str, dict[str, list]] = {}

    def picopost(folder: Path) -> Picopost:
        return Picopost(folder, users=tuple(BOXES), durable=False, name="picopost")

    with context.running(picopost) as [firmware]:
        for box, count in counts.items():
            fill(firmware, box, count)
        boxes = {box: firmware.export(box, context.place()) for box in BOXES}

        def dovecot(folder: Path) -> Dovecot:
            return Dovecot(folder, boxes)

        with context.running(dovecot) as rivals:
            servers = [*rivals, firmware]
            for box, count in counts.items():
                same = {tuple(fetch(server, box, count)["sizes"]) for server in servers}
                check_same(box, servers, same)
                found[box] = interleaved(
                    servers, max(3, context.rounds),
                    lambda server, box=box, count=count: fetch(server, box, count))

    def chips(folder: Path) -> Picopost:
        return Picopost(folder, users=tuple(BOXES), chips=True)

    with context.running(chips) as [board]:
        for box in ("small",) if context.quick else BOXES:
            fill(board, box, CHIPS[box])
            found[box][board.name] = [fetch(board, box, CHIPS[box])]
    return section(found)


def check_same(box: str, servers: list, sizes: set[tuple[int, ...]]) -> None:
    """Lost, unless all servers sent messages of the same sizes, but for their status lines."""
    spread = [max(column) - min(column) for column in zip(*sizes, strict=True)]
    if max(spread) > 64:
        raise Lost(f"{box}: {[server.name for server in servers]} do not send the same messages, "
                   f"they differ by up to {max(spread)} octets")


def section(found: dict[str, dict[str, list]]) -> Section:
    """Table, plot and targets of {box: {server: results}}."""
    names = list(dict.fromkeys(name for results in found.values() for name in results))
    result = Section("Mail out (POP3)", _TEXT)
    table = Table("RETR", ["messages", *names, "picopost / Dovecot"])
    for box, results in found.items():
        share = (rate(results["picopost"]) / rate(results["Dovecot"])
                 if "Dovecot" in results else None)
        table.rows.append([title(box), *(cell(results.get(name)) for name in names),
                           figure(share) if share else "-"])
        if box in _WANTED:
            result.targets.append(Target(
                f"{title(box)}: at least {_WANTED[box]} of Dovecot's MB/s",
                figure(share) if share else "-", share >= _WANTED[box] if share else None))
    result.tables.append(table)
    result.charts.append(Chart("pop3", "Mail out", "MB/s", [title(box) for box in found], {
        name: [round(rate(results[name]), 2) if name in results else None
               for results in found.values()] for name in names}))
    result.data = {title(box): results for box, results in found.items()}
    return result


def rate(results: list[dict]) -> float:
    """MB/s."""
    return sum(results[0]["sizes"]) / median(results) / 1e6


def cell(results: list[dict] | None) -> str:
    if not results:
        return "-"
    return (f"{figure(len(results[0]['sizes']) / median(results))}/s, "
            f"{figure(rate(results))} MB/s")
