"""Times and spans as people read them."""

from __future__ import annotations

from datetime import datetime, timedelta

_EPOCH = datetime(1970, 1, 1)


def utc(seconds: int) -> str:
    """"2012-08-26 08:47:09" of seconds since 1970."""
    return str(_EPOCH + timedelta(seconds=seconds))


def span(seconds: int) -> str:
    """"31 min 29 s", "-2 h 5 min": its two largest units."""
    sign = "-" if seconds < 0 else ""
    rest = abs(seconds)
    parts = []
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        if count or unit == "s" and not parts:
            parts.append(f"{count} {unit}")
        elif parts:
            break  # "1 d 5 s" would be more exact than anybody wants to know
    return sign + " ".join(parts[:2])
