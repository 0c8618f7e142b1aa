"""The data lines of an SD card in SPI mode: bytes to commands, blocks in and out, waits.

Source: SD Physical Layer Simplified Specification 4.10; a bare number in a comment is a section
of it. What commands do is in sd_card.py.

Input and output are two machines that run side by side, as MOSI and MISO do: what a byte
causes is seen from the next byte on. Waits are counted in bytes clocked, never in time.
"""

from __future__ import annotations

import binascii
import warnings
from collections import Counter
from dataclasses import dataclass, field

from host_tools.emulator.card_image import BLOCK, CardImage
from host_tools.emulator.chips import sd_registers as sd
from host_tools.emulator.faults import CardFaults, Fault, PowerCut

_COMMAND_LENGTH = 6
_FRAME = BLOCK + 2  # a data block and its CRC16
_FOR_EVER = 1 << 62  # bytes clocked; no bus gets there


@dataclass(frozen=True)
class Timing:
    """Waits in bytes clocked (7.5.4). A pair is a range that is walked in a fixed order."""

    response: tuple[int, int] = (1, 3)  # N_CR, 1 to 8
    read_access: tuple[int, int] = (8, 40)  # N_AC, before the token of a block
    write_busy: tuple[int, int] = (4, 40)  # after an accepted block, and an erase
    stop_busy: tuple[int, int] = (1, 16)  # after CMD12 and the Stop Tran token
    initialisation: int = 3  # ACMD41s until the card is ready


USUAL = Timing()
# At 24 MHz: 1 to 10 ms to read, 10 to 100 ms to write. The specification lets a card take ten
# times as long to read and 2.5 times to write (4.6.2).
SLOW = Timing(response=(8, 8), read_access=(3_000, 30_000), write_busy=(30_000, 300_000),
              stop_busy=(30_000, 300_000), initialisation=50)


@dataclass
class Counters:
    """What went over the wires since the model was made."""

    commands: Counter[str] = field(default_factory=Counter)  # by name: "CMD17", "ACMD41"
    blocks_read: int = 0  # sent whole
    blocks_written: int = 0  # accepted and programmed
    multi_block_reads: int = 0
    multi_block_writes: int = 0
    bytes_clocked: int = 0  # while selected
    command_crc_errors: int = 0
    data_crc_errors: int = 0


class Transfer:
    """Moves bytes for a card; the subclass carries out the commands in `_execute`."""

    image: CardImage
    high_capacity: bool

    def __init__(self, timing: Timing, faults: CardFaults, undefined: int):
        self.timing = timing
        self.faults = faults
        self.undefined = undefined
        self.counters = Counters()
        self.present = True
        self._powered = True
        self._selected = False
        self._clocks = 0  # with chip select high since power-on
        self._waits = 0
        self._clear()

    def _clear(self) -> None:
        """Forget everything that is going on, as power-on and CMD0 make the card do."""
        self._command = bytearray()
        self._command_while_busy = False
        self._reply = b""
        self._reply_at = 0
        self._busy = 0  # bytes of it that are due after the reply
        self._crc_on = False  # 7.2.2
        self._status = 0  # second octet of R2
        self._block_length = BLOCK
        self._well_written = 0
        self._write_block = 0
        self._read_address = 0  # in octets
        self._end_transfer()

    def _end_transfer(self) -> None:
        self._reading = 0  # 17 or 18 while data is due to the host
        self._access_waited = False
        self._block_under_way = False
        self._halted = False  # reading, but nothing more comes
        self._token: int | None = None  # the start token that a write waits for
        self._block_in: bytearray | None = None  # a frame that is being received
        self._write_failed = False

    def _execute(self, frame: bytes) -> None:
        """A command of six octets has come in."""
        raise NotImplementedError

    # --- the bus ------------------------------------------------------------------------------

    def select(self, selected: bool) -> None:
        """Chip select. All of a command and its data belongs under one select (7.2)."""
        if self._selected and not selected and self.present:
            data_open = self._block_in is not None or self._token == sd.START_BLOCK
            if self._command or data_open or (self._reading and not self._halted):
                warnings.warn("SD: deselected within a command or a data block", stacklevel=2)
            self._command.clear()
            if data_open or self._reading:
                self._end_transfer()
            self._reply = b""
        self._selected = selected

    def transfer(self, byte: int) -> int:
        """Exchange one byte."""
        return self.transfer_bulk(bytes((byte,)))[0]

    def clocked_unselected(self, count: int) -> None:
        """`count` bytes were clocked while chip select was high; programming goes on (7.2.4)."""
        self._clocks += 8 * count
        self._pass_busy(count)

    def transfer_bulk(self, data: bytes) -> bytes:
        """Exchange many bytes; as many come back. Raises PowerCut when the power goes or is off."""
        if not self._powered:
            raise PowerCut("the card has no power")
        length = len(data)
        if not self._selected:
            self.clocked_unselected(length)
            return b"\xff" * length
        self.counters.bytes_clocked += length
        replies = []
        position = 0
        while position < length:
            if not self.present:
                replies.append(b"\xff" * (length - position))
                break
            reply = self._step(data, position)
            position += len(reply)
            replies.append(reply)
        return replies[0] if len(replies) == 1 else b"".join(replies)

    def _step(self, data: bytes, position: int) -> bytes:
        """Take in bytes from `position` up to the next that changes something; the reply."""
        if self._block_in is not None:
            piece = data[position : position + _FRAME - len(self._block_in)]
            self._block_in += piece
            if len(self._block_in) == _FRAME:
                self._block_received()
            return b"\xff" * len(piece)
        if self._command:
            piece = data[position : position + _COMMAND_LENGTH - len(self._command)]
            reply = self._output(len(piece))
            self._command += piece
            if len(self._command) == _COMMAND_LENGTH:
                frame = bytes(self._command)
                self._command.clear()
                self._execute(frame)
            return reply
        if data[position] != 0xFF:
            # Read before the reply: the card decides with what was so when the byte began.
            busy = self._busy > 0
            answering = self._reply_at < len(self._reply) and not self._reading
            reply = self._output(1)
            self._start(data[position], busy, answering)
            return reply
        idle = len(data) - position
        if data.count(b"\xff", position) != idle:
            idle -= len(data[position:].lstrip(b"\xff"))
        return self._output(idle)

    def _start(self, byte: int, busy: bool, answering: bool) -> None:
        """The first byte of a command, a token, or nonsense."""
        if answering:
            warnings.warn(f"SD: {byte:#04x} before the end of a response and one byte more "
                          "(N_RC, N_WR)", stacklevel=2)
        if byte & 0xC0 == 0x40:
            self._command.append(byte)
            self._command_while_busy = busy
        elif busy:
            warnings.warn(f"SD: {byte:#04x} while busy", stacklevel=2)
        elif byte == self._token:
            self._block_in = bytearray()
        elif byte == sd.STOP_TRAN and self._token == sd.START_BLOCK_MULTIPLE:
            self._end_transfer()
            self._answer(b"\xff", self._stop_wait())  # N_BR
        else:
            warnings.warn(f"SD: unexpected byte {byte:#04x}", stacklevel=2)

    # --- output -------------------------------------------------------------------------------

    def _answer(self, reply: bytes, busy: int = 0) -> None:
        self._reply = reply
        self._reply_at = 0
        self._busy = busy

    def _output(self, count: int) -> bytes:
        """The next `count` bytes on MISO, given that nothing comes in that matters."""
        end = self._reply_at + count
        if end < len(self._reply):  # most bytes of most transfers: no list, no join
            start, self._reply_at = self._reply_at, end
            return self._reply[start:end]
        parts = []
        while count:
            piece = self._reply[self._reply_at : self._reply_at + count]
            if piece:
                self._reply_at += len(piece)
                if self._block_under_way and self._reply_at == len(self._reply):
                    self._block_sent()
            elif self._busy:
                piece = b"\0" * min(count, self._busy)
                self._pass_busy(len(piece))
            elif self._reading and not self._halted and self.present:
                self._next_block()
            else:
                piece = b"\xff" * count
            parts.append(piece)
            count -= len(piece)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _pass_busy(self, count: int) -> None:
        self._busy = max(0, self._busy - count)

    def _wait(self, bounds: tuple[int, int]) -> int:
        """The next value of a range, in the same order in every run."""
        self._waits += 1
        low, high = bounds
        return low + self._waits * 7919 % (high - low + 1)

    def _busy_for(self, stall: Fault | None, bounds: tuple[int, int]) -> int:
        if stall is None:
            return self._wait(bounds)
        return _FOR_EVER if stall.clocks is None else stall.clocks

    def _stop_wait(self) -> int:
        return self._busy_for(self.faults.take("stall_stop", "stop"), self.timing.stop_busy)

    # --- reading (7.2.3) ----------------------------------------------------------------------

    def _next_block(self) -> None:
        """Wait N_AC, then send a block or an error token."""
        if not self._access_waited:
            self._access_waited = True
            self._answer(b"\xff" * self._wait(self.timing.read_access))
            return
        self._access_waited = False
        take = self.faults.take
        block, offset = divmod(self._read_address, BLOCK)
        if take("pull_read", block):
            self.present = False
        elif take("no_read_token", block):
            self._halted = True
        elif fault := take("error_token", block):
            self._send_error_token(fault.token)
        elif block >= self.image.block_count:
            # 4.3.3: a card may say so after the very last block; the host should ignore it.
            self._send_error_token(sd.TOKEN_OUT_OF_RANGE)
        else:
            length = BLOCK if self.high_capacity else self._block_length
            sent = data_frame(self.image.read_blocks(block)[offset : offset + length])
            fault = take("corrupt_read", block)
            if fault:
                sent = _flip(sent, fault.bit)
            self._answer(b"\xfe" + sent)
            self._block_under_way = True

    def _send_error_token(self, token: int) -> None:
        self._halted = True
        self._answer(bytes((token,)))
        for bit, status in sd.TOKEN_STATUS.items():
            if token & bit:
                self._status |= status

    def _block_sent(self) -> None:
        self._block_under_way = False
        self.counters.blocks_read += 1
        self._read_address += len(self._reply) - 3
        if self._reading == 17:
            self._end_transfer()

    # --- writing (7.2.4) ----------------------------------------------------------------------

    def _block_received(self) -> None:
        """A whole frame is in: check, program, give the data response (7.3.3.1)."""
        received = bytes(self._block_in)
        self._block_in = None
        block = self._write_block
        take = self.faults.take
        if take("pull_write", block):
            self.present = False
            return
        fault = take("corrupt_write", block)
        if fault:
            received = _flip(received, fault.bit)
        busy = 0
        response = sd.WRITE_ERROR
        if self._write_failed:
            pass  # 4.3.4: after an error further blocks are ignored until the transfer is stopped
        elif self._crc_on and binascii.crc_hqx(received, 0):
            self.counters.data_crc_errors += 1
            response = sd.DATA_CRC_ERROR
        elif block >= self.image.block_count:
            self._status |= sd.OUT_OF_RANGE
        elif self.faults.write_protected:
            self._status |= sd.WP_VIOLATION
        elif take("reject_write", block):
            self._status |= sd.ERROR
        else:
            response = sd.ACCEPTED
            busy = self._program(block, received[:BLOCK])
        self._write_failed = response != sd.ACCEPTED
        if self._token == sd.START_BLOCK:
            self._end_transfer()
        self._answer(bytes((response | self.undefined & 0xE0,)), busy)

    def _program(self, block: int, data: bytes) -> int:
        """Store a block whose CRC was accepted; how long the card is busy with it."""
        self.image.write_block(block, data)
        self._write_block += 1
        self._well_written += 1
        self.counters.blocks_written += 1
        cut = self.faults.take("power_cut", block)
        if cut:
            self.image.power_cut(cut.lose_last, cut.torn)
            self._powered = False
            raise PowerCut(f"at block {block}")
        return self._busy_for(self.faults.take("stall_block", block), self.timing.write_busy)


def data_frame(data: bytes) -> bytes:
    """`data` and its CRC16-CCITT, as a data token carries them (7.3.3.2)."""
    return data + binascii.crc_hqx(data, 0).to_bytes(2, "big")


def _flip(data: bytes, bit: int) -> bytes:
    """`data` with one bit inverted; bit 0 is the most significant of the first octet."""
    changed = bytearray(data)
    changed[bit >> 3] ^= 0x80 >> (bit & 7)
    return bytes(changed)
