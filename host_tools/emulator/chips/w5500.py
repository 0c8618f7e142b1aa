"""WIZnet W5500 Ethernet controller, as an SPI device (datasheet 1.0.9).

Registers and memories behind the SPI frame of chapter 2; the sockets are in `w5500_socket.py`,
what the cable leads to in `host_tools/emulator/lan.py`. Not emulated: MACRAW, IPRAW, PPPoE,
ping, Wake on LAN, PHY modes; INTLEVEL is kept only.
"""

from __future__ import annotations

import warnings
from collections import Counter
from dataclasses import dataclass, field

from host_tools.emulator.chips import w5500_registers as reg
from host_tools.emulator.chips.w5500_socket import Socket
from host_tools.emulator.lan import Lan

_AT = reg.COMMON_OFFSETS
_REGISTERS = reg.by_offset(reg.COMMON)
_MR, _IR, _IMR, _SIR, _SIMR = _AT["MR"], _AT["IR"], _AT["IMR"], _AT["SIR"], _AT["SIMR"]
_PHYCFGR = _AT["PHYCFGR"]

# What MISO carries while address and control octets go in: each one's number. Not in the
# datasheet; logic analysers show it.
_HEADER_REPLY = b"\x01\x02\x03"
# OM bits, 2.2.2: octets of the data phase; None: as long as chip select stays low.
_FIXED_LENGTHS = (None, 1, 2, 4)


@dataclass
class Counters:
    """Exact counts since the model was made.

    `frames`: chip-select cycles. `octets`: all that were clocked while selected; `read` and
    `written`: data phases only. `blocks`: frames by block ("common", "socket 3", "tx 3",
    "rx 3"). `commands`: by name. `tcp_received`, `tcp_sent`: octets from and to the cable.
    """

    frames: int = 0
    octets: int = 0
    read: int = 0
    written: int = 0
    polls: int = 0
    tcp_received: int = 0
    tcp_sent: int = 0
    blocks: Counter[str] = field(default_factory=Counter)
    commands: Counter[str] = field(default_factory=Counter)


class W5500:
    """The chip on `lan`.

    `timeout_polls`: polls until the chip gives a peer up that cannot answer. `initial_pointer`:
    where the memories' pointers start at OPEN, which no driver may take for 0.
    """

    def __init__(self, lan: Lan, timeout_polls: int = 4096, initial_pointer: int = 0):
        self.lan = lan
        self.timeout_polls = timeout_polls
        self.initial_pointer = initial_pointer
        self.counters = Counters()
        self.sockets: list[Socket] = []
        self.sockets += [Socket(self, number) for number in range(8)]
        self._common = reg.reset_image(reg.COMMON, reg.COMMON_SIZE)
        self._selected = False
        self._begin_header()

    def reset(self) -> None:
        """RSTn, or MR[RST]: connections are dropped, registers take their reset values."""
        for socket in self.sockets:
            socket.reset()
        self._common = reg.reset_image(reg.COMMON, reg.COMMON_SIZE)

    @property
    def address(self) -> bytes:
        """SIPR, 4 octets."""
        return bytes(self._common[_AT["SIPR"] : _AT["SIPR"] + 4])

    @property
    def interrupt(self) -> bool:
        """True while the INTn pin is low (4.1, IR, IMR, SIR, SIMR)."""
        common = self._common
        return bool(common[_IR] & common[_IMR] or self._socket_interrupts() & common[_SIMR])

    def interrupt_level(self) -> int:
        """The level of INTn when a host looks at it: as fresh as can be, like a read of SIR."""
        self.poll()
        return not self.interrupt

    def fileno(self) -> int:
        """Readable when poll() has something to do."""
        return self.lan.fileno()

    def poll(self) -> None:
        """Move octets between cable and memories; never blocks."""
        self.counters.polls += 1
        for socket in self.sockets:
            socket.poll()
        self.lan.poll()

    # --- SPI frame, chapter 2 -------------------------------------------------------------

    def select(self, selected: bool) -> None:
        """SCSn went low (True) or high; going low begins a frame."""
        if selected and not self._selected:
            self.counters.frames += 1
            self._begin_header()
        self._selected = selected

    def transfer(self, byte: int) -> int:
        """One octet in, one out."""
        return self.transfer_bulk(bytes((byte,)))[0]

    def transfer_bulk(self, data: bytes) -> bytes:
        """Many octets, as `transfer` one by one; data phases move as slices."""
        if not self._selected:
            return b"\xff" * len(data)
        self.counters.octets += len(data)
        replies = []
        position, end = 0, len(data)
        while position < end:
            header = self._header
            if len(header) < 3:
                taken = min(3 - len(header), end - position)
                replies.append(_HEADER_REPLY[len(header) : len(header) + taken])
                header += data[position : position + taken]
                if len(header) == 3:
                    self._begin_data()
            else:
                taken = end - position
                if self._remaining is not None:
                    taken = min(taken, self._remaining)
                replies.append(self._data(data[position : position + taken]))
            position += taken
        return b"".join(replies)

    def _begin_header(self) -> None:
        self._header = bytearray()

    def _begin_data(self) -> None:
        """Address and control octet are in: BSB[4:0], RWB, OM[1:0] (2.2.2)."""
        self._address = self._header[0] << 8 | self._header[1]
        control = self._header[2]
        self._writing = bool(control & 0x04)
        self._remaining = _FIXED_LENGTHS[control & 0x03]
        self._polled = False
        block, kind = control >> 3, control >> 3 & 3
        if block == 0:
            name, self._read, self._write = "common", self._read_common, self._write_common
        elif kind == 0:
            warnings.warn(f"W5500: reserved block {block:#07b} selected", stacklevel=2)
            name, self._read, self._write = "reserved", _read_nothing, _write_nothing
        else:
            self._socket = socket = self.sockets[block >> 2]
            name, self._read, self._write = (
                ("socket", self._read_socket, socket.write),
                ("tx", socket.tx.read, socket.tx.write),
                ("rx", socket.rx.read, socket.rx.write))[kind - 1]
            name = f"{name} {socket.number}"
        self.counters.blocks[name] += 1

    def _data(self, data: bytes) -> bytes:
        count = len(data)
        if self._writing:
            self.counters.written += count
            self._write(self._address, data)
            reply = bytes(count)
        else:
            self.counters.read += count
            reply = self._read(self._address, count)
        self._address += count  # past 0xFFFF only in the memories, which wrap by themselves
        if self._remaining is not None:
            self._remaining -= count
            if self._remaining == 0:
                self._begin_header()  # 2.4: the next frame may follow while SCSn stays low
        return reply

    def _read_socket(self, address: int, count: int) -> bytes:
        # Sn_IR, Sn_SR and the memories' sizes and pointers are as fresh as can be.
        if address < 0x04 and address + count > 0x02 or address < 0x2C and address + count > 0x20:
            self._poll_once()
        return self._socket.read(address, count)

    def _poll_once(self) -> None:
        """At most once a frame, so that what one frame reads belongs together."""
        if not self._polled:
            self._polled = True
            self.poll()

    # --- common registers, 4.1 ------------------------------------------------------------

    def _socket_interrupts(self) -> int:
        return sum(1 << socket.number for socket in self.sockets if socket.interrupting)

    def _read_common(self, address: int, count: int) -> bytes:
        if address <= _SIR < address + count:
            self._poll_once()
        common = self._common
        common[_SIR] = self._socket_interrupts()
        common[_PHYCFGR] &= ~reg.PHYCFGR_LINK_100_FULL
        if self.lan.link_up:
            common[_PHYCFGR] |= reg.PHYCFGR_LINK_100_FULL
        if address + count > reg.COMMON_SIZE:
            warnings.warn(f"W5500: read of {count} octets at {address:#06x} beyond the common "
                          "registers", stacklevel=2)
        return bytes(common[address : address + count]).ljust(count, b"\0")

    def _write_common(self, address: int, data: bytes) -> None:
        for offset, octet in enumerate(data, address):
            register = _REGISTERS.get(offset)
            if register is None or register.access == "r":
                name = register.name if register else "no register"
                warnings.warn(f"W5500: write of {octet:#04x} to {offset:#06x} ({name}) ignored",
                              stacklevel=2)
            elif offset == _MR and octet & reg.MR_RST:
                self.reset()
            elif offset == _IR:
                self._common[_IR] &= ~octet  # write 1 to clear
            else:
                self._common[offset] = octet


def _read_nothing(address: int, count: int) -> bytes:
    return bytes(count)


def _write_nothing(address: int, data: bytes) -> None:
    pass
