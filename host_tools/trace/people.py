"""Who sent a message and to whom, as its header says."""

from __future__ import annotations

from dataclasses import dataclass

from host_tools import firmware_modules  # noqa: F401  makes picopost importable
from host_tools.trace.header import Header
from host_tools.trace.networks import address_of

from picopost.mime import addresses  # isort: skip

_MAX_VALUES = 16  # of one field that stands there many times


@dataclass
class People:
    """Address fields are lists of (name, address), the others texts; "" and []: not given.

    return_path   the envelope's sender: "<>" for a report (RFC 5321 4.5.5)
    delivered_to  the envelope's recipients, as servers note them
    message_id    its domain is where it was made, often
    program       that it was written with
    web_address   from where the author spoke to a web mailer
    """

    author: list[tuple[str, str]]
    sender: list[tuple[str, str]]
    to: list[tuple[str, str]]
    cc: list[tuple[str, str]]
    bcc: list[tuple[str, str]]
    reply_to: list[tuple[str, str]]
    return_path: str
    delivered_to: list[str]
    subject: str
    message_id: str
    program: str
    web_address: str

    @property
    def message_id_domain(self) -> str:
        return domain(self.message_id.strip("<> "))


def read(header: Header) -> People:
    """Collect it; nothing is raised."""
    return People(
        author=_addresses(header, "from"), sender=_addresses(header, "sender"),
        to=_addresses(header, "to"), cc=_addresses(header, "cc"), bcc=_addresses(header, "bcc"),
        reply_to=_addresses(header, "reply-to"),
        return_path=_path(_text(header, "return-path")),
        delivered_to=_delivered_to(header),
        subject=_text(header, "subject"), message_id=_text(header, "message-id"),
        program=_text(header, "x-mailer") or _text(header, "user-agent"),
        web_address=address_of(_text(header, "x-originating-ip")) or "")


def domain(address: str) -> str:
    """What is behind the "@", in lower case."""
    return address.rpartition("@")[2].lower() if "@" in address else ""


def _text(header: Header, name: str) -> str:
    found = header.first(name)
    return found.text if found else ""


def _addresses(header: Header, name: str) -> list[tuple[str, str]]:
    return [pair for each in header.all(name)[:_MAX_VALUES]
            for pair in addresses.parse(each.value)]


def _path(text: str) -> str:
    address = text.partition("<")[2].partition(">")[0] if "<" in text else text
    return address.strip() or ("<>" if text else "")


def _delivered_to(header: Header) -> list[str]:
    found = []
    for name in ("delivered-to", "envelope-to", "x-original-to"):
        for each in header.all(name)[:_MAX_VALUES]:
            address = each.text.strip("<> ")
            if address and address not in found:
                found.append(address)
    return found
