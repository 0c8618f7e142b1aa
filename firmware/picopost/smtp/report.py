"""Delivery status notifications (RFC 3461 sections 4 to 6): what became of a message, for who
sent it. Loaded when a report is due.

A report is a multipart/report (RFC 6522) in three parts: text for a person, the facts for a
program (RFC 3464), the head of the message. The whole of it does not come back, RET=FULL or not:
who sent it has it, and here it would be copied on a card.

Where an address has octets above 127 the second part is message/global-delivery-status with
utf-8 addresses, and a head with UTF-8 is message/global-headers (RFC 6533 sections 4 and 6).
"""

import asyncio
import os
from binascii import hexlify

from picopost import clock, limits
from picopost.smtp.xtext import decode_xtext
from picopost.store.delivery import Delivery

_EIGHT_BIT = b"Content-Transfer-Encoding: 8bit\n"


async def write(block, mailbox, hostname, reverse_path, envelope_id, outcomes, head, arrival,
                ready):
    """Put a report into `mailbox`, which is the reverse-path's; on the card when this returns.

    block         bytearray of CARD_BLOCK + 8, overwritten: take `Delivery.head()` before
    hostname      bytes, ours
    reverse_path  bytes, who sent the message; a null one gets no report (ValueError)
    envelope_id   bytes, ENVID as it was on the wire, in xtext; or None
    outcomes      a list, gone through several times, of (forward_path, orcpt, reply) for each
                  recipient that is reported on: orcpt is ORCPT as it was on the wire (addr-type
                  ";" xtext) or None; reply is None when delivered, or the Reply that refused it
    head          bytes with LF line ends, as `Delivery.head()` gives it; b"": no third part
    arrival       octets, clock.mail_date() of when the message came
    ready         awaited before each step on the card, which others run between

    Raises OSError when the card or the mailbox fails. Nothing of the report remains then, or, when
    the card was lost between the record and its sync, it may show up whole.
    """
    if not reverse_path:
        raise ValueError("no report to the null reverse-path")
    hostname = _clean(hostname)
    reverse_path = _clean(reverse_path)
    delivery = Delivery(block, (mailbox,), b"", hostname, b"local", hostname, reverse_path, True)
    try:
        for text in _report(hostname, reverse_path, envelope_id, outcomes, _clean_head(head),
                            arrival):
            at = 0
            while at < len(text):
                if delivery.full:
                    await ready()
                    delivery.spill()
                    await asyncio.sleep_ms(0)
                at = delivery.feed(text, at, len(text))
        await ready()
        delivery.commit()
    except BaseException:  # a session whose time is up is cancelled in here
        delivery.abort()
        raise


def _report(hostname, reverse_path, envelope_id, outcomes, head, arrival):
    """Generator: the report's text, a piece for each recipient in the first two parts."""
    token = b"%s.%s" % (b"%x" % clock.now(), hexlify(os.urandom(8)))  # in no head but by chance
    wide = b""
    failed = 0
    for forward_path, orcpt, reply in outcomes:
        failed += reply is not None
        if _is_wide(forward_path) or _is_wide(orcpt):
            wide = _EIGHT_BIT
    wide_head = _EIGHT_BIT if _is_wide(head) else b""

    yield (b"From: Mail Delivery System <MAILER-DAEMON@%s>\nTo: <%s>\nSubject: %s\nDate: %s\n"
           b"Message-ID: <%s@%s>\nAuto-Submitted: auto-replied\nMIME-Version: 1.0\n%s"
           b"Content-Type: multipart/report; report-type=delivery-status;\n\tboundary=\"%s\"\n\n"
           % (hostname, reverse_path, _subject(failed, len(outcomes)), clock.mail_date(),
              token, hostname, wide or wide_head, token))

    yield b"--%s\nContent-Type: text/plain; charset=utf-8\n%s\n" % (token, wide)
    yield b"This is the mail system of %s. Your message was\n" % hostname
    for forward_path, _, reply in outcomes:
        yield b"\n- %s <%s>\n" % (b"delivered to" if reply is None else b"NOT delivered to",
                                  _clean(forward_path))
        if reply is not None:
            yield b"  %s\n" % _reason(reply)

    yield b"\n--%s\nContent-Type: message/%sdelivery-status\n%s\nReporting-MTA: dns; %s\n" % (
        token, b"global-" if wide else b"", wide, hostname)
    if envelope_id is not None:
        yield b"Original-Envelope-Id: %s\n" % _decoded(envelope_id)
    yield b"Arrival-Date: %s\n" % _clean(arrival)
    for forward_path, orcpt, reply in outcomes:
        yield _status(forward_path, orcpt, reply)

    if head:
        yield b"\n--%s\nContent-Type: %s\n%s\n" % (token, _type_of(head), wide_head)
        yield head
    yield b"\n--%s--\n" % token


def _subject(failed, count):
    if not failed:
        return b"Your message was delivered"
    return b"Your message was not delivered" + (b" to everybody" if failed < count else b"")


def _status(forward_path, orcpt, reply):
    """The fields for one recipient (RFC 3464 section 2.3)."""
    fields = b"\n"
    if orcpt is not None:
        kind, _, address = orcpt.partition(b";")
        fields += b"Original-Recipient: %s; %s\n" % (_clean(kind), _decoded(address))
    fields += b"Final-Recipient: %s; %s\n" % (
        b"utf-8" if _is_wide(forward_path) else b"rfc822", _clean(forward_path))
    if reply is None:
        return fields + b"Action: delivered\nStatus: 2.0.0\n"
    status = reply.split(b" ", 2)[1]
    return fields + b"Action: failed\nStatus: %s\nDiagnostic-Code: smtp; %s\n" % (
        b"%s.0.0" % reply[:1] if status == b"-" else _clean(status), _reason(reply))


def _reason(reply):
    """A Reply in one line."""
    return _clean(b" ".join([part for part in reply.split(b" ", 2) if part != b"-"]))


def _is_wide(text):
    return bool(text) and max(text) > 0x7F


def _decoded(text):
    """`text` out of xtext; an address of type utf-8 need not be any (RFC 6533 section 3)."""
    try:
        text = decode_xtext(text)
    except ValueError:
        pass
    return _clean(text)


def _clean(value):
    """`value` as it may stand in a field: what came from the wire adds no line to a report."""
    return (value[: limits.REPORT_VALUE].replace(b"\r", b" ").replace(b"\n", b" ")
            .replace(b"\0", b" "))


def _clean_head(head):
    return head[: limits.REPORT_HEAD].replace(b"\r", b"?").replace(b"\0", b"?")


def _type_of(head):
    try:
        if len(str(head, "utf-8")) != len(head):
            return b"message/global-headers"
    except UnicodeError:
        pass  # some other charset; the field names are ASCII all the same
    return b"text/rfc822-headers"
