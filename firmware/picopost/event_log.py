"""One line per event on the console, to be read by a person and by `host_tools run --json`.

    accepted peer=192.168.1.20 service=smtp octets=2048 mailbox=alice

Values with spaces or quotes are written as JSON strings. No secret is ever passed here but one:
the password of the account that a first start makes (enrolment.py).
"""

import json
import select
import sys

from picopost import clock, limits

# Keyword arguments come in no order; a reader wants who, what, and last why and what to do.
_ORDER = ("part", "peer", "device", "helo", "service", "user", "mailbox", "message", "segment",
          "octets")
_LAST = ("why", "advice")
_KNOWN = _ORDER + _LAST
# What needs no quotes in the log.
_PLAIN = "".join([chr(octet) for octet in range(0x21, 0x7F) if octet not in b'"='])
_PLAIN_OCTETS = _PLAIN.encode()
# The last events, for who comes late (console/recent.py): lines that end in LF, the newest last,
# behind NULs as long as there are few.
recent = bytearray(limits.LOG_KEPT)
_recent = memoryview(recent)
# The line that is being typed at the console (keyboard.py): an event breaks into it.
typed = b""
poll = None  # knows whether the console has room
_refused = False  # it had none


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


def line(event, fields):
    """An event's line as octets, with its line end. `fields`: a dict of numbers, str or octets."""
    # Octets all the way: for each new text MicroPython searches all of its names.
    parts = [b"%d %s" % (clock.now(), event)]
    names = _ORDER
    if any([name not in _KNOWN for name in fields]):
        names += tuple([name for name in sorted(fields) if name not in _KNOWN])
    for name in names + _LAST:
        if name in fields:
            parts.append(b"%s=%s" % (name, _shown(fields[name])))
    return b" ".join(parts) + b"\n"


def log(event, **fields):
    """Print one event. `fields` are numbers, str or octets."""
    octets = line(event, fields)
    if "password" not in fields:  # the console's `log` is for others too, and later
        _keep(octets)
    if typed:
        octets = b"\n" + octets + typed
    if "password" in fields or _writable():
        sys.stdout.write(octets)


def _writable():
    """Whether somebody reads, or nobody has the port open. Where a program has, and stands, each
    write would be half a second in which nobody is served (MicroPython's mp_usbd_cdc_tx_strn).
    """
    global poll, _refused
    if not poll:
        poll = select.poll()
        poll.register(sys.stdout, select.POLLOUT)
    for _ in poll.ipoll(0 if _refused else limits.LOG_WAIT):
        _refused = False
        return True
    _refused = True
    return False


def _keep(octets):
    """What is kept moves up by its length. Nothing is allocated but three views."""
    size = len(octets)
    if size < len(recent):
        _recent[:-size] = _recent[size:]
        _recent[-size:] = octets


def fault(event, error, **fields):
    """An exception that nobody foresaw: one line, then its traceback for the one who mends it."""
    log(event, error=repr(error), **fields)
    if not _refused:
        sys.print_exception(error)
