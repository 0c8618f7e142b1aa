"""Wall-clock time, and how mail writes it. All of it UTC: the appliance knows no time zone."""

import time

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
# A board without a battery boots in 2021; what lies before 2024 was not set by anybody.
_FIRST_HONEST_SECOND = 1704067200

# The dates of this second, as mail writes them: letters come in bursts.
_dates = [-1, b"", b""]


def now():
    """Seconds since 1970, or 0 while nobody has set the clock."""
    seconds = int(time.time())
    return seconds if seconds >= _FIRST_HONEST_SECOND else 0


def set(seconds):
    """Set it, to seconds since 1970. False for a time before anybody could have had this."""
    from machine import RTC

    if seconds < _FIRST_HONEST_SECOND:
        return False
    year, month, day, hour, minute, second, weekday = time.gmtime(seconds)[:7]
    RTC().datetime((year, month, day, weekday, hour, minute, second, 0))
    return True


def _dates_now():
    known = now()
    # Without a clock the time since the start, which is 1970 for all to see.
    seconds = known or time.ticks_ms() // 1000
    dates = _dates
    if dates[0] != seconds:
        year, month, day, hour, minute, second, weekday = time.gmtime(seconds)[:7]
        weekday, month = _DAYS[weekday], _MONTHS[month - 1]
        dates[1] = b"%s, %d %s %d %02d:%02d:%02d %s" % (
            weekday, day, month, year, hour, minute, second,
            "+0000" if known else "-0000 (time since start, no clock yet)")
        dates[2] = b"%s %s %2d %02d:%02d:%02d %d" % (
            weekday, month, day, hour, minute, second, year)
        dates[0] = seconds
    return dates


def mail_date():
    """RFC 5322 3.3 date-time of now, for a Received line, as octets.

    Without a clock: the time since the start, said to be nothing else, and "-0000", by which the
    same section says that it is nobody's local time.
    """
    return _dates_now()[1]


def from_line_date():
    """asctime of now, for the From_ line of mbox (RFC 4155), as octets."""
    return _dates_now()[2]
