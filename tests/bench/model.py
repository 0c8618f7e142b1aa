"""Where the time would go on a real RP2040 at 125 MHz: arithmetic on exact counts.

    python -m tests.bench.model          # from build/bench/bus.json, or from baseline.json

A count (counts.py) times what one costs there. Costs are measured on an emulated RP2040 with
MicroPython 1.28, without flash wait states, unless they say "assumed". Nothing overlaps here; on
the board a card programs while the next octets come.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from host_tools.firmware_build import BUILD
from tests.bench import counts

# Microseconds.
SPI_OCTET = 8 / 24  # both buses run at 24 MHz: 125 MHz through the next even divider
SPI_CALL = 30.0  # 15 to 50, whatever its length
CALL = 15.0  # 10 to 20, with the look-ups before it
TURN = 300.0  # assumed: a step of asyncio's loop, some 20 calls and look-ups of Python code
RECEIVE, SEND = 19.5 / 125, 18.4 / 125  # an octet, mboxrd_viper (kernels.py)
CRC_BLOCK = 512 * 30.3 / 125  # crc_viper.crc16 (kernels.py)
BUSY_BLOCK = 200.0  # assumed: what a card programs at, 2.5 MB/s; a slow one takes 1 ms and more
# A collection: 2 ms with a small heap; 150 KB of live objects take four times that: assumed.
COLLECTION = 8_000.0
THRESHOLD = 16_384  # octets allocated between two of them: limits.GARBAGE on a board
# Of the VM's octets an RP2040 allocates half: its words have 32 bits. Buffers and texts are not
# halved, but they are few in the data path.
SHARE = 0.5

# Row of the counts, its words, octets of text, microseconds an octet of the kernel, whether the
# card programs.
PATHS = (
    ("1 MB in, per KB", "a KB in", 1024, RECEIVE, True),
    ("1 MB out, per KB", "a KB out", 1024, SEND, False),
    ("2 KB message in", "a message of 2 KB in", 2048, RECEIVE, True),
    ("2 KB message out", "a message of 2 KB out", 2048, SEND, False),
)


def terms(cost: counts.Cost, octets: int, kernel: float, writes: bool) -> dict[str, float]:
    """Microseconds by cause."""
    calls = {bus: cost.get(counts.CALLS % bus, 0) for bus in counts.BUSES.values()}
    spi = {bus: cost.get(counts.OCTETS % bus, 0) for bus in counts.BUSES.values()}
    allocated = cost[counts.ALLOCATED] * SHARE
    return {
        "W5500, octets": spi["W5500"] * SPI_OCTET,
        "card, octets": spi["card"] * SPI_OCTET,
        "card, programming": cost[counts.WRITTEN] * BUSY_BLOCK * writes,
        "text, once over it": octets * kernel,
        "card, CRC": (cost[counts.WRITTEN] + cost[counts.READ]) * CRC_BLOCK,
        "W5500, SPI calls": calls["W5500"] * SPI_CALL,
        "card, SPI calls": calls["card"] * SPI_CALL,
        "other calls": (cost[counts.CALLS_MADE] - sum(calls.values())) * CALL,
        "turns of the loop": cost[counts.TURNS] * TURN,
        "collections": allocated / THRESHOLD * COLLECTION,
    }


def floor(board: str, octets: int, kernel: float, writes: bool) -> float:
    """Microseconds that no firmware with these chips goes below: the text once over each bus, once
    through the kernel, and the card's programming of it."""
    buses = 2 if "w5500" in board else 1
    blocks = octets / 512
    return octets * (buses * SPI_OCTET + kernel) + blocks * (CRC_BLOCK + BUSY_BLOCK * writes)


def table(results: dict[str, dict[str, counts.Cost]]) -> str:
    """Markdown: causes down, paths across, in microseconds; then sums, rates and floors."""
    lines = []
    for board, rows in results.items():
        columns = []
        for row, words, octets, kernel, writes in PATHS:
            times = terms(rows[row], octets, kernel, writes)
            total = sum(times.values())
            least = floor(board, octets, kernel, writes)
            columns.append((words, [
                *(f"{time:,.0f}" for time in times.values()), f"{total:,.0f}",
                f"{octets / 1024 / total * 1e6:,.0f}", f"{octets / 1024 / least * 1e6:,.0f}",
                f"{least / total:.0%}"]))
        names = [*times, "**all**", "KB/s", "KB/s at the floor", "of the floor"]
        lines += [f"| {board}, us | " + " | ".join(words for words, _ in columns) + " |",
                  "|---" + "|--:" * len(columns) + "|"]
        for at, name in enumerate(names):
            lines.append(f"| {name} | " + " | ".join(cells[at] for _, cells in columns) + " |")
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.model", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("counts", type=Path, nargs="?", help="bus.json of a run of make bench")
    path = parser.parse_args().counts
    if path is None:
        path = BUILD / "bench" / "bus.json"
        if not path.exists():
            path = counts.BASELINE
    print(table(json.loads(path.read_text())))


if __name__ == "__main__":
    main()
