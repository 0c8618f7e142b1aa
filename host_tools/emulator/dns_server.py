"""A name server for one network (RFC 1035), fed with UDP payloads: no socket."""

from __future__ import annotations

import socket
import struct

PORT = 53
HOST = "host.lan"  # the computer that the emulator runs on
_HEADER = struct.Struct(">HHHHHH")
_A, _CNAME, _IN = 1, 5, 1
_ANSWER, _NO_SUCH_NAME = 0x8180, 3  # QR, RD, RA
_TTL = 60


class DnsServer:
    """`names`: lower case -> an IPv4 address, or another name, of which it is an alias. `asked` are
    the names that were asked for. `silent`: it does not answer."""

    def __init__(self, names: dict[str, str]):
        self.names = names
        self.asked: list[str] = []
        self.silent = False

    def answer(self, message: bytes) -> bytes | None:
        """The reply to one query."""
        if self.silent or len(message) < _HEADER.size + 5:
            return None
        identifier, _, questions, *_ = _HEADER.unpack_from(message)
        labels, at = [], _HEADER.size
        while message[at]:
            labels.append(message[at + 1 : at + 1 + message[at]].decode("latin-1"))
            at += 1 + message[at]
        name = ".".join(labels).lower()
        self.asked.append(name)
        records = b""
        count = 0
        target = self.names.get(name)
        owner = struct.pack(">H", 0xC000 | _HEADER.size)
        while target is not None and not target.replace(".", "").isdigit():
            data = b"".join(bytes((len(label),)) + label.encode()
                            for label in target.split(".")) + b"\0"
            records += owner + struct.pack(">HHIH", _CNAME, _IN, _TTL, len(data)) + data
            owner, target = data, self.names.get(target)
            count += 1
        if target is not None:
            records += owner + struct.pack(">HHIH", _A, _IN, _TTL, 4) + socket.inet_aton(target)
            count += 1
        flags = _ANSWER if count else _ANSWER | _NO_SUCH_NAME
        return (_HEADER.pack(identifier, flags, questions, count, 0, 0)
                + message[_HEADER.size : at + 5] + records)
