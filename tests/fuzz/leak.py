"""Thousands of short sessions of all kinds, and what they leave in the heap: nothing.

`vm_main.py` collects the garbage whenever the last session has ended, and says how much lives.
"""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Callable
from pathlib import Path

from tests.fuzz import leak_mixed, leak_pop3, leak_smtp
from tests.fuzz.sockets import MAIN
from tests.support.appliance import Appliance

# What plays sessions of a service: USERS, KINDS, ALONE, prepare().
SERVICES = {"smtp": leak_smtp, "pop3": leak_pop3}
_MIXED = {"mixed": leak_mixed}  # for soak.py
_CLIENTS = 3  # at once; a board has five seats
_FIRST_ADDRESS, _ADDRESSES = 20, 40  # clients are 127.0.0.20 to .59, more than are remembered
# What is filled once: modules, the table of failing addresses, tables of asyncio and of the index.
WARM_UP = 1000
_GROUP = 8  # samples
# Octets (of the 64-bit VM): 64 blocks of its heap. Measured: -300 to +700. A block (32) that every
# session leaves is 288,000 in the 9,000 sessions after the warm-up.
MAY_DIFFER = 2048


class Leak:
    """`samples`: [(sessions so far, octets that live)] with no session open; `pieces` the same with
    the largest piece of the heap that is free. Use as a context manager."""

    def __init__(self, card: Path, seed: int, service: str, board: str = "pico_w",
                 more: tuple[str, ...] = ()):
        self.samples: list[tuple[int, int]] = []
        self.pieces: list[tuple[int, int]] = []
        self.sessions = 0
        self._random = random.Random(seed)
        self._failures: list[str] = []
        self._counting = threading.Lock()
        self._alone = threading.Lock()
        self._service = (SERVICES | _MIXED)[service]
        self.appliance = Appliance(card, board, self._service.USERS, main=MAIN, more=more)

    def run(self, count: int, progress: Callable[[int], None] = lambda done: None) -> None:
        """At least so many more sessions. AssertionError where one is not served as it should."""
        goal = self.sessions + count
        if not self.sessions:
            self.sessions = self._service.prepare(self.appliance)
        while self.sessions < goal:
            kinds = [kind for kind, times in self._service.KINDS for _ in range(times)]
            self._random.shuffle(kinds)
            clients = [threading.Thread(
                target=self._client,
                args=(kinds[number::_CLIENTS], f"127.0.0.{_FIRST_ADDRESS + address}"))
                for number, address in enumerate(self._random.sample(range(_ADDRESSES), _CLIENTS))]
            for client in clients:
                client.start()
            for client in clients:
                client.join()
            assert not self._failures, (self._failures, self.appliance.faults())
            # One in fifty meets a task of the background that has not ended, and is some KB higher.
            looks = self._look(), self._look()
            assert not self.appliance.faults(), self.appliance.faults()
            self.samples.append((self.sessions, min(look["octets"] for look in looks)))
            self.pieces.append((self.sessions, max(look["largest"] for look in looks)))
            del self.appliance.events[:]
            progress(self.sessions)

    def _look(self) -> dict:
        """The heap once one more session, which does nothing, has ended."""
        self._client([leak_smtp.leave], f"127.0.0.{_FIRST_ADDRESS}")
        return self.appliance.wait_for("heap", sessions=self.sessions)

    def _client(self, kinds, address: str) -> None:
        for kind in kinds:
            try:
                with self._alone if kind in self._service.ALONE else contextlib.nullcontext():
                    sessions = kind(self.appliance, address)
            except Exception as error:
                self._failures.append(f"{kind.__name__} from {address}: {error!r}")
                return
            with self._counting:
                self.sessions += sessions

    def judge(self, warm_up: int = WARM_UP) -> str:
        """What the samples say. AssertionError where the level rises.

        The floor is judged, the least of some samples.
        """
        warm = [sample for sample in self.samples if sample[0] > warm_up]
        third = max(1, len(warm) // 3)
        grown = (min(octets for _, octets in warm[-third:])
                 - min(octets for _, octets in warm[:third]))
        group = max(1, min(_GROUP, third))
        floor = [(warm[at][0], min(octets for _, octets in warm[at:at + group]))
                 for at in range(0, len(warm) - group + 1, group)]
        rise = slope(floor) * (floor[-1][0] - floor[0][0])
        text = (f"{self.sessions} sessions; {warm[0][1]} octets live after {warm[0][0]}, "
                f"{warm[-1][1]} after {warm[-1][0]}; from the first third to the last the floor "
                f"rises by {grown:+d}, the fitted line by {rise:+.0f}; TLS refused "
                f"{getattr(self.appliance, 'tls_refused', 0)} times")
        assert grown <= MAY_DIFFER and rise <= MAY_DIFFER, text
        return text

    def __enter__(self) -> Leak:
        return self

    def __exit__(self, *exception) -> None:
        self.appliance.__exit__(*exception)


def slope(samples: list[tuple[int, int]]) -> float:
    """Octets a session, of the line that fits best (least squares)."""
    count = len(samples)
    middle = sum(x for x, _ in samples) / count
    level = sum(y for _, y in samples) / count
    spread = sum((x - middle) ** 2 for x, _ in samples)
    return sum((x - middle) * (y - level) for x, y in samples) / spread if spread else 0.0
