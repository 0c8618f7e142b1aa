"""All that is told of one message, for the table, the drawing and other programs."""

from __future__ import annotations

from dataclasses import dataclass

from host_tools import firmware_modules  # noqa: F401  makes picopost importable
from host_tools.card.finding import printable
from host_tools.trace import header as header_reader
from host_tools.trace import hops, people
from host_tools.trace.header import Header
from host_tools.trace.hops import Hop, Path
from host_tools.trace.networks import kind
from host_tools.trace.people import People
from host_tools.trace.suspicions import Suspicion, suspicions
from host_tools.trace.words import utc

from picopost.mime import dates  # isort: skip


@dataclass
class Report:
    """A header, what is in it, and what to think of it."""

    header: Header
    path: Path
    people: People
    suspicions: list[Suspicion]

    @property
    def date(self) -> str:
        """Date as it stands there, "" if it does not."""
        found = self.header.first("date")
        return found.text if found else ""

    @property
    def written(self) -> int | None:
        """Date as seconds since 1970."""
        found = self.header.first("date")
        return hops.seconds(dates.parse(found.value)) if found else None

    @property
    def internal(self) -> list[Hop]:
        """The hops that led from a server to itself, to a filter and back for instance."""
        return [hop for hop in self.path.hops if hop.internal]


def report(message: bytes, trust: list[str] | None = None) -> Report:
    """Read a message, of which its header is enough; raises nothing for what is in it."""
    header = header_reader.read(message)
    path = hops.path(header, trust or [])
    who = people.read(header)
    return Report(header, path, who, suspicions(header, path, who))


def as_json(found: Report) -> dict:
    """The report as JSON has it: times in UTC, spans in seconds, null where nothing is known."""
    who, path = found.people, found.path
    first = path.hops[0] if path.hops else None
    return {
        "from": _people(who.author), "sender": _people(who.sender), "to": _people(who.to),
        "cc": _people(who.cc), "bcc": _people(who.bcc), "reply_to": _people(who.reply_to),
        "return_path": who.return_path or None, "delivered_to": who.delivered_to,
        "subject": who.subject or None, "message_id": who.message_id or None,
        "message_id_domain": who.message_id_domain or None, "program": who.program or None,
        "date": {"text": found.date or None, "utc": _utc(found.written)},
        "sent_from": {
            "name": (first.received.reverse or first.received.helo) if first else None,
            "address": first.received.address if first else None,
            "kind": first.kind if first else None,
            "web_address": who.web_address or None},
        "lines": len(path.hops) + path.left_out,
        "servers": [{"name": server.name, "names": server.names, "addresses": [
            {"address": address, "kind": kind(address)} for address in server.addresses],
            "hops": server.hops} for server in path.servers],
        "servers_by_domain": path.by_domain(),
        "hops": [_hop(hop) for hop in path.hops],
        "total_seconds": path.total,
        "oldest_trusted_hop": path.border.number if path.border else None,
        "header_stops_at_line": found.header.broken.line if found.header.broken else None,
        "suspicions": [each._asdict() for each in found.suspicions],
    }


def _hop(hop: Hop) -> dict:
    seen = hop.received
    return {
        "number": hop.number,
        "from": {"helo": seen.helo, "reverse": seen.reverse, "address": seen.address,
                 "kind": hop.kind},
        "by": {"name": seen.by, "address": seen.by_address, "software": seen.software},
        "protocol": seen.protocol, "smtp": seen.is_smtp, "tls": seen.tls,
        "tls_version": seen.tls_version, "cipher": seen.cipher,
        "authenticated": seen.authenticated, "via": seen.via, "id": seen.id,
        "for": seen.recipient, "envelope_from": seen.envelope_from, "date": seen.date or None,
        "utc": _utc(hop.time), "delay_seconds": hop.delay, "internal": hop.internal,
        "trusted": hop.trusted, "raw": seen.raw,
    }


def _utc(time: int | None) -> str | None:
    return None if time is None else utc(time).replace(" ", "T") + "Z"


def _people(found: list[tuple[str, str]]) -> list[dict]:
    return [{"name": name, "address": address} for name, address in found]


def shown(pairs: list[tuple[str, str]]) -> str:
    """Names and addresses on one line."""
    return printable(", ".join(f"{name} <{address}>" if name and address else name or address
                               for name, address in pairs))
