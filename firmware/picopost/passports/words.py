"""A passport in words that a person understands, with what to change on the device. For the board
and for a PC.
"""

from picopost.event_log import text
from picopost.smtp import advice

# In the order of their bits (smtp/session.py, visits.py): for the log, for people.
_QUIRKS = (
    ("early", "talks before the greeting"),
    ("no-ehlo", "says HELO, not EHLO"),
    ("odd-helo", "has no proper name in HELO"),
    ("odd-path", "writes MAIL FROM with blanks or without angle brackets"),
    ("bare-lf", "ends lines in LF alone"),
    ("pipelines", "sends commands ahead without asking"),
    ("hangs-up", "hangs up without QUIT"),
    ("stays", "stays until its time is up"),
    ("tls-fails", "fails at TLS"),
    ("login-fails", "fails to log in"),
    ("tls", "uses TLS"),
    ("login", "logs in"),
)
_UNITS = ((86400, "day"), (3600, "h"), (60, "min"), (1, "s"))


def quirks(passport, of=0):
    """What is particular about it, a list: short for the log, or for people (`of` 1)."""
    return [_QUIRKS[bit][of] for bit in range(len(_QUIRKS)) if passport.quirks >> bit & 1]


def span(seconds):
    """Seconds as people say it: "5 min", "3 days"."""
    for one, unit in _UNITS:
        if seconds >= one:
            count = (seconds + one // 2) // one
            return "%d %s%s" % (count, unit, "s" if unit == "day" and count > 1 else "")
    return "0 s"


def size(octets):
    """Octets as people say it."""
    for unit in ("octets", "KB", "MB", "GB"):
        if octets < 1000 or unit == "GB":
            break
        octets /= 1000
    return ("%d %s" if unit == "octets" or octets >= 10 else "%.1f %s") % (octets, unit)


def ago(then, now):
    """"3 days ago", of two times of the clock that may not have been set."""
    if not then or not now:
        return "at an unknown time"
    return span(max(now - then, 0)) + " ago"


def reason(passport):
    """(why it was last refused, what to change); "" for what is not known, or was put right: a
    letter came since.
    """
    if not passport.refusals:
        return "", ""
    reply, hint = advice.known(passport.reason)
    why = text(passport.why)
    if reply is not None and reply.split(b" ", 2)[2].startswith(passport.why):
        why = text(reply.split(b" ", 2)[2])  # all of it
    if passport.wrote > passport.refused:
        hint = ""
    return why, hint or ""


def helo(passport):
    """Its name, for a terminal."""
    return text(passport.helo)


def who(passport, name=""):
    """The device itself; `name`: what the settings call it."""
    head = (name or "device") + " " + passport.peer
    return head + " (HELO " + helo(passport) + ")" if passport.helo else head


def of(passport, now, name=""):
    """Lines: the device, and what to change on it. `now`: seconds since 1970, or 0; `name`: see
    `who`.
    """
    parts = []
    if passport.letters:
        parts.append("%d letter%s, %s" % (passport.letters, "s" if passport.letters > 1 else "",
                                          size(passport.octets)))
        if passport.every:
            parts[0] += ", one %s %s" % ("each" if passport.regular else "about each",
                                         span(passport.every))
        parts.append("last letter " + ago(passport.wrote, now))
    else:
        parts.append("no letter so far, last seen " + ago(passport.seen, now))
    return [who(passport, name) + ": " + "; ".join(parts)] + about(passport, now)


def about(passport, now):
    """The lines behind the first: what is particular about it, and what to change."""
    lines = []
    why, hint = reason(passport)
    if why:
        lines.append("last refused %s: %s" % (ago(passport.refused, now), why))
    peculiar = quirks(passport, 1)
    if peculiar:
        lines.append("it " + ", ".join(peculiar))
    if passport.alarmed:
        lines.append("it has gone silent")
    if hint:
        lines.append("what to do: " + hint)
    return lines


def fields(passport, now):
    """The same for an event `device`."""
    why, hint = reason(passport)
    found = {"peer": passport.peer, "helo": passport.helo, "port": passport.port,
             "letters": passport.letters, "octets": passport.octets,
             "sessions": passport.sessions, "refusals": passport.refusals,
             "every": span(passport.every) if passport.every else "",
             "last": ago(passport.wrote or passport.seen, now),
             "quirks": ",".join(quirks(passport)), "why": why, "advice": hint}
    return {name: found[name] for name in found if found[name] or found[name] == 0}
