"""A DHCP server for one client (RFC 2131), fed with UDP payloads: no socket, no clock."""

from __future__ import annotations

from collections import Counter

DISCOVER, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE, INFORM = range(1, 9)

_BOOTREQUEST, _BOOTREPLY = 1, 2
_MAGIC_COOKIE = b"\x63\x82\x53\x63"
_OPTIONS = 240  # where the options begin: 236 octets of fixed fields, then the cookie
_MINIMUM = 300  # RFC 1542 2.1: a BOOTP message is not shorter

# Options of RFC 2132.
_PAD, _END = 0, 255
_SUBNET_MASK, _ROUTER, _DNS_SERVER = 1, 3, 6
_REQUESTED_ADDRESS, _LEASE_TIME, _MESSAGE_TYPE, _SERVER_ID = 50, 51, 53, 54
_RENEWAL_TIME, _REBINDING_TIME = 58, 59


class DhcpServer:
    """Offers one address; `messages` counts what came and went by name of the message type.

    Addresses are 4 octets. `lease_seconds` may be changed between two messages.
    """

    def __init__(self, lease_seconds: int = 86400, address: bytes = bytes((192, 168, 77, 2)),
                 server: bytes = bytes((192, 168, 77, 1)),
                 mask: bytes = bytes((255, 255, 255, 0))):
        self.lease_seconds = lease_seconds
        self.address = address
        self.server = server
        self.mask = mask
        self.messages: Counter[str] = Counter()

    def answer(self, message: bytes) -> bytes | None:
        """The reply to one client message; None where RFC 2131 4.3 asks for silence."""
        if (len(message) < _OPTIONS or message[0] != _BOOTREQUEST
                or message[236:_OPTIONS] != _MAGIC_COOKIE):
            return None
        options = _parse_options(message[_OPTIONS:])
        kind = (options.get(_MESSAGE_TYPE) or b"\0")[0]
        self.messages[_NAMES.get(kind, "?")] += 1
        if kind == DISCOVER:
            return self._reply(message, OFFER)
        if kind == REQUEST and options.get(_SERVER_ID, self.server) == self.server:
            # 4.3.2: the address stands in the option while selecting, in ciaddr while renewing.
            wanted = options.get(_REQUESTED_ADDRESS, message[12:16])
            return self._reply(message, ACK if wanted == self.address else NAK)
        return None

    def _reply(self, message: bytes, kind: int) -> bytes:
        self.messages[_NAMES[kind]] += 1
        reply = bytearray(_OPTIONS)
        reply[0:3] = bytes((_BOOTREPLY, message[1], message[2]))
        reply[4:8] = message[4:8]  # xid
        reply[10:12] = message[10:12]  # flags
        reply[24:28] = message[24:28]  # giaddr
        reply[28:44] = message[28:44]  # chaddr
        reply[236:_OPTIONS] = _MAGIC_COOKIE
        reply += _option(_MESSAGE_TYPE, bytes((kind,))) + _option(_SERVER_ID, self.server)
        if kind != NAK:
            reply[12:16] = message[12:16] if kind == ACK else bytes(4)  # ciaddr
            reply[16:20] = self.address  # yiaddr
            lease = self.lease_seconds
            for code, seconds in ((_LEASE_TIME, lease), (_RENEWAL_TIME, lease // 2),
                                  (_REBINDING_TIME, lease * 7 // 8)):
                reply += _option(code, seconds.to_bytes(4, "big"))
            reply += _option(_SUBNET_MASK, self.mask)
            reply += _option(_ROUTER, self.server) + _option(_DNS_SERVER, self.server)
        reply.append(_END)
        return bytes(reply).ljust(_MINIMUM, b"\0")


_NAMES = {DISCOVER: "DISCOVER", OFFER: "OFFER", REQUEST: "REQUEST", DECLINE: "DECLINE",
          ACK: "ACK", NAK: "NAK", RELEASE: "RELEASE", INFORM: "INFORM"}


def _option(code: int, value: bytes) -> bytes:
    return bytes((code, len(value))) + value


def _parse_options(field: bytes) -> dict[int, bytes]:
    options = {}
    position = 0
    while position < len(field) and field[position] != _END:
        if field[position] == _PAD:
            position += 1
            continue
        length = field[position + 1] if position + 1 < len(field) else 0
        options[field[position]] = field[position + 2 : position + 2 + length]
        position += 2 + length
    return options
