"""Failed logins by address, over all connections and services: who guesses has to wait, and waits
longer each time; nobody else does, and nobody is locked out.
"""

import time

from picopost import limits


class Failures:
    """A table of limits.MAX_FAILING addresses; the one that failed longest ago goes first."""

    def __init__(self):
        self._by_address = {}  # address -> (failures, ticks of the last, user: None for several)

    def begin(self, address: str, user: str) -> int:
        """A login as `user` (an account, or "" for what is none): how many milliseconds its answer
        has to wait. It counts as failed until `succeeded`, so that several at once gain nothing.
        """
        known = self._by_address.get(address, (0, 0, user))[2]
        count = self._count(address)
        by_address = self._by_address
        if address not in by_address and len(by_address) == limits.MAX_FAILING:
            now = time.ticks_ms()
            del by_address[max(by_address,
                               key=lambda each: time.ticks_diff(now, by_address[each][1]))]
        by_address[address] = (count + 1, time.ticks_ms(),
                               user if not count or known == user else None)
        if count < 1:
            return 0
        return min(limits.LOGIN_DELAY << min(count - 1, 8), limits.MAX_LOGIN_DELAY)

    def succeeded(self, address: str, user: str) -> None:
        """The login was right. What failed before is forgotten if it was for the same user: who
        guesses somebody else's password gains nothing by logging in with his own.
        """
        count, last, known = self._by_address.get(address, (0, 0, None))
        if count <= 1 or known == user:
            self._by_address.pop(address, None)
        else:
            self._by_address[address] = (count - 1, last, known)

    def _count(self, address):
        count, last, _ = self._by_address.get(address, (0, 0, None))
        if count and time.ticks_diff(time.ticks_ms(), last) > limits.FAILURES_KEPT:
            del self._by_address[address]
            count = 0
        return count
