"""What drives the W5500 model in its tests: an SPI host, and waits that cannot hang."""

from __future__ import annotations

import select
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from host_tools.emulator.chips.w5500 import W5500
from host_tools.emulator.chips.w5500_registers import SOCKET_OFFSETS, Command, Status
from host_tools.emulator.lan import Lan
from tests.support.ports import free_port_offset

PORTS = range(25, 31)  # the chip's ports that the tests use


def free_offset() -> int:
    """A port offset whose PORTS are free."""
    return free_port_offset(tuple(PORTS))


class Host:
    """The microcontroller's side: frames, registers by name, the datasheet's sequences."""

    def __init__(self, chip: W5500):
        self.chip = chip

    def frame(self, address: int, control: int, data: bytes) -> bytes:
        """One chip-select cycle; what came back in the data phase."""
        self.chip.select(True)
        reply = self.chip.transfer_bulk(struct.pack(">HB", address, control) + data)
        self.chip.select(False)
        return reply[3:]

    def read_common(self, address: int, count: int = 1) -> bytes:
        return self.frame(address, 0x00, bytes(count))

    def write_common(self, address: int, data: bytes) -> None:
        self.frame(address, 0x04, data)

    def read(self, number: int, register: str, count: int = 1) -> int:
        data = self.frame(SOCKET_OFFSETS[register], (number * 4 + 1) << 3, bytes(count))
        return int.from_bytes(data, "big")

    def write(self, number: int, register: str, value: int, count: int = 1) -> None:
        self.frame(SOCKET_OFFSETS[register], (number * 4 + 1) << 3 | 4,
                   value.to_bytes(count, "big"))

    def command(self, number: int, command: Command) -> None:
        self.write(number, "Sn_CR", command)
        assert self.read(number, "Sn_CR") == 0

    def status(self, number: int) -> Status:
        return Status(self.read(number, "Sn_SR"))

    def interrupts(self, number: int, clear: bool = True) -> int:
        """Sn_IR, cleared as it was read."""
        value = self.read(number, "Sn_IR")
        if clear and value:
            self.write(number, "Sn_IR", value)
        return value

    def open(self, number: int, mode: int = 0x01, port: int = 25) -> None:
        self.write(number, "Sn_MR", mode)
        self.write(number, "Sn_PORT", port, 2)
        self.command(number, Command.OPEN)

    def listen(self, number: int, port: int = 25) -> None:
        self.open(number, port=port)
        self.command(number, Command.LISTEN)
        assert self.status(number) == Status.SOCK_LISTEN

    def take(self, number: int, count: int | None = None) -> bytes:
        """Read what was received (at most `count`) and free it with RECV."""
        received = self.read(number, "Sn_RX_RSR", 2)
        count = received if count is None else min(count, received)
        pointer = self.read(number, "Sn_RX_RD", 2)
        data = self.frame(pointer, (number * 4 + 3) << 3, bytes(count))
        self.write(number, "Sn_RX_RD", pointer + count & 0xFFFF, 2)
        self.command(number, Command.RECV)
        return data

    def give(self, number: int, data: bytes) -> None:
        """Write to the TX memory, which must have room, and SEND."""
        assert len(data) <= self.read(number, "Sn_TX_FSR", 2)
        pointer = self.read(number, "Sn_TX_WR", 2)
        self.frame(pointer, (number * 4 + 2) << 3 | 4, data)
        self.write(number, "Sn_TX_WR", pointer + len(data) & 0xFFFF, 2)
        self.command(number, Command.SEND)

    def until(self, condition: Callable[[], object]) -> None:
        """Wait for `condition`, which polls the chip by what it reads; fails after some seconds."""
        for _ in range(500):
            if condition():
                return
            select.select([self.chip], [], [], 0.01)
        raise AssertionError("it did not happen")

    def until_status(self, number: int, status: Status) -> None:
        seen = []

        def reached() -> bool:
            seen.append(self.status(number))
            return seen[-1] == status

        try:
            self.until(reached)
        except AssertionError:
            raise AssertionError(f"wanted {status.name}, saw {set(seen)}") from None


@contextmanager
def client(lan: Lan, port: int = 25, device: str = "127.0.0.1") -> Iterator[socket.socket]:
    """A device's connection to the chip's port, with a time limit and a small window."""
    with socket.socket() as endpoint:
        endpoint.settimeout(5)
        endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        endpoint.bind((device, 0))
        endpoint.connect(lan.outside(port))
        yield endpoint


def reset_on_close(endpoint: socket.socket) -> None:
    """Make close() send RST."""
    endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def readable(thing: W5500 | socket.socket) -> bool:
    """Whether the chip asks for poll(), or a device's socket has something to read."""
    return bool(select.select([thing], [], [], 0)[0])


def fill_the_peer(host: Host) -> int:
    """SEND until the peer, which does not read, takes no more; octets given.

    A quarter of a second without news: its kernel delays no ACK for longer.
    """
    total = 0
    while host.read(0, "Sn_TX_FSR", 2) == 2048 or select.select([host.chip], [], [], 0.25)[0]:
        if host.read(0, "Sn_TX_FSR", 2) == 2048:
            host.give(0, bytes(2048))
            total += 2048
            assert total < 10_000_000
    return total
