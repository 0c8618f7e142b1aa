"""The register block and the memories of one W5500 socket (datasheet 1.0.9, 3.2, 3.3, 4.2)."""

from __future__ import annotations

import warnings
from struct import pack_into, unpack_from
from typing import TYPE_CHECKING

from host_tools.emulator.chips import w5500_registers as reg
from host_tools.emulator.chips.ring_memory import RingMemory
from host_tools.emulator.chips.w5500_registers import Status

if TYPE_CHECKING:
    from host_tools.emulator.chips.w5500 import W5500

_AT = reg.SOCKET_OFFSETS
_REGISTERS = reg.by_offset(reg.SOCKET)
_CR, _IR, _SR, _IMR = _AT["Sn_CR"], _AT["Sn_IR"], _AT["Sn_SR"], _AT["Sn_IMR"]
_TX_FSR, _TX_WR = _AT["Sn_TX_FSR"], _AT["Sn_TX_WR"]
_RX_RSR, _RX_RD, _RX_WR = _AT["Sn_RX_RSR"], _AT["Sn_RX_RD"], _AT["Sn_RX_WR"]
_MEMORIES = {"Sn_RXBUF_SIZE": "rx", "Sn_TXBUF_SIZE": "tx"}


class SocketBlock:
    """Socket `number` of `chip` as the SPI host sees it: `registers`, `tx` and `rx` memory.

    `status` is Sn_SR, `interrupts` Sn_IR. Pointers are 16 bits wide; those of the chip's side
    are kept apart from the registers that the host writes: `tx_read` (Sn_TX_RD), `rx_write`
    (Sn_RX_WR), and `rx_read`, the Sn_RX_RD that the last RECV brought.
    """

    def __init__(self, chip: W5500, number: int):
        self.chip = chip
        self.number = number
        self.reset()

    def reset(self) -> None:
        """All registers at their reset values."""
        self.registers = reg.reset_image(reg.SOCKET, reg.SOCKET_SIZE)
        self.status = Status.SOCK_CLOSED
        self.interrupts = 0
        self.tx, self.rx = RingMemory(0x800), RingMemory(0x800)
        self.start_tx(0)
        self.start_rx(0)

    def command(self, octet: int) -> None:
        """Sn_CR was written."""
        raise NotImplementedError

    def start_tx(self, pointer: int) -> None:
        self.tx_read = pointer
        self.set_word("Sn_TX_WR", pointer)

    def start_rx(self, pointer: int) -> None:
        self.rx_read = self.rx_write = pointer
        self.set_word("Sn_RX_RD", pointer)

    def word(self, name: str) -> int:
        """A 16-bit register."""
        return unpack_from(">H", self.registers, _AT[name])[0]

    def set_word(self, name: str, value: int) -> None:
        pack_into(">H", self.registers, _AT[name], value)

    def warn(self, text: str) -> None:
        warnings.warn(f"W5500 socket {self.number}: {text}", stacklevel=2)

    @property
    def interrupting(self) -> bool:
        """Its bit in SIR."""
        return bool(self.interrupts & self.registers[_IMR])

    @property
    def tx_pending(self) -> int:
        """Octets written and not yet taken by the peer."""
        return unpack_from(">H", self.registers, _TX_WR)[0] - self.tx_read & 0xFFFF

    @property
    def rx_received(self) -> int:
        """Sn_RX_RSR."""
        return self.rx_write - self.rx_read & 0xFFFF

    def read(self, address: int, count: int) -> bytes:
        """`count` octets of the register block; beyond it come zeros and a warning."""
        registers = self.registers
        registers[_IR] = self.interrupts
        registers[_SR] = self.status
        free = max(0, self.tx.size - self.tx_pending)
        pack_into(">HH", registers, _TX_FSR, free, self.tx_read)
        pack_into(">H", registers, _RX_RSR, self.rx_received)
        pack_into(">H", registers, _RX_WR, self.rx_write)
        if address + count > reg.SOCKET_SIZE:
            self.warn(f"read of {count} octets at {address:#06x} beyond the registers")
        return bytes(registers[address : address + count]).ljust(count, b"\0")

    def write(self, address: int, data: bytes) -> None:
        """Store octets one after the other; Sn_CR acts when its octet comes."""
        for offset, octet in enumerate(data, address):
            register = _REGISTERS.get(offset)
            if register is None or register.access == "r":
                name = register.name if register else "no register"
                self.warn(f"write of {octet:#04x} to {offset:#06x} ({name}) ignored")
            elif offset == _CR:
                self.command(octet)
            elif offset == _IR:
                self.interrupts &= ~octet  # write 1 to clear
            elif register.name in _MEMORIES:
                self._set_memory(register, octet)
            else:
                self.registers[offset] = octet

    def _set_memory(self, register: reg.Register, kib: int) -> None:
        if kib not in (0, 1, 2, 4, 8, 16):
            self.warn(f"{register.name} = {kib} is none of 0, 1, 2, 4, 8, 16")
            return
        self.registers[register.offset] = kib
        setattr(self, _MEMORIES[register.name], RingMemory(kib * 1024))
        total = sum(socket.registers[register.offset] for socket in self.chip.sockets)
        if total > 16:
            self.warn(f"{register.name}: the eight sockets ask for {total} of 16 KB")
