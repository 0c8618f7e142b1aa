"""What looks forged or skewed in a header, each with a sentence why.

A sender can write any header, Received lines included; servers only put their own on top. So
nothing here proves a forgery: a SUSPICION is what honest mail does not have, a NOTE what it may
have too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime
from typing import NamedTuple

from host_tools import firmware_modules  # noqa: F401  makes picopost importable
from host_tools.trace import hops, queue_ids
from host_tools.trace.header import Header
from host_tools.trace.hops import Path
from host_tools.trace.networks import (
    IMPOSSIBLE,
    LOOPBACK,
    PRIVATE,
    PUBLIC,
    address_of,
    alike,
    is_public_name,
    organisation,
    plain,
    same_house,
)
from host_tools.trace.people import People, domain
from host_tools.trace.words import span, utc

from picopost.mime import dates  # isort: skip

SUSPICION, NOTE = "suspicion", "note"

_CLOCK_ERROR = 5 * 60  # seconds: so far apart are clocks that nobody looks after
_WRITTEN = 3600  # between Date and the first hop
# RFC 5321 4.5.4.1: servers give a message up after four or five days.
_GIVEN_UP = 5 * 86_400
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_WEEKDAY = re.compile(r"\s*(mon|tue|wed|thu|fri|sat|sun)[a-z]{0,6}\b", re.IGNORECASE)
# RFC 5322 3.6 has them once at most.
_ONCE = ("from", "sender", "reply-to", "to", "cc", "bcc", "date", "subject", "message-id")
# Fields that a program writes and no server on the way; above a Received line they have no place.
_WRITTEN_ONCE = ("from", "to", "subject", "date")


class Suspicion(NamedTuple):
    """`code` for programs, `hop` its number or None, `why` for people."""

    severity: str
    code: str
    hop: int | None
    why: str


def suspicions(header: Header, path: Path, people: People) -> list[Suspicion]:
    """All there are, from the header's beginning to its people."""
    return [found for look in (_shape, _weekdays, _times, _queue_ids, _date, _names, _addresses,
                               _chain, _trust, _domains)
            for found in look(header, path, people)]


# --- the header -------------------------------------------------------------------------------

def _shape(header: Header, path: Path, people: People) -> Iterator[Suspicion]:
    if header.broken:
        behind = [field.name for field in header.fields if field.behind]
        lost = (f"; {', '.join(behind[:8])} behind it" + (" ..." if len(behind) > 8 else "")
                + " are text to mail programs" if behind else "")
        yield Suspicion(SUSPICION, "broken-header", None, (
            f"The header stops at line {header.broken.line}, which is no field: "
            f"\"{header.broken.text[:60]}\"{lost}."))
    for name in _ONCE:
        count = len([field for field in header.fields if field.name.lower() == name])
        if count > 1:
            yield Suspicion(SUSPICION, "repeated-field", None, (
                f"{name.title()} stands there {count} times, which no mail program writes: each "
                "reader may believe another."))
    if not path.hops:
        yield Suspicion(NOTE, "no-received", None, (
            "There is no Received line: no server has noted that it took this message."))
    if path.left_out:
        yield Suspicion(SUSPICION, "too-many-hops", None, (
            f"There are {path.left_out} Received lines more than {hops.MAX_HOPS}: servers refuse "
            "half as many as a loop."))
    written = [place for place, field in enumerate(header.fields)
               if field.name.lower() in _WRITTEN_ONCE]
    for hop in path.hops:
        if written and hop.field > written[0]:
            yield Suspicion(NOTE, "received-below", hop.number, (
                f"Hop {hop.number}'s line stands below {header.fields[written[0]].name}: servers "
                "put theirs on top, so the sender's program wrote it, or somebody sorted."))
        if hop.truncated:
            yield Suspicion(NOTE, "long-received", hop.number, (
                f"Hop {hop.number}'s line is too long to be read to its end."))


def _weekdays(header: Header, path: Path, people: People) -> Iterator[Suspicion]:
    stated = [(f"hop {hop.number}", hop.received.date) for hop in path.hops]
    if first := header.first("date"):
        stated.insert(0, ("Date", first.text))
    wrong: dict[str, list[str]] = {}
    for where, text in stated:
        when = dates.parse(text.encode())
        match = _WEEKDAY.match(text)
        if when is None or match is None:
            continue
        day = _DAYS[date(*when[:3]).weekday()]
        if not day.lower().startswith(match[1].lower()):
            wrong.setdefault(f"{when[2]} {_month(when)} {when[0]} was a {day}, not a "
                             f"{_full(match[1])}", []).append(where)
    for what, places in wrong.items():
        yield Suspicion(SUSPICION, "weekday", None, (
            f"{what} (in {_listed(places)}): no program gets that wrong, somebody changed it."))


def _month(when: tuple) -> str:
    return datetime(2000, when[1], 1).strftime("%B")


def _full(day: str) -> str:
    return next(each for each in _DAYS if each.lower().startswith(day.lower()))


def _listed(items: list[str]) -> str:
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + " and " + items[-1]


# --- times ------------------------------------------------------------------------------------

def _times(header: Header, path: Path, people: People) -> Iterator[Suspicion]:
    before = None
    for hop in path.hops:
        if hop.time is None:
            when = hop.received.when
            yield Suspicion(NOTE, "no-time", hop.number, (
                f"Hop {hop.number} has no date that can be read." if when is None else
                f"Hop {hop.number}'s server had no clock: it wrote {when[0]}."))
            continue
        if hop.delay is not None and hop.delay < -_CLOCK_ERROR:
            yield Suspicion(SUSPICION, "time-runs-back", hop.number, (
                f"Hop {hop.number} is {span(-hop.delay)} before hop {before}, from which it came: "
                "one of the two clocks is wrong, or one of the lines."))
        elif hop.delay is not None and hop.delay > _GIVEN_UP:
            yield Suspicion(SUSPICION, "long-delay", hop.number, (
                f"Hop {hop.number} is {span(hop.delay)} after hop {before}: servers give a message "
                "up after five days."))
        before = hop.number


def _queue_ids(header: Header, path: Path, people: People) -> Iterator[Suspicion]:
    for hop in path.hops:
        if hop.time is None:
            continue
        written = queue_ids.time_of(hop.received, hop.received.when[0])
        stated = datetime.fromisoformat(utc(hop.time))
        if written and abs((written - stated).total_seconds()) > 86_400:
            yield Suspicion(SUSPICION, "queue-id", hop.number, (
                f"Hop {hop.number}'s id, {hop.received.id}, was given at {written} UTC; the line "
                f"says {stated}: one of the two was changed."))


def _date(header: Header, path: Path, people: People) -> Iterator[Suspicion]:
    first = header.first("date")
    when = dates.parse(first.value) if first else None
    time = hops.seconds(when)
    if time is None:
        yield Suspicion(NOTE, "no-date", None, "There is no Date that can be read." if first
                        and when is None else "Date was written without a clock." if first
                        else "There is no Date, which each message needs (RFC 5322 3.6).")
        return
    hop = next((hop for hop in path.hops if hop.time is not None), None)
    if hop is None:
        return
    early = hop.time - time
    if early < -_WRITTEN:
        yield Suspicion(SUSPICION, "date-late", hop.number, (
            f"Date is {span(-early)} after hop {hop.number} had the message: the sender's clock "
            "is wrong, or his word."))
    elif early > _WRITTEN:
        # What was written in a train is sent in the evening, but not next week.
        yield Suspicion(SUSPICION if early > _GIVEN_UP else NOTE, "date-early", hop.number, (
            f"Date is {span(early)} before hop {hop.number}, the first to have it: it was kept "
            "back, or the sender's clock is wrong, or his word."))


# --- names and addresses ----------------------------------------------------------------------

def _names(header: Header, path: Path, people: People) -> Iterator[Suspicion]:
    """What a client said it was called, beside what its address tells."""
    for hop in path.hops:
        seen = hop.received
        said = address_of(seen.helo or "")
        if said and hop.kind == PUBLIC and plain(said) != plain(seen.address):
            # Behind a router that translates addresses a client knows its private one.
            if hops.kind(said) in (PUBLIC, IMPOSSIBLE) and not seen.authenticated:
                yield Suspicion(SUSPICION, "helo", hop.number, (
                    f"Hop {hop.number}'s client said it had the address {said}, but it had "
                    f"{seen.address}."))
            continue
        if seen.unverified:
            yield Suspicion(NOTE, "unverified", hop.number, (
                f"The name {seen.reverse} of hop {hop.number}'s client does not lead back to its "
                f"address {seen.address}: whoever owns the address chose it."))
        # Who has logged in, as authors do, may call his computer what he likes.
        if (not is_public_name(seen.helo) or hop.kind != PUBLIC or seen.authenticated
                or hop.internal):
            continue
        if seen.by and same_house(seen.helo, seen.by) and not (
                seen.reverse and same_house(seen.reverse, seen.by)) and (
                seen.reverse or seen.nameless):
            yield Suspicion(SUSPICION if hop.trusted or seen.reverse else NOTE, "helo",
                            hop.number, (
                f"Hop {hop.number}'s client called itself {seen.helo}, as if it were of "
                f"{organisation(seen.by)} like the server; its address {seen.address} "
                f"{_whose(seen)}."))
        elif seen.reverse and not same_house(seen.helo, seen.reverse):
            yield Suspicion(NOTE if alike(seen.helo, seen.reverse) else SUSPICION, "helo",
                            hop.number, (
                f"Hop {hop.number}'s client called itself {seen.helo}; its address "
                f"{seen.address} {_whose(seen)}."))
        elif seen.nameless:
            # It lends weight to From, or to nothing.
            claims = any(same_house(seen.helo, domain(address)) for _, address in people.author)
            yield Suspicion(SUSPICION if claims else NOTE, "helo", hop.number, (
                f"Hop {hop.number}'s client called itself {seen.helo}; its address "
                f"{seen.address} has no name that would confirm it."))


def _whose(seen) -> str:
    return f"belongs to {seen.reverse}" if seen.reverse else "has no name"


def _addresses(header: Header, path: Path, people: People) -> Iterator[Suspicion]:
    for hop in path.hops:
        seen = hop.received
        name = seen.reverse if is_public_name(seen.reverse) else seen.helo
        elsewhere = (is_public_name(name) and is_public_name(seen.by)
                     and not same_house(name, seen.by))
        if hop.kind == IMPOSSIBLE:
            yield Suspicion(SUSPICION, "impossible-address", hop.number, (
                f"Hop {hop.number} came from {seen.address}, an address that no host has."))
        elif hop.kind == LOOPBACK and elsewhere:
            # A machine may call itself what it likes, but that address is looked up as localhost.
            looked_up = name == seen.reverse
            yield Suspicion(SUSPICION if looked_up else NOTE, "inner-address", hop.number, (
                f"Hop {hop.number} came from {name}, a name elsewhere, by {seen.address}: that "
                "is the address by which a machine speaks to itself."))
        elif hop.kind == PRIVATE and elsewhere and not seen.authenticated:
            yield Suspicion(NOTE, "inner-address", hop.number, (
                f"Hop {hop.number} came from {name}, a name elsewhere, by {seen.address}: such an "
                "address is reached from within the same network only."))


def _chain(header: Header, path: Path, people: People) -> Iterator[Suspicion]:
    for before, hop in zip(path.hops, path.hops[1:], strict=False):
        if hops.fits(before.received, hop.received) == "other":
            seen = hop.received
            known = seen.reverse or seen.helo
            yield Suspicion(SUSPICION, "broken-chain", hop.number, (
                f"Hop {before.number} brought the message to {before.received.by}, but hop "
                f"{hop.number} took it from "
                f"{f'{known} ({seen.address})' if known and seen.address else hop.client}: "
                f"something is missing between them, or hop {before.number} was made up."))


# --- whom to believe --------------------------------------------------------------------------

def _trust(header: Header, path: Path, people: People) -> Iterator[Suspicion]:
    border = path.border
    if border is None or border.number == 1:
        return
    below = "Hop 1 is" if border.number == 2 else (
        "Hops 1 and 2 are" if border.number == 3 else f"Hops 1 to {border.number - 1} are")
    yield Suspicion(NOTE, "unproven", border.number, (
        f"{below} what the sender's side says. What {border.received.by or 'our server'} wrote at "
        f"hop {border.number} is the oldest line of the recipient's own servers: the message came "
        f"to it from {border.received.address or border.client}; older lines could be anybody's."))


def _domains(header: Header, path: Path, people: People) -> Iterator[Suspicion]:
    author = domain(people.author[0][1]) if people.author else ""
    if not author:
        yield Suspicion(NOTE, "no-author", None, "There is no From with an address.")
        return
    envelope = domain(people.return_path)
    if is_public_name(envelope) and not same_house(author, envelope):
        yield Suspicion(NOTE, "return-path", None, (
            f"From is of {author}, Return-Path of {envelope}: usual for lists and mailing "
            "services, and for who borrows a name."))
    identifier = people.message_id_domain
    if is_public_name(identifier) and not same_house(author, identifier):
        yield Suspicion(NOTE, "message-id", None, (
            f"From is of {author}, Message-ID of {identifier}: it was made there."))
    for name, address in people.author:
        shown = name.strip("\"'<> ").rpartition(" ")[2].strip("\"'<>()")
        if is_public_name(domain(shown)) and not same_house(domain(shown), domain(address)):
            yield Suspicion(SUSPICION, "name-is-address", None, (
                f"From shows {shown} as a name, but the address is {address}."))
