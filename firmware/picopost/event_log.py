"""One line per event on the console, to be read by a person and by `host_tools run --json`.

    accepted peer=192.168.1.20 service=smtp octets=2048 mailbox=alice

Values with spaces or quotes are written as JSON strings. No secret is ever passed here.
"""

import json
import sys

from picopost import clock


# Keyword arguments come in no order; a reader wants who, what, and last why.
_ORDER = ("peer", "service", "user", "mailbox", "message", "segment", "octets")


def _shown(value):
    if isinstance(value, int):
        return str(value)
    if isinstance(value, (bytes, bytearray)):
        value = "".join([chr(octet) for octet in value])  # Latin-1, which never fails
    text = str(value)
    for character in text:
        if not "!" <= character <= "~" or character in '"=':
            return json.dumps(text)
    if not text or text.isdigit():
        return '"' + text + '"'  # bare digits are numbers
    return text


def log(event, **fields):
    """Print one event. `fields` are numbers, str or bytes."""
    stamp = clock.now()
    parts = ["%d" % stamp, event]
    for name in _ORDER:
        if name in fields:
            parts.append(f"{name}={_shown(fields[name])}")
    for name in sorted(fields):
        if name not in _ORDER:
            parts.append(f"{name}={_shown(fields[name])}")
    print(" ".join(parts))


def fault(event, error, **fields):
    """An exception that nobody foresaw: one line, then its traceback for the one who mends it."""
    log(event, error=repr(error), **fields)
    sys.print_exception(error)
