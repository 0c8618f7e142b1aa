"""An SD card as a block device for `vfs.VfsFat`, which never takes a failure for success.

    card = SdCard(machine.SPI(1, sck=..., mosi=..., miso=...), machine.Pin(13))
    vfs.mount(vfs.VfsFat(card), "/sd")          # mounting opens the card

Every command and block carries a CRC; a failed read or write is tried again after a reset of the
card and at half the clock, then raised. VfsFat lets an OSError of the device through as it is, to
whoever called `write`, `flush` or `close`; the return value of a sync it ignores. FatFs keeps what
it could not write marked dirty, in the one window that it has for all files; so it tries again at
the next `flush`, or at any other operation that needs the window, which then raises in turn.
Still, an exception means that the file's latest data may be incomplete.

The card programs while the caller goes on: `writeblocks` returns when the last block has been
accepted. The next operation, or the sync that `flush` ends with, waits for the card to finish and
asks for its status. If that shows that an accepted block was lost, FatFs' memory of the card is
wrong, and whose data it was is not known any more; so from then on everything raises, for every
file, until the card is opened again (`umount`, then mount). So it is when the card was pulled,
exchanged or without power, even when the same card is back: a PC may have written to it.

Source: SD Physical Layer Simplified Specification; a bare number is a section of it.
"""

import asyncio
from errno import EINVAL, EIO, ENODEV
from time import ticks_diff, ticks_ms

from micropython import const

from picopost.store.sd_bus import BLOCK, BUSY_MS, START_BLOCK, START_BLOCK_MULTIPLE, SdBus
from picopost.store.sd_identify import identify

_EROFS = const(30)
_TRIES = const(3)
_PATIENCE = const(4)  # a busy card is looked at when it has been busy for 1/16 longer
_SLOWEST = const(1_500_000)  # retries do not go below
_WP_VIOLATION = const(0x20)  # in R2
_LOST = (5, "SD: a write was lost")  # EIO


class SdCard:
    """A block device of 512-octet blocks on an SPI bus of its own.

    `baudrate` is the clock in bits a second that reading and writing start with. `cid` (16
    octets, 5.2) tells cards apart, `blocks` is the size, `high_capacity` tells SDHC and SDXC from
    SDSC. `blocks_read`, `blocks_written`, `retries` and `errors` count since the beginning;
    `last_error` is the text of the latest error, of one that a retry healed too.

    Methods raise OSError(errno, text): EIO and ETIMEDOUT for what failed three times, ENODEV when
    the card is not there or not the one that was opened, EROFS when it is write protected,
    EINVAL for what no block device is asked. They block the caller: 250 ms for a block that does
    not come, 500 ms for a card that stays busy, times three.
    """

    def __init__(self, spi, chip_select, *, baudrate=24_000_000):
        self.baudrate = self._full_baudrate = baudrate
        self.cid = None
        self.blocks = 0
        self.high_capacity = False
        self.write_protected = False
        self.blocks_read = self.blocks_written = self.retries = self.errors = 0
        self.last_error = None
        self._bus = SdBus(spi, chip_select)
        self._at = 0  # the block that is being read or written
        self._aborted = 0  # what SdBus.abort told of the last transfer that failed
        self._unsettled = False  # a write that the card was not yet asked about, from ...
        self._first = 0  # ... this block on, ...
        self._written_at = 0  # ... done at this time
        self._fault = (ENODEV, "SD: not opened")

    # --- the block protocol -------------------------------------------------------------------

    def readblocks(self, block, buf, offset=0):
        """Read `len(buf)` octets, a multiple of 512, from block number `block` on."""
        self._transfer(False, block, buf, offset)

    def writeblocks(self, block, buf, offset=0):
        """Write `buf`, a multiple of 512 octets, from block number `block` on."""
        self._transfer(True, block, buf, offset)

    def ioctl(self, operation, argument):
        """MicroPython's block device requests; the answer to an unknown one is -EINVAL."""
        if operation == 1:
            self.open()
        elif operation == 2:
            self.close()
        elif operation == 3:
            self.sync()
        elif operation == 4:
            return self.blocks
        elif operation == 5:
            return BLOCK
        elif operation != 6:  # an erase before writing is not needed
            return -EINVAL
        return 0

    # --- the card -----------------------------------------------------------------------------

    def open(self):
        """Initialise the card in the slot, whichever it is, at full clock.

        Raises what sync would, if a write was not synced: opening must not hide its loss.
        """
        if self._unsettled:
            self._settle()
        self.baudrate = self._full_baudrate
        self._bus.wake()
        self._bus.select()
        try:
            self._bus.wait_not_busy()  # a reset of the board does not stop a card's programming
        except OSError:
            pass  # CMD0 is what is left for it
        finally:
            self._bus.release()
        self._initialise()
        self._fault = None

    def close(self):
        """Sync; whatever is asked of the card afterwards raises until it is opened."""
        self.sync()
        self._fault = (ENODEV, "SD: not opened")

    def sync(self):
        """Wait until all that was written is on the card for good, or raise."""
        self._check()
        if self._unsettled:
            self._settle()

    def ready(self):
        """Whether the next operation need not wait for the card to finish an earlier write.

        Asks the card only while there is a write that it was still busy with when last looked at.
        """
        return not self._unsettled or not self._bus.busy or self._bus.looks_ready()

    async def wait_ready(self):
        """Let others run until what is written now is on the card for good, or raise."""
        mark = self.blocks_written
        while self._unsettled and self.blocks_written == mark:
            spent = ticks_diff(ticks_ms(), self._written_at)
            if self.ready() or spent >= BUSY_MS:
                self._settle()
            else:
                await asyncio.sleep_ms(1 + (spent >> _PATIENCE))
        self._check()

    # --- reading and writing ------------------------------------------------------------------

    # Here and in SdBus: a call whose variables, stack and handlers do not fit in eleven words
    # takes its frame from the heap. So what is called for each block is small.

    def _transfer(self, writing, block, buf, offset):
        if self._fault or self._unsettled:
            self.sync()
        if offset or len(buf) % BLOCK or block < 0 or block + len(buf) // BLOCK > self.blocks:
            raise OSError(EINVAL, f"SD: block {block}: {len(buf)} octets at offset {offset}")
        if writing and self.write_protected:
            raise OSError(_EROFS, "SD: the card is write protected")
        tries = _TRIES
        while buf:
            try:
                self._attempt(writing, block, buf)
                return
            except OSError as error:
                failure = error.args
            tries -= 1
            self._mend(writing, failure, tries)

    def _attempt(self, writing, block, buf):
        self._at = block
        self._bus.select()
        try:
            if writing:
                self._write(block, buf)
            else:
                self._read(block, buf)
        except OSError:
            self._aborted = self._bus.abort()
            raise
        finally:
            self._bus.release()

    def _read(self, block, buf):
        last = block + len(buf) // BLOCK - 1
        # 4.3.3: reading on past the last block is an error, which would be told after a write.
        multiple = block < last < self.blocks - 1
        if multiple:
            self._bus.start(18, self._address(block))
        while True:
            if not multiple:
                self._bus.start(17, self._address(self._at))
            self._bus.receive(buf, (self._at - block) * BLOCK, multiple and self._at == last)
            if self._at == last:
                break
            self._at += 1
        if multiple:
            self._bus.stop_reading()
        self.blocks_read += last + 1 - block

    def _write(self, block, buf):
        if len(buf) == BLOCK:
            self._bus.start(24, self._address(block))
            self._bus.send(START_BLOCK, buf)
        else:
            self._bus.start(25, self._address(block))
            self._write_all(buf)
            self._bus.stop_writing()
        self.blocks_written += len(buf) // BLOCK
        self._first = block
        self._written_at = ticks_ms()
        self._unsettled = True

    def _write_all(self, buf):
        bus = self._bus
        buf = memoryview(buf)
        at = 0
        while at < len(buf):
            if at:
                if bus.busy:
                    bus.wait_not_busy()
                self._at += 1
            bus.send(START_BLOCK_MULTIPLE, buf[at : at + BLOCK])
            at += BLOCK

    def _address(self, block):
        return block if self.high_capacity else block * BLOCK

    def _busy_left(self):
        return max(0, BUSY_MS - ticks_diff(ticks_ms(), self._written_at))

    def _settle(self):
        """Wait for the end of the last write and ask the card how it went (CMD13)."""
        bus = self._bus
        failure = None
        bus.select()
        try:
            if bus.busy:
                bus.wait_not_busy(self._busy_left())
            status = bus.status()
            if status:
                self._fault = _LOST  # it is told once, and the heap may have no room for the text
                failure = EIO, f"accepted, then status {status:#06x}"
        except OSError as error:
            failure = error.args
        finally:
            bus.release()
        self._unsettled = False
        if failure:
            self._lose(failure[0], f"SD: blocks {self._first} to {self._at}: {failure[1]}")

    # --- faults -------------------------------------------------------------------------------

    def _mend(self, writing, failure, tries):
        """Get the card ready for another try, or raise when it was the last."""
        self._note(f"SD: block {self._at}: {failure[1]}")
        self._restart()
        if writing and self._aborted & _WP_VIOLATION:
            raise OSError(_EROFS, f"SD: block {self._at}: write protected")
        if not tries:
            raise OSError(failure[0], self.last_error)
        self.retries += 1

    def _note(self, text):
        self.errors += 1
        self.last_error = text

    def _lose(self, code, text):
        """Nothing more goes to this card, or comes from it, until it is opened again."""
        self._fault = (code, text)
        self._note(text)
        raise OSError(code, text)

    def _check(self):
        if self._fault:
            raise OSError(*self._fault)

    def _restart(self):
        """Initialise the card anew, after an error, at half the clock."""
        cid = self.cid
        self.baudrate = max(self.baudrate // 2, _SLOWEST)
        self._bus.wake()
        self._initialise()
        if self.cid != cid:
            self._lose(ENODEV, "SD: another card is in the slot")
        if self._aborted < 0:
            self._lose(ENODEV, "SD: the card was pulled or lost power")

    def _initialise(self):
        tries = _TRIES
        while True:
            try:
                found = identify(self._bus)
                break
            except OSError as error:
                code, text = error.args
            tries -= 1
            if not tries or code == ENODEV:
                self._lose(code, "SD: " + text)
        self.cid, self.blocks, self.high_capacity, self.write_protected = found
        self._bus.clock(self.baudrate)
