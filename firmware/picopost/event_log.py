"""One line per event on the console, to be read by a person and by `host_tools run --json`.

    accepted peer=192.168.1.20 service=smtp octets=2048 mailbox=alice

Values with spaces or quotes are written as JSON strings. No secret is ever passed here but one:
the password of the account that a first start makes (enrolment.py).
"""

import json
import sys

from picopost import clock


# Keyword arguments come in no order; a reader wants who, what, and last why and what to do.
_ORDER = ("peer", "device", "helo", "service", "user", "mailbox", "message", "segment", "octets")
_LAST = ("why", "advice")


def text(octets):
    """What came from a wire, as text that a terminal may be shown: Latin-1, which never fails."""
    return "".join([chr(octet) if 0x20 <= octet < 0x7F or octet > 0x9F else "?"
                    for octet in octets])


def _shown(value):
    if isinstance(value, int):
        return str(value)
    if isinstance(value, (bytes, bytearray)):
        value = text(value)
    value = str(value)
    for character in value:
        if not "!" <= character <= "~" or character in '"=':
            return json.dumps(value)
    if not value or value.isdigit():
        return '"' + value + '"'  # bare digits are numbers
    return value


def log(event, **fields):
    """Print one event. `fields` are numbers, str or bytes."""
    stamp = clock.now()
    parts = ["%d" % stamp, event]
    others = [name for name in sorted(fields) if name not in _ORDER and name not in _LAST]
    for names in (_ORDER, others, _LAST):
        for name in names:
            if name in fields:
                parts.append(f"{name}={_shown(fields[name])}")
    print(" ".join(parts))


def fault(event, error, **fields):
    """An exception that nobody foresaw: one line, then its traceback for the one who mends it."""
    log(event, error=repr(error), **fields)
    sys.print_exception(error)
