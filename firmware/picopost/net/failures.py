"""Failed logins by address, over all connections and services: who guesses has to wait, and waits
longer each time; nobody else does, and nobody is locked out.
"""

import time

from picopost import limits


class Failures:
    """A table of limits.MAX_FAILING addresses; the one that failed longest ago goes first."""

    def __init__(self):
        self._by_address = {}  # address -> [failures, ticks of the last]

    def delay(self, address: str) -> int:
        """Milliseconds that the next answer to `address` has to wait."""
        count = self._count(address)
        if count < 1:
            return 0
        return min(limits.LOGIN_DELAY << min(count - 1, 8), limits.MAX_LOGIN_DELAY)

    def add(self, address: str) -> None:
        """One more."""
        count = self._count(address) + 1
        known = self._by_address
        if address not in known and len(known) == limits.MAX_FAILING:
            now = time.ticks_ms()
            del known[max(known, key=lambda each: time.ticks_diff(now, known[each][1]))]
        known[address] = (count, time.ticks_ms())

    def forget(self, address: str) -> None:
        """It has logged in."""
        self._by_address.pop(address, None)

    def _count(self, address):
        count, last = self._by_address.get(address, (0, 0))
        if count and time.ticks_diff(time.ticks_ms(), last) > limits.FAILURES_KEPT:
            del self._by_address[address]
            count = 0
        return count
