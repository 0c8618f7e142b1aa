"""Whether the heap is cut to pieces by many sessions of all kinds.

MicroPython's heap moves nothing: what stays in its midst divides it for good, and what needs one
piece (a TLS session's 17 KB, the bulk buffer's 8.5) finds none although enough is free in all.
`vm_main.py` tells the largest free piece whenever no session is open.
"""

from __future__ import annotations

from tests.fuzz.leak import Leak

# What is filled once, and moves in where it stays: modules, tables, the first segments.
WARM_UP = 200
# Of the largest free piece after the warm-up, what is left at the end.
SHARE = 0.8
# Samples that are taken together: the best of them is what the heap has when nobody needs it, for
# one in fifty meets a task of the background that holds something for a moment.
_TOGETHER = 3


class Soak(Leak):
    """Sessions of both services at once, on a board that has the firmware in its image: loaded into
    the heap it leaves too little for both (DESIGN.md, "What the heap is spent on")."""

    def __init__(self, card, seed: int, board: str):
        super().__init__(card, seed, "mixed", board, more=("--in-place",))

    def judge_pieces(self, warm_up: int = WARM_UP) -> str:
        """What the samples say. AssertionError where the largest free piece shrinks too much."""
        warm = [sample for sample in self.pieces if sample[0] >= warm_up]
        first = max(piece for _, piece in warm[:_TOGETHER])
        last = max(piece for _, piece in warm[-_TOGETHER:])
        least = min(piece for _, piece in warm)
        text = (f"{self.sessions} sessions; the largest free piece is {first} octets after "
                f"{warm[0][0]}, {last} at the end ({last / first:.0%}), {least} at its least; TLS "
                f"refused {getattr(self.appliance, 'tls_refused', 0)} times")
        assert last >= SHARE * first, text
        return text
