"""Dates as they stand in headers (RFC 5322 3.3 and 4.3), and as devices write them instead."""

from micropython import const

from picopost.limits import MIME_DATE

_MONTHS = "janfebmaraprmayjunjulaugsepoctnovdec"
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
# RFC 5322 4.3, and Europe's, which devices there write. Others, of which some mean several zones,
# and the letters of the military say nothing for sure.
_ZONES = {"wet": 0, "west": 60, "cet": 60, "cest": 120, "mez": 60, "mesz": 120, "eet": 120,
          "eest": 180, "msk": 180,
          "gmt": 0, "utc": 0, "ut": 0, "z": 0, "est": -300, "edt": -240, "cst": -360, "cdt": -300,
          "mst": -420, "mdt": -360, "pst": -480, "pdt": -420}
_UNKNOWN = const(10_000)  # an offset that is none


def parse(value):
    """(year, month, day, hour, minute, second, offset), the offset of its zone in minutes east of
    UTC, or None where it is not known (-0000 too); None where `value` (bytes) is no date.

    Beside RFC 5322: ctime, ISO 8601 (its basic form too), 27.11.2026, 11/27/2026 (the month first,
    if it can be one), the month before the day, twelve hours ("9 PM"), GMT+02:00, and what is
    missing of weekday, time and zone. 24:00 is none: it ends a day in ISO 8601, and begins it where
    a browser's clock writes it. Years before 1900 are none (RFC 5322 3.3).
    """
    found = {"offset": _UNKNOWN}
    for word in _words(value):
        if not _take(word, found):
            return None
    try:
        year, month, day = found["year"], found["month"], found["day"]
        hour, minute, second = found.get("time", (0, 0, 0))
    except KeyError:
        return None
    half = found.get("half")
    if half:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if half == "pm" else 0)
    if year < 1900 or not 1 <= month <= 12 or not 1 <= day <= _days_of(year, month):
        return None
    if hour > 23 or minute > 59 or second > 60:  # 60: a leap second
        return None
    offset = found["offset"]
    return year, month, day, hour, minute, second, None if offset == _UNKNOWN else offset


def seconds(date):
    """Seconds since 1970 (UTC) of a date as `parse` gives it; without an offset it is taken for
    UTC.
    """
    year, month, day, hour, minute, second, offset = date
    # Years that begin in March have the leap day at their end.
    if month < 3:
        year -= 1
        month += 12
    days = 365 * year + year // 4 - year // 100 + year // 400 + (153 * month - 457) // 5 + day
    return ((days - 719_469) * 24 + hour) * 3600 + (minute - (offset or 0)) * 60 + second


def _words(value):
    """What the date is made of, in lower case; comments are white space (RFC 5322 3.2.2)."""
    text = bytearray()
    comments = 0
    escaped = False
    for octet in value[:MIME_DATE]:
        if escaped:
            escaped = False
        elif octet == 40:
            comments += 1
            text.append(32)
        elif octet == 41 and comments:
            comments -= 1
        elif comments:
            escaped = octet == 92
        else:
            text.append(octet if 32 < octet < 127 and octet != 44 else 32)  # a comma
    text = bytes(text).decode().lower().replace("a.m", "am").replace("p.m", "pm")
    words = []
    # White space around colons is obsolete (4.3).
    for word in ":".join([piece.strip() for piece in text.split(":")]).split():
        word = word.rstrip(".")
        if word in ("am", "pm") and words and len(words[-1]) < 3 and words[-1].isdigit():
            words[-1] += word  # 9 PM
        else:
            words.append(word)
    return words


def _take(word, found):
    """Note in `found` what `word` says; False: no date has this in it."""
    first = word[:1]
    if first in ("+", "-"):
        return _take_offset(word, found)
    if first.isdigit():
        if (":" in word or word[-2:] in ("am", "pm")
                or word[8:9] == "t" and word[:8].isdigit()):
            return _take_time(word, found)
        for sign in "-/.":
            pieces = word.split(sign)
            if len(pieces) == 3:
                return _take_day(pieces, sign, found)
        return word.isdigit() and _take_number(word, found)
    if word in ("am", "pm"):
        found["half"] = word
        return True
    at = _MONTHS.find(word[:3])
    if len(word) > 2 and at >= 0 and at % 3 == 0:
        return _put(found, "month", at // 3 + 1)
    if word[:3] in _DAYS:
        return True
    if "/" in word:  # a place (Europe/Berlin, Etc/GMT-1, whose sign is the other way round)
        return first.isalpha()
    for sign in "+-":  # GMT+2, UTC-05:30
        name, _, rest = word.partition(sign)
        if rest:
            return name in _ZONES and _take_offset(sign + rest, found)
    if found["offset"] == _UNKNOWN:
        found["offset"] = _ZONES.get(word, _UNKNOWN)
    return word.replace("_", "").isalpha()  # a zone that nobody knows


def _put(found, name, value):
    if name in found:
        return False
    found[name] = value
    return True


def _take_number(word, found):
    if "day" not in found and len(word) < 3:
        return _put(found, "day", int(word))
    if len(word) == 8:
        return _take_day((word[:4], word[4:6], word[6:]), "", found)
    if len(word) > 4:
        return False
    year = int(word)
    if len(word) == 2:
        year += 2000 if year < 50 else 1900
    elif len(word) == 3:
        year += 1900
    return _put(found, "year", year)


def _take_day(pieces, sign, found):
    """27-Nov-2026, 2026-11-27, 27.11.2026, 11/27/2026."""
    first, second, third = pieces
    if first.isdigit() and len(first) == 4:
        order = (second, third, first)
    elif sign == "/" and second.isdigit() and first.isdigit() and int(first) <= 12:
        order = pieces
    else:
        order = (second, first, third)
    month, day, year = order
    at = _MONTHS.find(month[:3])
    if month.isdigit() and len(month) < 3:
        month = int(month)
    elif len(month) > 2 and at >= 0 and at % 3 == 0:
        month = at // 3 + 1
    else:
        return False
    if not day.isdigit() or len(day) > 2 or not year.isdigit():
        return False
    return (_put(found, "month", month) and _put(found, "day", int(day))
            and _take_number(year, found))


def _take_time(word, found):
    """hh:mm, hh:mm:ss with or without a fraction, AM or PM (hh then is enough), or ISO 8601's date
    and zone with it, which may be without hyphens and colons.
    """
    date, _, time = word.partition("t")
    iso = time and ("-" in date or date.isdigit())
    if iso:
        pieces = date.split("-") if "-" in date else (date[:4], date[4:6], date[6:])
        if len(pieces) != 3 or not _take_day(pieces, "-", found):
            return False
        word = time
    half = word[-2:] in ("am", "pm")
    if half:
        found["half"] = word[-2:]
        word = word[:-2]
    elif word[-1:] == "z":
        found["offset"] = 0
        word = word[:-1]
    for sign in "+-":
        word, _, rest = word.partition(sign)
        if rest and not _take_offset(sign + rest, found):
            return False
    word = word.partition(".")[0]
    numbers = word.split(":")
    if iso and len(word) in (4, 6) and len(numbers) == 1:
        numbers = [word[at:at + 2] for at in range(0, len(word), 2)]
    if not (1 if half or iso else 2) <= len(numbers) <= 3:
        return False
    for number in numbers:
        if not number.isdigit() or len(number) > 2:
            return False
    numbers = [int(number) for number in numbers]
    while len(numbers) < 3:
        numbers.append(0)
    return _put(found, "time", numbers)


def _take_offset(word, found):
    """+0100, +01:00, +01, +1; -0000 and -00:00 say that nothing is known of it (RFC 5322 3.3,
    RFC 3339 4.3).
    """
    digits = word[1:].replace(":", "")
    if not digits.isdigit() or len(digits) > 4:
        return False
    hours, minutes = (int(digits), 0) if len(digits) < 3 else (int(digits[:-2]), int(digits[-2:]))
    if hours > 23 or minutes > 59:
        return False
    if word.startswith("-") and digits == "0000":
        found["offset"] = _UNKNOWN
    else:
        found["offset"] = (hours * 60 + minutes) * (-1 if word.startswith("-") else 1)
    return True


def _days_of(year, month):
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 or year % 400 == 0) else 28
    return 30 if month in (4, 6, 9, 11) else 31
