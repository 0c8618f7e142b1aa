"""Fuzzing: `python -m tests.fuzz`, from the project's directory.

An SMTP client that hypothesis makes up, against a model of what RFC 5321 and DESIGN.md promise it:
the dialogue alone in the VM, and whole appliances over sockets. Then a leak test of many sessions.
A failing example is made as small as it gets, and kept in build/fuzz to be played again.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.fuzz import campaign, dialogue, replay, sockets

# Of a hundred lines: what is fastest gets most.
_SHARES = {"dialogue": 80, "pico_w": 15, "pico_w5500": 5}


def main() -> int:
    """Exit status 1 when something failed, 2 for a wrong command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz",
                                     description="Fuzz SMTP; look for leaks.")
    parser.add_argument("--lines", type=int, default=200_000, metavar="N",
                        help="generated lines in all, repetitions not counted (default: 200000)")
    parser.add_argument("--sessions", type=int, default=10_000, metavar="N",
                        help="sessions of the leak test (default: 10000; 0: none)")
    parser.add_argument("--seed", type=int, default=1, help="what is made up (default: 1)")
    parser.add_argument("--time", type=float, metavar="S", help="stop fuzzing after S seconds")
    parser.add_argument("--jobs", type=int, default=2, metavar="N",
                        help="parts at once (default: 2)")
    parser.add_argument("--board", choices=tuple(_SHARES)[1:], help="this board's sockets alone")
    parser.add_argument("--dialogue", action="store_true", help="the dialogue alone")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="play a failing example again")
    options = parser.parse_args()
    if options.replay:
        return _replay(options.replay)
    kinds = [options.board] if options.board else ["dialogue"] if options.dialogue else _SHARES
    whole = sum(_SHARES[kind] for kind in kinds)
    shares = {kind: -(-options.lines * _SHARES[kind] // whole) for kind in kinds}
    good = not options.lines or campaign.run_parts(shares, options.seed, options.time, options.jobs)
    if options.sessions:
        good &= campaign.run_leak(options.sessions, options.seed)
    return 0 if good else 1


def _replay(path: Path) -> int:
    kind, example = replay.load(path)
    kind = kind.removesuffix("-first")
    print(repr(example))
    try:
        if kind == "dialogue":
            with dialogue.Player() as player:
                player.play(example)
        else:
            with tempfile.TemporaryDirectory() as folder, sockets.Player(
                    Path(folder) / "card.img", kind) as player:
                player.play(example)
    except AssertionError as error:
        print(f"FAILED {error}")
        return 1
    print("it did not fail")
    return 0


if __name__ == "__main__":
    sys.exit(main())
