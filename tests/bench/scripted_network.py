"""A network whose clients are scripts: each octet comes when the board asks for it, never before.

So the pieces in which a stream arrives are the same in every run, however busy the machine is:
a segment of Ethernet at a time, the next one as soon as there is room; what the board sends is
taken, and acknowledged, at once. The clients are seen by a W5500 model as its LAN, or by the
emulated sockets of a Pico W through a pseudo chip on SPI bus 7.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Generator

from host_tools.emulator.tcp_bridge import READ, WRITE

SEGMENT = 1460  # Ethernet's largest (RFC 879, 6691)
_TAIL = 1024  # octets of what came last that a script may look at: a reply

# A script yields (octets to send, whether the answer is whole); it is resumed when it is.
Script = Generator[tuple[bytes, Callable[[bytes], bool]], bytes, None]


class ScriptError(AssertionError):
    """The board answered otherwise than the script has it, or never."""


def smtp_reply(tail: bytes) -> bool:
    """The last line of a reply is there (RFC 5321 4.2.1)."""
    return tail.endswith(b"\r\n") and tail[:-2].rpartition(b"\n")[2][3:4] == b" "


def pop3_reply(tail: bytes) -> bool:
    return tail.endswith(b"\r\n")


def pop3_lines(tail: bytes) -> bool:
    """The end of a multi-line answer (RFC 1939 3)."""
    return tail.endswith(b"\r\n.\r\n")


class Client:
    """One TCP client that plays a script, then says FIN. `received` counts the board's octets."""

    def __init__(self, port: int, script: Script):
        self.port = port
        self.received = 0
        self.over = False
        self._script = script
        self._tail = b""
        self._step(None)

    def _step(self, answer: bytes | None) -> None:
        self._tail = b""
        try:
            out, self._whole = self._script.send(answer)
        except StopIteration:
            out, self.over = b"", True
        self._out = memoryview(out)
        self._at = 0

    @property
    def readable(self) -> bool:
        return self.over or self._at < len(self._out)

    def peek(self) -> bytes | None:
        """The next octet; b"" at the end, None when nothing is there."""
        return bytes(self._out[self._at : self._at + 1]) or (b"" if self.over else None)

    def receive(self, room: int) -> bytes | None:
        """The rest of a segment, at most `room` octets; b"" at the end, None for nothing now."""
        if self._at == len(self._out):
            return b"" if self.over else None
        end = min(self._at + min(room, SEGMENT - self._at % SEGMENT), len(self._out))
        data = bytes(self._out[self._at : end])
        self._at = end
        return data

    def send(self, data: bytes) -> None:
        """The board sends; all of it is taken."""
        self.received += len(data)
        if self.over:
            return
        self._tail = (self._tail + data)[-_TAIL:]
        if self._at == len(self._out) and self._whole(self._tail):
            self._step(self._tail)


class _Connection:
    """A client as a W5500 socket sees it: tcp_bridge.Connection's interface."""

    def __init__(self, client: Client, number: int):
        self.address = bytes((192, 168, 77, 20))
        self.port = 50_000 + number
        self.lost = False
        self.carries = True
        self.client = client
        self.on_event: Callable[[int], None] = lambda events: None
        self.watched = 0

    def want(self, events: int) -> None:
        self.watched = events

    def events(self) -> int:
        return self.watched & (WRITE | READ * self.client.readable)

    def check(self) -> None:
        pass

    def receive(self, room: int) -> bytes | None:
        return self.client.receive(room)

    def peek(self) -> bytes | None:
        return self.client.peek()

    def send(self, parts: list[memoryview]) -> int:
        data = b"".join(parts)
        if data:
            self.client.send(data)
        return len(data)

    def finish(self) -> None:
        pass


class ScriptedLan:
    """What lies behind a W5500 model's cable, in Lan's place."""

    def __init__(self):
        self.link_up = True
        self.port_error = None
        self._never, self._end = os.pipe()  # nothing comes but when the chip polls
        self._waiting: dict[int, list] = {}
        self._connections: list[_Connection] = []
        self._knocking: list[Client] = []
        self._clients = 0

    def knock(self, client: Client) -> None:
        """It connects as soon as somebody listens at its port."""
        self._knocking.append(client)

    def fileno(self) -> int:
        return self._never

    def close(self) -> None:
        os.close(self._never)
        os.close(self._end)

    def poll(self) -> None:
        for client in self._knocking[:]:
            waiting = self._waiting.get(client.port)
            if waiting:
                self._knocking.remove(client)
                self._clients += 1
                connection = _Connection(client, self._clients)
                self._connections.append(connection)
                min(waiting, key=lambda listener: listener.number).accepted(connection)
        for connection in self._connections[:]:
            events = connection.events()
            if events:
                connection.on_event(events)

    def listen(self, port: int, listener) -> None:
        self._waiting.setdefault(port, []).append(listener)

    def leave(self, port: int, listener) -> None:
        self._waiting[port].remove(listener)

    def connect(self, address: bytes, port: int) -> None:
        return None

    def forget(self, connection: _Connection) -> None:
        connection.want(0)
        self._connections.remove(connection)

    def datagram(self, address: bytes, port: int, payload: bytes, source: int = 0) -> None:
        return None

    def join(self, own: bytes, group: bytes, port: int, heard: Callable) -> None:
        pass

    def part(self) -> None:
        pass

    def multicast(self, payload: bytes, ttl: int) -> None:
        pass


class ScriptPort:
    """The pseudo chip on bus 7: marks of the run, and the sockets of a board without W5500.

    `on_mark(what, allocated, polls, turns, calls)` returns the answer to a mark. The frames are
    those of tests/bench/lockstep/meter.py.
    """

    FRAME = struct.Struct("<BBHIqqqq")

    def __init__(self, on_mark: Callable[[bytes, int, int, int, int], int]):
        self._on_mark = on_mark
        self._clients: dict[int, Client] = {}
        self._knocking: list[Client] = []
        self._numbers = 0
        self._coming = b""  # for the VM's next read
        self._going: Client | None = None  # whom the VM's next write is for

    def knock(self, client: Client) -> None:
        """It connects as soon as somebody listens at its port."""
        self._knocking.append(client)

    def select(self, selected: bool) -> None:
        pass

    def transfer(self, byte: int) -> int:
        raise NotImplementedError

    def transfer_bulk(self, data: bytes) -> bytes:
        if self._going:
            client, self._going = self._going, None
            client.send(data)
            return data
        if self._coming:
            data, self._coming = self._coming, b""
            return data
        code, number, _, value, *counted = self.FRAME.unpack(data)
        what = bytes((code,))
        if what in b"BEMS":
            answer = self._on_mark(what, *counted)
        else:
            answer = self._socket(what, number, value)
        return struct.pack("<i", answer).ljust(len(data), b"\0")

    def _socket(self, what: bytes, number: int, value: int) -> int:
        if what == b"A":
            self._numbers += 1
            self._clients[self._numbers] = self._knocking.pop(0)
            return self._numbers
        if what == b"P":
            client = self._clients.get(number)
            return 4 | client.readable if client else 0
        if what == b"C":
            self._clients.pop(number, None)
            return 0
        client = self._clients[number]
        if what == b"W":
            self._going = client
            return 0
        data = client.receive(value)
        if data is None:
            return -1
        self._coming = data
        return len(data)
