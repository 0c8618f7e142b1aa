"""The wire between the firmware in the VM and the chip models: frames on a socket pair.

A frame is `<BBHI`: operation, number (bus or pin), value, length. Operations:
W write `length` octets that follow; X exchange them, as many come back; R read `length`
octets while `value` goes out; I set the baud rate (`length`); P drive pin to `value`; G read
a pin, one octet comes back; D watchdog (0 start with `value` ms, 1 feed, 2 stop); Z reset
(number 1: into the bootloader); N ask what is behind the emulated `network`, radio or cable
(number: which question), one octet comes back.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable

from host_tools.emulator.spi_bus import Pins, SpiBus

_HEADER = struct.Struct("<BBHI")
_WRITE, _EXCHANGE, _READ, _INIT = b"WXRI"
_PIN, _GET, _WATCHDOG, _RESET, _NETWORK = b"PGDZN"
_RECEIVE = 1 << 16


class ProtocolError(Exception):
    """A frame that no `machine` module sends, or about what this board has not."""


class Channel:
    """Serves the frames of one VM. `vm_end` is inherited by the VM, `fileno()` is ours."""

    def __init__(self, buses: dict[int, SpiBus], pins: Pins,
                 network: Callable[[int, int], int] | None = None):
        self.buses = buses
        self.pins = pins
        self.network = network
        self.watchdog_ms = 0  # 0: it does not run
        self.feeds = 0
        self.cause = ""  # why the chip starts again: "reset", "watchdog", "bootloader"
        self._hungry = 0.0  # s since it was fed
        self._looked = 0.0
        self._ours, self.vm_end = socket.socketpair()
        self._pending = bytearray()

    def fileno(self) -> int:
        return self._ours.fileno()

    def close(self) -> None:
        self._ours.close()
        self.vm_end.close()

    def service(self) -> bool:
        """Handle what has come; blocks when nothing has. False at the VM's end."""
        try:
            data = self._ours.recv(_RECEIVE)
        except ConnectionError:
            return False
        if not data:
            return False
        pending = self._pending
        pending += data
        position, end = 0, len(pending)
        while end - position >= 8:
            operation, number, value, length = _HEADER.unpack_from(pending, position)
            after = position + 8
            if operation == _WRITE or operation == _EXCHANGE:
                if end - after < length:
                    break
                reply = self._bus(number).exchange(bytes(pending[after : after + length]))
                after += length
                if operation == _EXCHANGE:
                    self._answer(reply)
            elif operation == _READ:
                self._answer(self._bus(number).exchange(bytes((value,)) * length))
            elif operation == _PIN:
                self.pins.drive(number, value)
            else:
                self._control(operation, number, value, length)
            position = after
        del pending[:position]
        return True

    def overdue(self, now: float, most: float) -> bool:
        """To be asked every `most` seconds: whether the watchdog has waited for too long. Of the
        time since it was asked last no more than that counts.
        """
        self._hungry += min(now - self._looked, most)
        self._looked = now
        if self._hungry * 1000 < self.watchdog_ms:
            return False
        self.cause = "watchdog"
        return True

    def _bus(self, number: int) -> SpiBus:
        if number not in self.buses:
            raise ProtocolError(f"there is nothing at SPI {number}")
        return self.buses[number]

    def _answer(self, reply: bytes) -> None:
        try:
            self._ours.sendall(reply)
        except ConnectionError:
            pass  # the VM is gone; the next receive says so

    def _control(self, operation: int, number: int, value: int, length: int) -> None:
        if operation == _INIT:
            self._bus(number).baudrate = length
        elif operation == _GET:
            self._answer(bytes((self.pins.read(number),)))
        elif operation == _WATCHDOG:
            self._hungry = 0.0
            if number == 1:
                self.feeds += 1
            else:
                self.watchdog_ms = 0 if number else value
        elif operation == _RESET:
            self.cause = "bootloader" if number else "reset"
        elif operation == _NETWORK:
            if not self.network:
                raise ProtocolError("there is no such network chip")
            self._answer(bytes((self.network(number, value),)))
        else:
            raise ProtocolError(f"operation {operation:#x} on {number}")
