"""`machine` as MicroPython's rp2 port has it, for firmware that runs in the VM.

It shadows the VM's own `machine` by standing earlier on its path. Pins and SPI go over the
inherited file descriptor PICOPOST_EMULATOR_FD to the chip models (host_tools/emulator/
channel.py, which describes the frames). Outputs are pipelined, inputs are one round trip.
"""

import os
import struct
import time

_HEADER = "<BBHI"  # operation, number of the bus or pin, value, length
_COPY = 56  # up to here header and data travel in one write

_link = open(int(os.getenv("PICOPOST_EMULATOR_FD")), "r+b")
_frame = bytearray(8 + _COPY)
_header = memoryview(_frame)[:8]
_reply = bytearray(1)

PWRON_RESET = 1
WDT_RESET = 3

# Of the start before: "reset" (machine.reset), "watchdog", or nothing (the power came).
_cause = os.getenv("PICOPOST_RESET_CAUSE")
_overdue = _cause == "watchdog"


def _send(operation, number, value=0, length=0):
    struct.pack_into(_HEADER, _frame, 0, operation, number, value, length)
    _link.write(_header)


def _send_data(operation, number, data):
    length = len(data)
    struct.pack_into(_HEADER, _frame, 0, operation, number, 0, length)
    if length <= _COPY:
        _frame[8 : 8 + length] = data
        _link.write(memoryview(_frame)[: 8 + length])
    else:
        _link.write(_header)
        _link.write(data)


def _receive(buf):
    if _link.readinto(buf) != len(buf):
        raise SystemExit(1)  # the emulator is gone, and with it all chips


def ask(operation, number=0, value=0):
    """One round trip that answers one byte; used by the emulated `network` too."""
    _send(operation, number, value)
    _receive(_reply)
    return _reply[0]


class Pin:
    IN = 0
    OUT = 1
    OPEN_DRAIN = 2
    PULL_UP = 1
    PULL_DOWN = 2
    IRQ_RISING = 8
    IRQ_FALLING = 4

    def __init__(self, id, mode=-1, pull=-1, *, value=None, alt=31):
        self._number = 25 if id == "LED" else id  # the Pico W's LED hangs on its radio chip
        self._level = 0
        self._output = mode in (Pin.OUT, Pin.OPEN_DRAIN)
        if value is not None:
            self.value(value)

    def init(self, mode=-1, pull=-1, *, value=None, alt=31):
        self.__init__(self._number, mode, pull, value=value)

    def value(self, *level):
        if level:
            self._level = 1 if level[0] else 0
            _send(0x50, self._number, self._level)  # P
            return None
        if self._output:
            return self._level
        return ask(0x47, self._number)  # G

    __call__ = value

    def on(self):
        self.value(1)

    def off(self):
        self.value(0)

    high = on
    low = off

    def toggle(self):
        self.value(not self._level)

    def __repr__(self):
        return f"Pin(GPIO{self._number})"


class SPI:
    MSB = 0
    LSB = 1

    def __init__(self, id, baudrate=1000000, *, polarity=0, phase=0, bits=8, firstbit=0,
                 sck=None, mosi=None, miso=None):
        self._id = id
        self.init(baudrate, polarity=polarity, phase=phase, bits=bits, firstbit=firstbit)

    def init(self, baudrate=1000000, *, polarity=0, phase=0, bits=8, firstbit=0,
             sck=None, mosi=None, miso=None):
        if polarity or phase or bits != 8 or firstbit:
            raise NotImplementedError("the chip models speak SPI mode 0, 8 bits, MSB first")
        _send(0x49, self._id, 0, baudrate)  # I

    def deinit(self):
        pass

    def write(self, buf):
        _send_data(0x57, self._id, buf)  # W

    def readinto(self, buf, write=0):
        _send(0x52, self._id, write, len(buf))  # R
        _receive(buf)

    def read(self, nbytes, write=0):
        buf = bytearray(nbytes)
        self.readinto(buf, write)
        return bytes(buf)

    def write_readinto(self, write_buf, read_buf):
        if len(write_buf) != len(read_buf):
            raise ValueError("buffers must be the same length")
        _send_data(0x58, self._id, write_buf)  # X
        _receive(read_buf)


class RTC:
    """The VM's clock is the host's, which is set."""

    def __init__(self, id=0):
        pass

    def datetime(self, *args):
        if args:
            return None
        year, month, day, hour, minute, second, weekday, _ = time.gmtime()[:8]
        return (year, month, day, weekday, hour, minute, second, 0)


class Timer:
    """Calls once and never again: nothing interrupts the VM."""

    ONE_SHOT = 0
    PERIODIC = 1

    def __init__(self, id=-1, *, mode=PERIODIC, freq=-1, period=-1, callback=None):
        if callback:
            callback(self)

    def deinit(self):
        pass


class _Registers:
    """mem32, as far as picopost uses it: the watchdog's (RP2040 datasheet 4.7.6)."""

    def __getitem__(self, address):
        if address != 0x40058008:  # REASON
            raise NotImplementedError(hex(address))
        return 1 if _overdue else 0

    def __setitem__(self, address, value):
        if (address, value) != (0x4005B000, 1 << 30):  # CTRL's ENABLE, cleared
            raise NotImplementedError(hex(address))
        _send(0x44, 2)


mem32 = _Registers()


class WDT:
    """Feeds are counted by the host; it, not the VM, knows when one is overdue."""

    def __init__(self, id=0, timeout=5000):
        _send(0x44, 0, timeout if timeout < 65536 else 65535)  # D

    def feed(self):
        _send(0x44, 1)


def unique_id():
    return b"\xe6\x61\x64\x08\x43\x2d\x2b\x2a"


def reset():
    _send(0x5A, 0)  # Z
    raise SystemExit(0)


soft_reset = reset


def bootloader(timeout=0):
    _send(0x5A, 1)
    raise SystemExit(0)


def reset_cause():
    return WDT_RESET if _cause else PWRON_RESET


def freq(hz=None):
    return 125_000_000
