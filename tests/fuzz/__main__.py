"""Fuzzing: `python -m tests.fuzz`, from the project's directory.

An SMTP client that hypothesis makes up, against a model of what RFC 5321 and DESIGN.md promise it:
the dialogue alone in the VM, and whole appliances over sockets. Letters of any octets, which POP3
has to give back. Then many sessions: what they leave in the heap, and in what pieces.
A failing example is made as small as it gets, and kept in build/fuzz to be played again.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.fuzz import campaign, leak, replay

# Of a hundred lines: what is fastest gets most.
_SHARES = {"dialogue": 80, "pico_w": 15, "pico_w5500": 5}
_LETTERS = {"pico_w": 75, "pico_w5500": 25}


def main() -> int:
    """Exit status 1 when something failed, 2 for a wrong command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz",
                                     description="Fuzz SMTP and letters; look for leaks.")
    parser.add_argument("--lines", type=int, default=200_000, metavar="N",
                        help="generated lines in all, repetitions not counted (default: 200000)")
    parser.add_argument("--letters", type=int, default=10_000, metavar="N",
                        help="letters there and back in all (default: 10000)")
    parser.add_argument("--sessions", type=int, default=10_000, metavar="N",
                        help="sessions of each leak test (default: 10000; 0: none)")
    parser.add_argument("--leak", choices=(*leak.SERVICES, "both"), default="both",
                        help="whose sessions leave nothing in the heap (default: both)")
    parser.add_argument("--soak", type=int, default=20_000, metavar="N",
                        help="sessions of both services on each board, which leave the heap in "
                             "large pieces (default: 20000; 0: none)")
    parser.add_argument("--seed", type=int, default=1, help="what is made up (default: 1)")
    parser.add_argument("--time", type=float, metavar="S", help="stop fuzzing after S seconds")
    parser.add_argument("--jobs", type=int, default=2, metavar="N",
                        help="parts at once (default: 2)")
    parser.add_argument("--board", choices=tuple(_SHARES)[1:], help="this board alone")
    parser.add_argument("--dialogue", action="store_true", help="the dialogue alone")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="play a failing example again")
    options = parser.parse_args()
    if options.replay:
        return _replay(options.replay)
    kinds = [options.board] if options.board else ["dialogue"] if options.dialogue else _SHARES
    boards = [options.board] if options.board else [] if options.dialogue else _LETTERS
    shares = _shares(options.lines, {kind: _SHARES[kind] for kind in kinds})
    shares |= _shares(options.letters, {campaign.LETTERS + board: _LETTERS[board]
                                        for board in boards})
    good = not shares or campaign.run_parts(shares, options.seed, options.time, options.jobs)
    for service in leak.SERVICES if options.leak == "both" else (options.leak,):
        if options.sessions:
            good &= campaign.run_leak(service, options.sessions, options.seed)
    for board in boards:
        if options.soak:
            good &= campaign.run_soak(board, options.soak, options.seed)
    return 0 if good else 1


def _shares(number: int, parts: dict[str, int]) -> dict[str, int]:
    """`number` things, divided as the parts are."""
    whole = sum(parts.values())
    return {kind: -(-number * part // whole) for kind, part in parts.items() if number}


def _replay(path: Path) -> int:
    kind, example = replay.load(path)
    kind = kind.removesuffix("-first")
    print(repr(example))
    try:
        with (tempfile.TemporaryDirectory() as folder,
              campaign.player_of(kind, Path(folder)) as player):
            player.play(example)
    except AssertionError as error:
        print(f"FAILED {error}")
        return 1
    print("it did not fail")
    return 0


if __name__ == "__main__":
    sys.exit(main())
