"""An SD memory card in SPI mode, with the faults that cards have: the slot and the commands.

Source: SD Physical Layer Simplified Specification 4.10; a bare number in a comment is a section
of it, chapter 7 is the SPI mode. The data lines are in sd_transfer.py, the registers in
sd_registers.py, the blocks in ../card_image.py, the faults in ../faults.py.
"""

from __future__ import annotations

import warnings

from host_tools.emulator.card_image import BLOCK, CardImage
from host_tools.emulator.chips import sd_registers as sd
from host_tools.emulator.chips.sd_transfer import SLOW, USUAL, Timing, Transfer, data_frame
from host_tools.emulator.faults import CardFaults

__all__ = ["SLOW", "USUAL", "SDCard", "Timing"]

_POWER_UP_CLOCKS = 74  # 6.4.1
# 7.2.1 and 4.3.9: what a card answers that is still idle.
_WHILE_IDLE = frozenset(("CMD0", "CMD1", "CMD8", "CMD55", "ACMD41", "CMD58", "CMD59"))
# 4.8, table 4-35: what a card answers while it sends blocks, and while it waits for them. CMD13
# is not among the former here: its R2 would have to share MISO with the data.
_WHILE_READING = frozenset(("CMD0", "CMD12"))
_WHILE_WRITING = frozenset(("CMD0", "CMD12", "CMD13"))
# What may stand between the three commands of an erase (4.3.5).
_IN_ERASE = frozenset(("CMD13", "CMD32", "CMD33", "CMD38"))


class SDCard(Transfer):
    """One card slot with a card in it, powered and in SD mode until 74 clocks and CMD0.

    `high_capacity`: SDHC, addressed by block; otherwise standard capacity, addressed by octet.
    `version` 1 (standard capacity only) does not know CMD8. `serial` is in the CID.
    `undefined` is sent where bits are open: the upper three of the data response (7.3.3.1), the
    stuff byte after CMD12 (7.2.3). Cards differ there, and 0x00 makes the latter look like R1.
    Access that the specification does not allow is warned of and answered as a card would.
    Raises PowerCut from `transfer` and `transfer_bulk` at a scheduled power cut and from then
    on until `power_on()`; ValueError when no card can have the size of `image`.
    """

    def __init__(self, image: CardImage, *, high_capacity: bool = True, version: int = 2,
                 serial: int = 1, timing: Timing = USUAL, faults: CardFaults | None = None,
                 undefined: int = 0xFF):
        super().__init__(timing, faults or CardFaults(), undefined)
        self.high_capacity = high_capacity
        self.version = version
        self.insert(image, serial)

    # --- the slot -----------------------------------------------------------------------------

    def insert(self, image: CardImage | None = None, serial: int | None = None) -> None:
        """Put a card in: the one that was there, or another with its own image and serial."""
        if image is not None:
            sd.csd(image.block_count, self.high_capacity, False)  # or ValueError
            self.image = image
        if serial is not None:
            self.serial = serial
        self.present = True
        self.power_on()

    def remove(self) -> None:
        """Pull the card out: MISO floats high and nothing answers."""
        self.present = False

    def power_on(self) -> None:
        """Power comes (back): the card knows nothing of what was before."""
        self._powered = True
        self._spi_mode = False
        self._clocks = 0
        self._reset()

    def _reset(self) -> None:
        """What power-on and CMD0 do."""
        self._clear()
        self._idle = True
        self._host_knows_version_2 = False
        self._acmd41_left = self.timing.initialisation
        self._app_command = False
        self._late_r1 = 0  # R1 bits that wait for the next response
        self._erase_first: int | None = None
        self._erase_last: int | None = None

    # --- commands (7.3.1) ---------------------------------------------------------------------

    def _execute(self, frame: bytes) -> None:
        index = frame[0] & 0x3F
        name = f"CMD{index}"
        crc_right = frame[5] == sd.crc7(frame[:5])
        if self._command_while_busy and not (index == 0 and crc_right):
            warnings.warn(f"SD: {name} while busy", stacklevel=2)  # 7.2.4: rejected
            return
        if not self._spi_mode and (
                index != 0 or not crc_right or self._clocks < _POWER_UP_CLOCKS):
            # In SD mode there is no answer on this line, and none at all to a wrong CRC (7.2.2).
            warnings.warn(f"SD: {name} before SPI mode, after {self._clocks} clocks, "
                          f"CRC {'right' if crc_right else 'wrong'}", stacklevel=2)
            return
        if self._app_command and f"A{name}" in _HANDLERS:
            name = f"A{name}"
        self._app_command = False
        self.counters.commands[name] += 1
        if self.faults.take("pull_command", name):
            self.remove()
            return
        if self._halted and self._reading == 17:
            self._end_transfer()  # a single read that brings no block is over with any command
        if (self._crc_on or index == 8) and not crc_right:
            self.counters.command_crc_errors += 1
            self._refuse(name, sd.CRC_ERROR)
        elif not self._allowed(name):
            if name != "CMD8":  # which is how a host finds out about the version
                warnings.warn(f"SD: {name} is not known, or not allowed now", stacklevel=2)
            self._refuse(name, sd.ILLEGAL)
        else:
            if name not in _IN_ERASE and self._erase_first is not None:
                self._erase_first = self._erase_last = None
                self._late_r1 |= sd.ERASE_RESET
            _HANDLERS[name](self, name, int.from_bytes(frame[1:5], "big"))

    def _allowed(self, name: str) -> bool:
        if name not in _HANDLERS or (name == "CMD8" and self.version == 1):
            return False
        if self._reading:
            return name in _WHILE_READING
        if self._token is not None:
            return name in _WHILE_WRITING
        if self._idle:
            return name in _WHILE_IDLE
        return name != "CMD12"

    def _refuse(self, name: str, r1: int) -> None:
        """Answer with an error; while MISO carries data the next response has to tell it."""
        if self._reading and not self._halted:
            self._late_r1 |= r1
        else:
            self._respond(name, r1)

    def _respond(self, name: str, r1: int = 0, more: bytes = b"", busy: int = 0) -> None:
        """R1 after N_CR, then the rest of the response; one byte of 0xFF has to follow it."""
        r1 |= self._late_r1 | (sd.IDLE if self._idle else 0)
        self._late_r1 = 0
        response = bytes((r1,)) + more
        fault = self.faults.take("corrupt_response", name)
        if fault:
            response = (b"\xff" * len(response) if fault.mask is None
                        else bytes((r1 ^ fault.mask,)) + more)
        wait = b"\xff" * self._wait(self.timing.response)
        if name == "CMD12":
            wait = bytes((self.undefined,)) + wait  # the stuff byte
        gap = b"" if self._reading or busy else b"\xff"
        self._answer(wait + response + gap, busy)

    def _respond_register(self, name: str, register: bytes) -> None:
        wait = b"\xff" * self._wait(self.timing.response)  # N_CX
        self._respond(name, 0, wait + b"\xfe" + data_frame(register))

    def _go_idle_state(self, name: str, argument: int) -> None:
        self._spi_mode = True
        self._reset()
        self._respond(name)

    def _send_op_cond(self, name: str, argument: int) -> None:
        """CMD1 and ACMD41 (7.2.1): high capacity needs CMD8 before and HCS in the argument."""
        host_fits = not self.high_capacity or (
            self._host_knows_version_2 and argument & sd.OCR_CCS)
        # HCS is looked at in the first ACMD41 only.
        if host_fits or self._acmd41_left < self.timing.initialisation:
            self._acmd41_left -= 1
            self._idle = self._acmd41_left > 0
        self._respond(name)

    def _send_if_cond(self, name: str, argument: int) -> None:
        """7.3.1.4: the check pattern and the voltage are echoed, the latter if supported."""
        self._host_knows_version_2 = True
        voltage = argument >> 8 & 0x0F
        self._respond(name, 0, bytes((0, 0, voltage if voltage == 1 else 0, argument & 0xFF)))

    def _send_csd(self, name: str, argument: int) -> None:
        self._respond_register(name, sd.csd(self.image.block_count, self.high_capacity,
                                            self.faults.write_protected))

    def _send_cid(self, name: str, argument: int) -> None:
        self._respond_register(name, sd.cid(self.serial))

    def _send_num_wr_blocks(self, name: str, argument: int) -> None:
        self._respond_register(name, self._well_written.to_bytes(4, "big"))

    def _stop_transmission(self, name: str, argument: int) -> None:
        self._end_transfer()
        self._respond(name, busy=self._stop_wait())

    def _send_status(self, name: str, argument: int) -> None:
        status, self._status = self._status, 0  # 7.3.4: cleared by reading
        self._respond(name, 0, bytes((status,)))

    def _set_blocklen(self, name: str, argument: int) -> None:
        """Counts for reads of a standard capacity card only (7.3.1.3)."""
        if 1 <= argument <= BLOCK:
            self._block_length = argument
            self._respond(name)
        else:
            self._respond(name, sd.PARAMETER)

    def _read_blocks(self, name: str, argument: int) -> None:
        address = self._address(name, argument, self._block_length)
        if address is not None:
            self._reading = 17 if name == "CMD17" else 18
            self.counters.multi_block_reads += name == "CMD18"
            self._read_address = address
            self._respond(name)

    def _write_blocks(self, name: str, argument: int) -> None:
        if not self.high_capacity and self._block_length != BLOCK:  # WRITE_BL_PARTIAL is 0
            self._respond(name, sd.PARAMETER)
            return
        address = self._address(name, argument, BLOCK)
        if address is not None:
            self._token = sd.START_BLOCK if name == "CMD24" else sd.START_BLOCK_MULTIPLE
            self.counters.multi_block_writes += name == "CMD25"
            self._write_block = address // BLOCK
            self._well_written = 0
            self._respond(name)

    def _address(self, name: str, argument: int, length: int) -> int | None:
        """The argument as an octet address; None when it has been answered with an error."""
        address = argument * BLOCK if self.high_capacity else argument
        if address >= self.image.block_count * BLOCK:
            self._status |= sd.OUT_OF_RANGE
            self._respond(name, sd.PARAMETER)
        elif not self.high_capacity and address % BLOCK + length > BLOCK:
            self._respond(name, sd.ADDRESS)
        else:
            return address
        return None

    def _erase_start(self, name: str, argument: int) -> None:
        self._erase_last = None
        self._erase_first = self._address(name, argument, BLOCK)
        if self._erase_first is not None:
            self._respond(name)

    def _erase_end(self, name: str, argument: int) -> None:
        if self._erase_first is None:
            self._respond(name, sd.ERASE_SEQUENCE)
            return
        self._erase_last = self._address(name, argument, BLOCK)
        if self._erase_last is not None:
            self._respond(name)

    def _erase(self, name: str, argument: int) -> None:
        """7.2.5; erased blocks read as zeros."""
        first, last = self._erase_first, self._erase_last
        self._erase_first = self._erase_last = None
        if first is None or last is None:
            self._respond(name, sd.ERASE_SEQUENCE)
            return
        if last < first:
            self._status |= sd.ERASE_PARAM
        elif self.faults.write_protected:
            self._status |= sd.WP_VIOLATION
        else:
            self.image.erase(first // BLOCK, last // BLOCK)
        self._respond(name, busy=self._wait(self.timing.write_busy))

    def _app_cmd(self, name: str, argument: int) -> None:
        self._app_command = True
        self._respond(name)

    def _read_ocr(self, name: str, argument: int) -> None:
        ocr = sd.OCR_VOLTAGES
        if not self._idle:
            ocr |= sd.OCR_READY | (sd.OCR_CCS if self.high_capacity else 0)
        self._respond(name, 0, ocr.to_bytes(4, "big"))

    def _crc_on_off(self, name: str, argument: int) -> None:
        self._crc_on = bool(argument & 1)
        self._respond(name)

    def _set_wr_blk_erase_count(self, name: str, argument: int) -> None:
        """A hint. Blocks announced and not written keep their content, which 4.3.4 allows."""
        self._respond(name)


_HANDLERS = {
    "CMD0": SDCard._go_idle_state,
    "CMD1": SDCard._send_op_cond,
    "CMD8": SDCard._send_if_cond,
    "CMD9": SDCard._send_csd,
    "CMD10": SDCard._send_cid,
    "CMD12": SDCard._stop_transmission,
    "CMD13": SDCard._send_status,
    "CMD16": SDCard._set_blocklen,
    "CMD17": SDCard._read_blocks,
    "CMD18": SDCard._read_blocks,
    "CMD24": SDCard._write_blocks,
    "CMD25": SDCard._write_blocks,
    "CMD32": SDCard._erase_start,
    "CMD33": SDCard._erase_end,
    "CMD38": SDCard._erase,
    "CMD55": SDCard._app_cmd,
    "CMD58": SDCard._read_ocr,
    "CMD59": SDCard._crc_on_off,
    "ACMD22": SDCard._send_num_wr_blocks,
    "ACMD23": SDCard._set_wr_blk_erase_count,
    "ACMD41": SDCard._send_op_cond,
}
