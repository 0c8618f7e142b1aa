"""The time that some servers write into the id of a message: who changes a date forgets it.

sendmail 8 begins an id with year, month, day, hour, minute and second, a digit each (queue.c,
assign_queueid), Exim with the seconds since 1970 in six digits (its manual, 3.4), both in the base
of which these are the digits.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from host_tools.trace.received import Received

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SENDMAIL = re.compile(r"([0-9A-Za-x])([0-9AB])([1-9A-V])([0-9A-N])([0-9A-Za-x])([0-9A-Za-x])"
                       r"[0-9A-Za-x]{2}\d{5,7}")
_SENDMAIL_SOFTWARE = re.compile(r"8\.\d+\.\d+(?:[./+_-]|$)")
_EXIM = re.compile(r"([0-9A-Za-z]{6})-[0-9A-Za-z]{6}(?:[0-9A-Za-z]{5})?-[0-9A-Za-z]{2,4}")
_CYCLE = 60  # years, after which sendmail's digit is the same again


def time_of(received: Received, year: int) -> datetime | None:
    """The time (UTC) in the id; of sendmail's the one next to `year`. None: there is none in it."""
    if not received.id:
        return None
    software = received.software or ""
    try:
        if (match := _EXIM.fullmatch(received.id)) and "exim" in software.lower():
            seconds = 0
            for digit in match[1]:
                seconds = seconds * len(_DIGITS) + _DIGITS.index(digit)
            return datetime(1970, 1, 1) + timedelta(seconds=seconds)
        if (match := _SENDMAIL.fullmatch(received.id)) and _SENDMAIL_SOFTWARE.match(software):
            since, month, day, hour, minute, second = map(_DIGITS.index, match.groups())
            nearest = 1900 + since + _CYCLE * round((year - 1900 - since) / _CYCLE)
            return datetime(nearest, month + 1, day, hour, minute, min(second, 59))
    except (OverflowError, ValueError):
        pass  # the 31st of a month that has 30 days: no id of theirs
    return None
