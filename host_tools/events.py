"""The firmware's event lines (firmware/picopost/event_log.py) as objects."""

from __future__ import annotations

import json
import re
import time

# Services in TLS from the first octet.
IN_TLS = ("smtps", "pop3s")
_FIELD = re.compile(r' ([a-z_0-9]+)=("(?:[^"\\]|\\.)*"|[^ "]*)')
_LINE = re.compile(r"(\d+) ([a-z_0-9]+)((?: [a-z_0-9]+=(?:\"(?:[^\"\\]|\\.)*\"|[^ \"]*))*)")


def parse(line: str) -> dict | None:
    """{"event": name, "time": seconds since 1970 or 0, fields...}; None: not an event line.

    Bare digits are numbers; the firmware quotes strings that look like them.
    """
    match = _LINE.fullmatch(line)
    if not match:
        return None
    event: dict = {"event": match[2], "time": int(match[1])}
    for name, value in _FIELD.findall(match[3]):
        if value.startswith('"'):
            try:
                event[name] = json.loads(value)
            except ValueError:  # a port without a reader loses octets in the midst of a line
                return None
        else:
            event[name] = int(value) if re.fullmatch(r"-?\d+", value) else value
    return event


def services(ready: dict) -> dict[str, int]:
    """{service: port} of an event `ready`."""
    return {name: port for name, port in ready.items()
            if isinstance(port, int) and name[:4] in ("smtp", "subm", "pop3")}


def shown(event: dict, kept: bool = False) -> str:
    """An event as a line for a person: the time of day, its name, its fields. Where the board did
    not know the time it is now's, of one that was `kept` none.
    """
    stamp = "--:--:--" if kept and not event["time"] else (
        time.strftime("%H:%M:%S", time.localtime(event["time"] or None)))
    fields = "  ".join(f"{key}={value}" for key, value in event.items()
                       if key not in ("time", "event") and value != "")
    return f"{stamp}  {event['event']:<10} {fields}"
