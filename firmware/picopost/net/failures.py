"""Failed logins by address and account, over all connections and services: who guesses has to
wait, and waits longer each time; nobody else does, and nobody is locked out.
"""

import time

from picopost import limits


class Failures:
    """A table of limits.MAX_FAILING pairs of an address and an account ("" for all names that are
    none); the one that failed longest ago goes first.

    So logging in with one's own password brings no more guesses at another's, and a program with an
    old password holds up no other on the same computer.
    """

    def __init__(self):
        self._failed = {}  # (address, account) -> (failures, ticks of the last)

    def begin(self, address: str, account: str) -> int:
        """A login: how many milliseconds its answer has to wait. It counts as failed until
        `succeeded`, so that several at once gain nothing.
        """
        key = (address, account)
        failed = self._failed
        now = time.ticks_ms()
        count, last = failed.get(key, (0, now))
        if time.ticks_diff(now, last) > limits.FAILURES_KEPT:
            count = 0
        if key not in failed and len(failed) == limits.MAX_FAILING:
            del failed[max(failed, key=lambda each: time.ticks_diff(now, failed[each][1]))]
        failed[key] = (count + 1, now)
        if count < 1:
            return 0
        return min(limits.LOGIN_DELAY << min(count - 1, 8), limits.MAX_LOGIN_DELAY)

    def succeeded(self, address: str, account: str) -> None:
        """The login was right."""
        self._failed.pop((address, account), None)
