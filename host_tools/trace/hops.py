"""The way of a message: its Received fields as hops, the oldest first."""

from __future__ import annotations

from dataclasses import dataclass, field

from host_tools import firmware_modules  # noqa: F401  makes picopost importable
from host_tools.trace import received
from host_tools.trace.header import Header
from host_tools.trace.networks import (
    LOOPBACK,
    PRIVATE,
    PUBLIC,
    address_of,
    is_public_name,
    kind,
    organisation,
    plain,
    same_house,
)
from host_tools.trace.received import Received

from picopost.mime import dates  # isort: skip

# RFC 5321 6.3 has servers take a hundred for a loop; what is more is counted, not shown.
MAX_HOPS = 128
# Mail by SMTP began in August 1982 (RFC 821): what is dated before has no clock.
_FIRST_YEAR = 1982
_LAST_YEAR = 9998  # so that no zone leads out of what Python can show


@dataclass
class Hop:
    """One server that took the message, as it wrote itself.

    number    from 1, the oldest
    time      seconds since 1970, None: no date, or no clock
    delay     seconds since the last hop before it that has a time; negative: clocks differ
    internal  the message stayed on the machine, or came from the same one
    trusted   one of the recipient's servers wrote it; what is below may be the sender's invention
    field     its place among all fields of the header
    """

    number: int
    received: Received
    field: int
    truncated: bool = False
    time: int | None = None
    delay: int | None = None
    internal: bool = False
    trusted: bool = False

    @property
    def kind(self) -> str | None:
        """Of the address it came from (networks.kind)."""
        return kind(self.received.address)

    @property
    def client(self) -> str:
        """How to call who gave it: as the server saw it, or else as it said."""
        seen = self.received
        return seen.reverse or seen.helo or seen.address or "somebody"


@dataclass
class Server:
    """One machine that the message was on: its names and addresses, and the hops on it."""

    names: list[str] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)
    hops: list[int] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The one to call it by: a name that others know before "localhost"."""
        return next(filter(is_public_name, self.names),
                    next(iter(self.names), next(iter(self.addresses), "?")))


@dataclass
class Path:
    """All hops; `left_out` counts those beyond MAX_HOPS, which are the oldest."""

    hops: list[Hop]
    servers: list[Server]
    left_out: int = 0

    @property
    def total(self) -> int | None:
        """Seconds from the first hop that has a time to the last."""
        times = [hop.time for hop in self.hops if hop.time is not None]
        return times[-1] - times[0] if times else None

    @property
    def border(self) -> Hop | None:
        """The oldest hop that can be trusted: who it names as its client is a fact."""
        return next((hop for hop in self.hops if hop.trusted), None)

    def by_domain(self) -> dict[str, list[str]]:
        """The servers of each organisation, sender's included, where it has several."""
        found: dict[str, list[str]] = {}
        names = [server.name for server in self.servers]
        if self.hops and not self.hops[0].internal:
            names.insert(0, self.hops[0].client)
        for name in names:
            members = found.setdefault(organisation(name), [])
            if name not in members:
                members.append(name)
        return {domain: members for domain, members in found.items()
                if domain and len(members) > 1}


def seconds(when: tuple | None) -> int | None:
    """Seconds since 1970 of what picopost.mime.dates.parse found; None if that is no time of a
    message.
    """
    if when is None or not _FIRST_YEAR <= when[0] <= _LAST_YEAR:
        return None
    return dates.seconds(when)


def path(header: Header, trust: list[str]) -> Path:
    """The way through the servers; the newest one's organisation is trusted, and those of the
    domains `trust`.
    """
    found = [(place, each) for place, each in enumerate(header.fields)
             if each.name.lower() == "received"]
    left_out = max(0, len(found) - MAX_HOPS)
    hops = []
    time = None
    for place, each in reversed(found[:MAX_HOPS]):
        hop = Hop(len(hops) + 1, received.parse(each.value), place, each.truncated)
        hop.time = seconds(hop.received.when)
        if hop.time is not None:
            hop.delay = hop.time - time if time is not None else None
            time = hop.time
        hops.append(hop)
    servers = _servers(hops)
    _mark_trusted(hops, trust)
    return Path(hops, servers, left_out)


# --- machines ---------------------------------------------------------------------------------

def _servers(hops: list[Hop]) -> list[Server]:
    """The machines in their order; marks the hops that led to no other."""
    servers: list[Server] = []
    for hop in hops:
        seen = hop.received
        here = servers[-1] if servers else None
        hop.internal = _is_internal(hop, here)
        if here is None or not hop.internal:
            here = Server()
            servers.append(here)
        here.hops.append(hop.number)
        _name(here, seen.by, seen.by_address)
    for before, hop in zip(hops, hops[1:], strict=False):
        # How the next server saw this one, if it was this one.
        server = next(each for each in servers if before.number in each.hops)
        if not hop.internal and fits(before.received, hop.received) == "same":
            _name(server, None, hop.received.address)
    return servers


def _name(server: Server, name: str | None, address: str | None) -> None:
    if name and not address_of(name) and plain(name) not in map(plain, server.names):
        server.names.append(name)
    if address and address not in server.addresses:
        server.addresses.append(address)


def _is_internal(hop: Hop, here: Server | None) -> bool:
    seen = hop.received
    if seen.is_local or hop.kind == LOOPBACK:
        return True
    if not seen.address and plain(seen.helo) == "localhost":
        return True
    if not (seen.helo or seen.reverse or seen.address):
        # "by x with SMTP" (Gmail), "(qmail 77 invoked by uid 89)"
        return not seen.by or here is None or plain(seen.by) in map(plain, here.names)
    # What a stranger says of himself proves nothing.
    said = seen.reverse if hop.kind == PUBLIC else seen.reverse or seen.helo
    return bool(said and seen.by) and plain(said) == plain(seen.by)


def fits(before: Received, after: Received) -> str:
    """How `after`'s client is the server that wrote `before`: "same" by name or address, "house"
    of the same organisation, "unknown" as far as can be told, "other" it is not.
    """
    said = [name for name in (after.helo, after.reverse) if name]
    if before.by is None or not (said or after.address):
        return "unknown"
    if (after.address and after.address == before.by_address
            or any(plain(name) == plain(before.by) for name in said)):
        return "same"
    if any(same_house(name, before.by) for name in said):
        return "house"
    # Names and addresses from within a network say nothing outside of it, and where a server
    # looks no names up, all it tells may be an address.
    if (not is_public_name(before.by) and kind(address_of(before.by or "")) != PUBLIC
            or kind(after.address) in (LOOPBACK, PRIVATE)
            or not any(map(is_public_name, said)) and not after.nameless):
        return "unknown"
    return "other"


# --- whom to believe --------------------------------------------------------------------------

def _mark_trusted(hops: list[Hop], trust: list[str]) -> None:
    """From the newest hop down, as long as it came from one of our own servers.

    The newest line is our server's. It saw by which address it was given the message: if that is
    our own server too, its line, the next below, is as good.
    """
    own = [*trust, next((hop.received.by for hop in reversed(hops) if hop.received.by), "")]

    def is_ours(name: str | None) -> bool:
        return any(same_house(name, each) for each in own)

    for hop in reversed(hops):
        seen = hop.received
        inner = not is_public_name(seen.by) and kind(seen.by_address) != PUBLIC
        if hop is not hops[-1] and not (is_ours(seen.by) or inner):
            break
        hop.trusted = True
        if hop.kind in (LOOPBACK, PRIVATE) or seen.is_local or is_ours(seen.reverse):
            continue
        if seen.address or seen.helo and not is_ours(seen.helo):
            break
