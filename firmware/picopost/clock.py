"""Wall-clock time, and how mail writes it. All of it UTC: the appliance knows no time zone."""

import time
from micropython import const

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
# A board without a battery boots in 2021; what lies before this was not set by anybody.
_FIRST_HONEST_YEAR = const(2024)


def now():
    """Seconds since 1970, or 0 while nobody has set the clock."""
    return int(time.time()) if time.gmtime()[0] >= _FIRST_HONEST_YEAR else 0


def _now_or_uptime():
    """now() in parts; without a clock the time since the start, which is 1970 for all to see."""
    return time.gmtime(now() or time.ticks_ms() // 1000)[:7]


def mail_date():
    """RFC 5322 3.3 date-time of now, for a Received line.

    Without a clock: the time since the start, said to be nothing else, and "-0000", by which the
    same section says that it is nobody's local time.
    """
    year, month, day, hour, minute, second, weekday = _now_or_uptime()
    zone = "+0000" if now() else "-0000 (time since start, no clock yet)"
    return (f"{_DAYS[weekday]}, {day} {_MONTHS[month - 1]} {year} "
            f"{hour:02d}:{minute:02d}:{second:02d} {zone}")


def from_line_date():
    """asctime of now, for the From_ line of mbox (RFC 4155)."""
    year, month, day, hour, minute, second, weekday = _now_or_uptime()
    return (f"{_DAYS[weekday]} {_MONTHS[month - 1]} {day:2d} "
            f"{hour:02d}:{minute:02d}:{second:02d} {year}")
