"""An SD card's SPI mode, one step on the wire a method (SD Physical Layer Simplified Specification,
chapter 7; a bare section number in a comment is a section of it).

Every SPI call costs 15 to 50 us on the board, a hundred octets of transfer, so that a step is one
call where it can be: a command and its response are exchanged at once; a data block goes out with
its token, its CRC, its response and a look whether the card is busy; one comes in together with
the first octets behind it, where the next one's token may be. All steps work in one buffer, leave
no garbage, and end with the eight clocks that a card wants behind all that it says (4.4).

What is not as it should be raises OSError(errno, text).
"""

from errno import EIO, ENODEV, ETIMEDOUT
from struct import pack_into
from time import ticks_add, ticks_diff, ticks_ms

from micropython import const

try:
    from picopost.store.crc_viper import crc7, crc16
except ImportError:  # no native code on this machine
    from picopost.store.crc import crc7, crc16

BLOCK = const(512)
START_BLOCK = const(0xFE)  # 7.3.3.2: of every block read, and of one written by CMD24
START_BLOCK_MULTIPLE = const(0xFC)  # of a block written by CMD25
BUSY_MS = const(500)  # 4.6.2.2: 250 ms, 500 ms for SDXC

_HEAD = const(21)  # an idle octet, the command's 6, N_CR of at most 8 (7.5.4), R3's 5, one more
_SENT = const(516)  # an idle octet (N_WR), token, 512 of data, CRC16; the data response is next
_OUT = const(537)  # the response, and 20 octets of looking at busy: 7 us at 24 MHz
_IDLE = b"\xff" * (_OUT - _SENT)
_STOP = b"\xfd" + b"\xff" * (_HEAD - 1)  # 7.3.3.2: Stop Tran; an octet later the card is busy
_LONG_LOOK = const(128)  # at 24 MHz as long as a call takes: a busy card is polled so
_IDENTIFICATION_BAUDRATE = const(400_000)  # 6.4.1
_READ_MS = const(250)  # 4.6.2.1 gives a card 100 ms; cheap cards take more


class SdBus:
    """One card on its own `machine.SPI` bus behind `chip_select`, a `machine.Pin`.

    `busy` tells whether the card was still busy with what was written when it was looked at last;
    `stuck` tells that the card was still busy at its deadline: only CMD0 may end that.
    """

    def __init__(self, spi, chip_select):
        self.busy = False
        self.stuck = False
        self._spi = spi
        self._chip_select = chip_select
        self._command = bytearray(b"\xff" * _HEAD)
        self._frame = bytearray(_HEAD + BLOCK + 2 + _HEAD)
        self._view = view = memoryview(self._frame)
        self._head = view[:_HEAD]
        self._out = view[:_OUT]
        self._long_look = view[:_LONG_LOOK]
        # Where the token stands in the head decides how much of its block is still to come; what
        # follows the block is the next one's head.
        self._rest = [view[_HEAD : at + 3 + BLOCK + _HEAD] for at in range(_HEAD)]
        self._data = [view[at + 1 : at + 1 + BLOCK] for at in range(_HEAD)]
        self._next = [view[at + 3 + BLOCK : at + 3 + BLOCK + _HEAD] for at in range(_HEAD)]
        self._response_at = 0
        self._open = 0  # the data command that the card may still be busy with
        chip_select.init(chip_select.OUT, value=1)

    def wake(self):
        """Give an unselected card the 74 slow clocks that it needs after power-on (6.4.1)."""
        self.clock(_IDENTIFICATION_BAUDRATE)
        self._chip_select(1)
        self._spi.readinto(self._head, 0xFF)

    def clock(self, baudrate):
        self._spi.init(baudrate=baudrate)

    def select(self):
        self._chip_select(0)

    def release(self):
        """Deselect. The card lets go of MISO with the next clocks; nobody else is on the bus."""
        self._chip_select(1)

    def exchange(self, index, argument):
        """Send a command to the selected card and return its R1 (7.3.2.1)."""
        command = self._command
        pack_into(">BI", command, 1, 0x40 | index, argument)
        command[6] = crc7(command, 1) << 1 | 1
        self._spi.write_readinto(command, self._head)
        at = 8 if index == 12 else 7  # CMD12: a stuff byte, which may look like a response
        while self._frame[at] >= 0x80:
            if at == _HEAD - 6 + (index == 12):
                raise OSError(ETIMEDOUT, f"CMD{index}: no response")
            at += 1
        self._response_at = at
        return self._frame[at]

    def command(self, index, argument):
        """Select, send a command that moves no data, deselect; return R1."""
        self.select()
        try:
            return self.exchange(index, argument)
        finally:
            self.release()

    def word(self):
        """The 32 bits behind the last R1 (R3 and R7, 7.3.2.4)."""
        at = self._response_at + 1
        return int.from_bytes(self._frame[at : at + 4], "big")

    def status(self):
        """Both octets of CMD13's R2 (7.3.2.3): 0 is a card without complaints.

        Reading clears the error bits: what is lost here is not told again.
        """
        return self.exchange(13, 0) << 8 | self._frame[self._response_at + 1]

    def start(self, index, argument):
        """Send a command that moves data; anything but a clean R1 raises."""
        self._open = index
        response = self.exchange(index, argument)
        if response:
            raise OSError(EIO, f"CMD{index}: R1 {response:#04x}")

    def receive(self, buf, offset, last):
        """Read the next block to `buf[offset:]`, which stays as it is when that fails.

        What the card says behind the block is read with it, the next one's token perhaps; not
        behind the last of several: what a card meets there would be told after a later write.

        It may be FatFs' window on the card: an exception passes FatFs by, which goes on to think
        that its window holds what it held before, and may write it back.
        """
        at = self._await_token()
        self._spi.readinto(self._view[_HEAD : at + 3 + BLOCK] if last else self._rest[at], 0xFF)
        if self._open == 17:
            self._open = 0
        if crc16(self._frame, 0, at + 1, BLOCK) != self._word(at + 1 + BLOCK):
            raise OSError(EIO, "CRC error in the block read")
        buf[offset : offset + BLOCK] = self._data[at]
        self._head[:] = self._next[at]
        self._response_at = -1

    def read_register(self, index):
        """The 16 octets of the CSD (CMD9) or CID (CMD10) register."""
        self.select()
        try:
            self.start(index, 0)
            at = self._await_token()
            frame = self._frame
            end = at + 1 + 16 + 2
            if end >= _HEAD:
                self._spi.readinto(self._view[_HEAD : end + 1], 0xFF)
        finally:
            self.release()
        if crc16(frame, 0, at + 1, 16) != self._word(end - 2):
            raise OSError(EIO, f"CMD{index}: CRC error in the register")
        return bytes(frame[at + 1 : end - 2])

    def _word(self, at):
        return self._frame[at] << 8 | self._frame[at + 1]

    def send(self, token, block):
        """Write `block`, 512 octets; when the card has accepted it `busy` tells how it goes on."""
        frame = self._frame
        frame[0] = 0xFF
        frame[1] = token
        frame[2 : 2 + BLOCK] = block
        code = crc16(frame, 0, 2, BLOCK)
        frame[_SENT - 2] = code >> 8
        frame[_SENT - 1] = code & 0xFF
        frame[_SENT:_OUT] = _IDLE
        self._spi.write_readinto(self._out, self._out)
        code = frame[_SENT] & 0x1F  # 7.3.3.1
        if code & 0x11 == 0x01 and self._open == 24:
            self._open = 0
        if code != 0x05:
            raise OSError(EIO, _complaint(code, frame[_SENT]))
        self.busy = frame[_OUT - 1] != 0xFF

    def _await_token(self):
        """Find the next block's token in the head and return where; data follows it at once."""
        start = self._response_at + 1  # what was exchanged last may have brought it already
        deadline = None
        while True:
            at = self._frame.find(b"\xfe", start, _HEAD)
            if at >= 0:
                return at
            self._look_for_error(start)
            if deadline is None:
                deadline = ticks_add(ticks_ms(), _READ_MS)
            elif ticks_diff(deadline, ticks_ms()) <= 0:
                raise OSError(ETIMEDOUT, f"no data within {_READ_MS} ms")
            self._spi.readinto(self._head, 0xFF)
            start = 0

    def _look_for_error(self, start):
        frame = self._frame
        if frame.count(b"\xff", start, _HEAD) != _HEAD - start:
            for at in range(start, _HEAD):
                if frame[at] != 0xFF:  # 7.3.3.3
                    raise OSError(EIO, f"data error token {frame[at]:#04x}")

    def wait_not_busy(self, limit=BUSY_MS):
        """Clock the selected card until it lets MISO rise, for `limit` milliseconds at most."""
        deadline = None
        self._spi.readinto(self._head, 0xFF)
        last = _HEAD - 1
        while self._frame[last] != 0xFF:
            if deadline is None:
                deadline = ticks_add(ticks_ms(), limit)
            elif ticks_diff(deadline, ticks_ms()) <= 0:
                self.stuck = True
                raise OSError(ETIMEDOUT, f"busy for more than {BUSY_MS} ms")
            self._spi.readinto(self._long_look, 0xFF)
            last = _LONG_LOOK - 1
        self.busy = False

    def looks_ready(self):
        """One short look whether the card is still busy with what was written."""
        self.select()
        self._spi.readinto(self._head, 0xFF)
        self.release()
        self.busy = self._frame[_HEAD - 1] != 0xFF
        return not self.busy

    def stop_reading(self):
        """End CMD18; its R1 may complain of what lies behind the last block (4.3.3)."""
        self.exchange(12, 0)
        self._open = 0
        if self._frame[_HEAD - 1] != 0xFF:
            self.wait_not_busy()

    def stop_writing(self):
        """End CMD25 when its last block was accepted; the card may be busy then."""
        if self.busy:
            self.wait_not_busy()
        self._spi.write_readinto(_STOP, self._head)
        self._open = 0
        self.busy = self._frame[_HEAD - 1] != 0xFF

    def abort(self):
        """Get the selected card out of a transfer that failed, and its status (R2).

        0 from a card that is stuck; -1 when it does not answer: it is gone, or has been without
        power and waits for CMD0.
        """
        try:
            self._spi.readinto(self._frame, 0xFF)  # the rest of a block, whichever way it goes
            if self._open in (24, 25) and not self.stuck:
                self.wait_not_busy()
            if self._open and not self.stuck:
                self.exchange(12, 0)  # 7.3.3.1: after an error CMD12, not the stop token
                self.wait_not_busy()
        except OSError:
            pass  # CMD13 tells more
        if self.stuck:
            return 0
        for _ in range(2):
            try:
                return self.status()
            except OSError:
                pass  # said by -1
        return -1

    def reset(self):
        """CMD0: to SPI mode and idle state (7.2.1). OSError when nobody answers as a card would."""
        self.stuck = False
        for _ in range(4):
            try:
                if self.command(0, 0) == 1:
                    return
            except OSError:
                pass  # said below, once
            self.select()
            self._spi.readinto(self._frame, 0xFF)  # it may be in a block that nobody ended
            self.release()
        raise OSError(ENODEV, "no card answers")


def _complaint(code, response):
    """What is wrong with a data response."""
    if code == 0x0B:
        return "CRC error in the block written (0x0B)"
    if code == 0x0D:
        return "write rejected (0x0D)"
    return f"no data response ({response:#04x})"
