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
_KNOWN = _ORDER + _LAST
# What needs no quotes in the log.
_PLAIN = "".join([chr(octet) for octet in range(0x21, 0x7F) if octet not in b'"='])
_PLAIN_OCTETS = _PLAIN.encode()


def text(octets):
    """What came from a wire, as text that a terminal may be shown: Latin-1, which never fails."""
    return "".join([chr(octet) if 0x20 <= octet < 0x7F or octet > 0x9F else "?"
                    for octet in octets])


def _shown(value):
    """`value` as the log has it, octets or text."""
    if isinstance(value, int):
        return b"%d" % value
    # strip() looks at each character without a loop in bytecode.
    if isinstance(value, (bytes, bytearray)):
        if value and not value.strip(_PLAIN_OCTETS) and not value.isdigit():
            return bytes(value)
        value = text(value)
    value = str(value)
    if value.strip(_PLAIN):
        return json.dumps(value)
    if not value or value.isdigit():
        return '"' + value + '"'  # bare digits are numbers
    return value


def log(event, **fields):
    """Print one event. `fields` are numbers, str or octets."""
    # Octets all the way: for each new text MicroPython searches all of its names.
    parts = [b"%d %s" % (clock.now(), event)]
    names = _ORDER
    if any([name not in _KNOWN for name in fields]):
        names += tuple([name for name in sorted(fields) if name not in _KNOWN])
    for name in names + _LAST:
        if name in fields:
            parts.append(b"%s=%s" % (name, _shown(fields[name])))
    sys.stdout.write(b" ".join(parts) + b"\n")


def fault(event, error, **fields):
    """An exception that nobody foresaw: one line, then its traceback for the one who mends it."""
    log(event, error=repr(error), **fields)
    sys.print_exception(error)
