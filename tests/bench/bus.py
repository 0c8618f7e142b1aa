"""Count what letters cost on the buses: exact and repeatable, no clock involved.

Prints a Markdown table and writes it, with a JSON twin, to build/bench/.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from host_tools.firmware_build import BUILD
from tests.support.running import Running
from tests.support.wire import Pop3, send

_SMALL = b"Subject: bench\r\n\r\n" + (b"x" * 70 + b"\r\n") * 28  # 2 KB
_MEGABYTE = 1 << 20
_LARGE = (b"x" * 76 + b"\r\n") * (5 * _MEGABYTE // 78)
_REPEATS = 32


def count(running: Running) -> dict[str, int]:
    """The counters of card and bus, as they stand."""
    card = running.board.sd_card.counters
    bus = running.board.buses
    counts = {"blocks written": card.blocks_written, "blocks read": card.blocks_read,
              "SPI transfers, card": bus[1].transfers}
    if 0 in bus:
        counts["SPI transfers, W5500"] = bus[0].transfers
    return counts


def cost(running: Running, action, times: int = 1) -> dict[str, float]:
    """What one of `times` calls of `action` adds to the counters, on average."""
    before = count(running)
    for _ in range(times):
        action()
    after = count(running)
    return {name: (after[name] - before[name]) / times for name in after}


def per(costs: dict[str, float], units: float) -> dict[str, float]:
    return {name: value / units for name, value in costs.items()}


def deliver(running: Running, text: bytes) -> None:
    """One letter in; returns when the session is over and the card is quiet."""
    reply = send(running.smtp, text)
    if not reply.startswith(b"250"):
        raise SystemExit(f"not delivered: {reply!r}")
    running.wait_for("closed", service="smtp")


def fetch(running: Running, number: int) -> None:
    """One letter out, in a session of its own."""
    reader = Pop3(running.pop3, "girl", "pw")
    reader.retrieve(number)
    reader.quit()
    running.wait_for("closed", service="pop3")


def measure(board: str) -> dict[str, dict[str, float]]:
    """Costs by what was done."""
    with tempfile.TemporaryDirectory() as folder, Running(Path(folder), board=board) as running:
        running.wait_for("ready")
        deliver(running, _SMALL)  # makes the first segment
        small = cost(running, lambda: deliver(running, _SMALL), _REPEATS)
        large = cost(running, lambda: deliver(running, _LARGE))
        number = _REPEATS + 2
        out = cost(running, lambda: fetch(running, number))
        return {"a 2 KB letter in": small,
                "a 5 MB letter in, per MB": per(large, len(_LARGE) / _MEGABYTE),
                "a 5 MB letter out, per MB": per(out, len(_LARGE) / _MEGABYTE)}


def main() -> None:
    """Measure every board and write the table."""
    results = {board: measure(board) for board in ("pico_w", "pico_w5500")}
    lines = []
    for board, rows in results.items():
        names = list(next(iter(rows.values())))
        lines += [f"| {board} | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
        lines += [f"| {what} | " + " | ".join(f"{costs[name]:.1f}" for name in names) + " |"
                  for what, costs in rows.items()] + [""]
    folder = BUILD / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bus.md").write_text("\n".join(lines))
    (folder / "bus.json").write_text(json.dumps(results, indent=1))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
