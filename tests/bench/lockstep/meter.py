"""What a lockstep run measures inside the VM, and how it tells the host.

Loaded before the firmware: it puts SPI and Pin of its own into `machine`, which let the clock of
`time` pass and keep what the emulation allocates out of the count.
"""

import struct
import time

import machine
from micropython import mem_total

_FRAME = "<BBHIqqqq"  # what, number, 0, value, allocated, polls, turns, calls
_CALL_US = 30  # of an SPI call on an RP2040, 15 to 50 measured, whatever its length

_excluded = 0  # allocated octets that no board would allocate
polls = 0  # of the W5500's news
turns = 0  # of the asyncio loop: steps of tasks
calls = 0  # in firmware that was instrumented for it (tests/bench/work.py)
knocking = 0  # the port of the client that waits to be accepted

_Pin = machine.Pin
_SPI = machine.SPI


def pause():
    """What is allocated from here to `resume` is the emulation's; returns a mark for it."""
    return mem_total() - _excluded


def resume(mark):
    global _excluded
    _excluded = mem_total() - mark


class Pin(_Pin):
    def value(self, level=None):
        mark = mem_total() - _excluded
        result = _Pin.value(self) if level is None else _Pin.value(self, level)
        resume(mark)
        return result

    __call__ = value


class SPI(_SPI):
    def init(self, baudrate=1000000, **more):
        self._ns = 8_000_000_000 // baudrate  # an octet
        _SPI.init(self, baudrate, **more)

    def _pass(self, mark, octets):
        time.pass_us(_CALL_US + octets * self._ns // 1000)
        resume(mark)

    def write(self, buf):
        mark = mem_total() - _excluded
        _SPI.write(self, buf)
        self._pass(mark, len(buf))

    def readinto(self, buf, write=0):
        mark = mem_total() - _excluded
        _SPI.readinto(self, buf, write)
        self._pass(mark, len(buf))

    def write_readinto(self, write_buf, read_buf):
        mark = mem_total() - _excluded
        _SPI.write_readinto(self, write_buf, read_buf)
        self._pass(mark, len(read_buf))


machine.Pin = Pin
machine.SPI = SPI

spi = _SPI(7)  # to the host's script, beside the board's own buses
_Pin(0, _Pin.OUT, value=0)  # which is always selected
_frame = bytearray(struct.calcsize(_FRAME))
_reply = bytearray(len(_frame))


def _exchange(what, number, value, mark):
    struct.pack_into(_FRAME, _frame, 0, what[0], number, 0, value, mark, polls, turns, calls)
    spi.write_readinto(_frame, _reply)
    return struct.unpack_from("<i", _reply)[0]


def ask(what, number=0, value=0):
    """One question to the script on the host; returns its answer, a number."""
    # A call with so many arguments and variables takes room of the heap: it is the inner one.
    mark = mem_total() - _excluded
    answer = _exchange(what, number, value, mark)
    resume(mark)
    return answer
