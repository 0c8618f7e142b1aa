"""What grows with a mailbox, and with a message: nothing, and in a straight line."""

from __future__ import annotations

import shutil
import statistics
from pathlib import Path

from host_tools.emulator.card_image import CardImage
from tests.bench.context import Context
from tests.bench.measure import Lost, delivered, interleaved, load, median, read
from tests.bench.report import Chart, Section, Table, Target, figure, human
from tests.bench.servers import USER, Picopost
from tests.support.vm import Vm

_SUPPORT = Path(__file__).parents[2] / "support"
# A mailbox holds 10,000; there must be room for what is delivered here.
COUNTS = {10: 10, 100: 100, 1000: 1000, 10_000: 9_800}
SIZES = (1 << 10, 10 << 10, 100 << 10, 1 << 20, 10 << 20, 100 << 20)
_OCTETS = 2048
_ROUNDS = 5
_DELIVERIES = 20
_STATS = 201
_FLAT = 1.25  # times
_LINEAR = 1.25

_TEXT = """\
Four appliances with mailboxes of 10, 100, 1,000 and nearly 10,000 messages of 2 KB take turns:
deliveries of 2 KB, a session each; login (which reads the index, 32 octets a message) and STAT.
Below that, one appliance and messages of growing size, in and out again."""


def growth(context: Context) -> Section:
    """Run it."""
    counts = {10: 10, 1000: 1000} if context.quick else COUNTS
    sizes = SIZES[:-1] if context.quick else SIZES
    boxes = mailboxes(context, counts)
    amounts = by_size(context, sizes)
    return section(boxes, amounts)


def mailboxes(context: Context, counts: dict[int, int]) -> dict[int, dict[str, float]]:
    """Milliseconds by messages in the mailbox."""
    makers = []
    for label, count in counts.items():
        def make(folder: Path, label=label, count=count) -> Picopost:
            card = filled(context, count)
            server = Picopost(folder, name=str(label))
            shutil.move(card, folder / "card.img")
            return server
        makers.append(make)
    with context.running(*makers) as servers:
        for server in servers:
            server.sent = counts[int(server.name)]
        results = interleaved(servers, _ROUNDS, step)
    return {int(name): {
        "delivery": 1000 * statistics.median(value for run in runs for value in run["latencies"]),
        "login": 1000 * statistics.median(run["login"] for run in runs),
        "STAT": 1000 * statistics.median(run["stat"] for run in runs)}
        for name, runs in results.items()}


def step(server: Picopost) -> dict:
    return {**delivered(server, kind="each", count=_DELIVERIES, size=_OCTETS),
            **read(server, stats=_STATS)}


def filled(context: Context, count: int) -> Path:
    """A card image whose mailbox holds that many messages, made by the firmware's own store."""
    path = context.place()
    CardImage.create(path).close()
    with Vm(extra_path=(_SUPPORT,)) as vm:
        vm.exec(f"import vm_fill; vm_fill.fill({str(path)!r}, {USER!r}, {count}, {_OCTETS})")
    return path


def by_size(context: Context, sizes: tuple[int, ...]) -> dict[int, dict[str, float]]:
    """MB/s by size of the message, in and out."""
    found: dict[int, dict[str, list]] = {size: {"in": [], "out": []} for size in sizes}
    with context.running(Picopost) as [server]:
        number = 0
        for _ in range(context.rounds):
            for size in sizes:
                times = max(1, min(20, (2 << 20) // size))
                came = load(server, kind="each", count=times, size=size)
                went = read(server, numbers=list(range(number + 1, number + times + 1)))
                number += times
                if went["messages"] != number or any(octets < size for octets in went["sizes"]):
                    raise Lost(f"{server.name} does not keep all messages of {size} octets")
                found[size]["in"].append({"seconds": came["seconds"] / times})
                found[size]["out"].append({"seconds": went["seconds"] / times})
    return {size: {way: size / median(runs) / 1e6 for way, runs in ways.items()}
            for size, ways in found.items()}


def section(boxes: dict[int, dict[str, float]],
            amounts: dict[int, dict[str, float]]) -> Section:
    """Tables, plots and targets."""
    result = Section("Growth", _TEXT)
    kinds = list(next(iter(boxes.values())))
    result.tables.append(Table("By messages in the mailbox, ms (medians)", ["messages", *kinds], [
        [f"{count:,}", *(figure(times[kind]) for kind in kinds)]
        for count, times in boxes.items()]))
    result.tables.append(Table("By size of the message, MB/s", ["size", "in", "out"], [
        [human(size), figure(rates["in"]), figure(rates["out"])]
        for size, rates in amounts.items()]))
    result.charts += [
        Chart("growth-messages", "A mailbox grows", "ms", list(boxes), {
            kind: [times[kind] for times in boxes.values()] for kind in kinds},
            logarithmic=True, x_title="messages in the mailbox"),
        Chart("growth-size", "A message grows", "s", list(amounts), {
            way: [size / rates[way] / 1e6 for size, rates in amounts.items()]
            for way in ("in", "out")}, logarithmic=True, x_title="octets")]
    few, many = min(boxes), max(boxes)
    for kind in ("delivery", "STAT"):
        times = boxes[many][kind] / boxes[few][kind]
        result.targets.append(Target(
            f"{kind}: flat from {few:,} to {many:,} messages (at most {_FLAT} times)",
            f"{figure(times)} times", times <= _FLAT))
    largest = max(amounts)
    for way in ("in", "out"):
        times = amounts[1 << 20][way] / amounts[largest][way]
        result.targets.append(Target(
            f"{way}: seconds a MB at {human(largest)} at most {_LINEAR} times those at 1 MB",
            f"{figure(times)} times", times <= _LINEAR))
    result.data = {"by messages, ms": boxes, "by size, MB/s": amounts}
    return result
