"""`socket` for the Pico W's link in a lockstep run: the clients are scripts on the host.

Each call is one question over bus 7 (tests/bench/scripted_network.py). What it allocates is not
counted: lwIP has memory of its own.
"""

import io

import meter

SOL_SOCKET = 1
SO_REUSEADDR = 4
_POLL, _CLOSE = 3, 4


def getaddrinfo(host, port, *more):
    return [(2, 1, 0, "", (host, port))]


class socket(io.IOBase):
    def __init__(self, number=0):
        self._number = number
        self._port = 0

    def setsockopt(self, *option):
        pass

    def setblocking(self, blocking):
        pass

    def bind(self, address):
        self._port = address[1]

    def listen(self, backlog):
        pass

    def accept(self):
        if meter.knocking != self._port:
            raise OSError(11)
        meter.knocking = 0
        return socket(meter.ask(b"A")), ("192.168.77.20", 50_000)

    def readinto(self, buf):
        mark = meter.pause()
        count = meter.ask(b"R", self._number, len(buf))
        if count > 0:
            meter.spi.readinto(memoryview(buf)[:count])
        meter.resume(mark)
        return None if count < 0 else count

    def write(self, buf):
        mark = meter.pause()
        meter.ask(b"W", self._number, len(buf))
        meter.spi.write(buf)
        meter.resume(mark)
        return len(buf)

    def ioctl(self, request, argument):
        mark = meter.pause()
        result = -22
        if request == _POLL:
            if self._number:
                result = meter.ask(b"P", self._number) & argument
            else:
                result = int(meter.knocking == self._port) & argument
        elif request == _CLOSE:
            result = meter.ask(b"C", self._number) if self._number else 0
        meter.resume(mark)
        return result

    def close(self):
        self.ioctl(_CLOSE, 0)
