"""Failed logins by address and account, over all connections and services: who guesses has to
wait, and waits longer each time; nobody else does, and nobody is locked out.
"""

import time
from array import array
from binascii import crc32

from picopost import limits


class Failures:
    """A table of limits.MAX_FAILING pairs of an address and an account ("" for all names that are
    none); the one that failed longest ago goes first.

    So logging in with one's own password brings no more guesses at another's, and a program with an
    old password holds up no other on the same computer.

    A pair is known by its CRC-32, and all has its place from the start: what a session makes and
    leaves for a quarter of an hour would lie wherever the heap was free then, and cut it to pieces.
    Two pairs with one CRC are counted together, which costs a login some seconds at worst.
    """

    def __init__(self):
        self._pairs = array("I", bytes(4 * limits.MAX_FAILING))
        # Ticks of the last failure. "l" has their width; what "q" gives is no small integer, which
        # ticks_diff takes it for.
        self._last = array("l", [0] * limits.MAX_FAILING)
        self._counts = array("I", bytes(4 * limits.MAX_FAILING))  # 0: the place is free

    def _find(self, pair, now):
        # (its place, whether it is there), else the place that it may have
        free = 0
        oldest = -1
        for place, count in enumerate(self._counts):
            age = time.ticks_diff(now, self._last[place]) if count else 1 << 29
            if count and self._pairs[place] == pair:
                return place, True
            if age > oldest:
                free, oldest = place, age
        return free, False

    def begin(self, address: str, account: str) -> int:
        """A login: how many milliseconds its answer has to wait. It counts as failed until
        `succeeded`, so that several at once gain nothing.
        """
        pair = crc32(address + "\0" + account)
        now = time.ticks_ms()
        place, known = self._find(pair, now)
        count = self._counts[place] if known else 0
        if count and time.ticks_diff(now, self._last[place]) > limits.FAILURES_KEPT:
            count = 0
        self._pairs[place] = pair
        self._last[place] = now
        self._counts[place] = count + 1
        if count < 1:
            return 0
        return min(limits.LOGIN_DELAY << min(count - 1, 8), limits.MAX_LOGIN_DELAY)

    def succeeded(self, address: str, account: str) -> None:
        """The login was right."""
        place, known = self._find(crc32(address + "\0" + account), time.ticks_ms())
        if known:
            self._counts[place] = 0
