"""lwIP's sockets as MicroPython's rp2 images have them (1.28, 1.29), around the VM's own: how much
they keep, how many there are, and where they would hold up everybody.

Not in use unless a main puts them in the others' place, before the firmware is loaded:

    import socket, lwip_sockets
    socket.socket = lwip_sockets.socket

The VM's sockets take megabytes, and what a peer has acknowledged is not to be learnt from them. So
each connection is given the smallest buffer that Linux has, and what does not fit into that counts
as unacknowledged here, up to TCP_SND_BUF; its room is taken from one memory for all. `waits` counts
the writes that would have waited inside C; each is printed too, as is a write through the pointer
that a reset has left NULL. The host sees what is printed as events, so tests see it.
"""

import asyncio
import errno
import io
import select
import time

from micropython import const
from usocket import socket as _Socket

_SOL_SOCKET, _SO_SNDBUF = const(1), const(7)
_SOCK_STREAM = const(1)
_POLL, _CLOSE = const(3), const(4)
_READ, _WRITE = const(1), const(4)
_PUMP = const(2)  # ms between two looks whether the kernel takes more

# ports/rp2/lwip_inc/lwipopts.h, extmod/lwip-include/lwipopts_common.h and lwIP's opt.h.
MEMP_NUM_TCP_PCB = 5
MEMP_NUM_TCP_SEG = 32
TCP_MSS = 800
TCP_SND_BUF = 8 * TCP_MSS
MEM_SIZE = 8000
# What it always has in there (DHCP, mDNS), and what a segment takes beside its text.
_STATIC = const(340)
_HEAD = const(100)
_CLOSE_TIMEOUT = const(10_000)  # MICROPY_PY_LWIP_TCP_CLOSE_TIMEOUT_MS

waits = 0
_taken = _STATIC
_segments = 0
_connections = []  # that have a PCB, closed ones too that still send
_pump = None


def _failed(what):
    print("lwip_sockets:", what)


async def _send_on():
    while True:
        for connection in list(_connections):
            connection._send_on()
        await asyncio.sleep_ms(_PUMP)


class socket(io.IOBase):
    def __init__(self, *kind, accepted=None):
        self._stream = len(kind) < 2 or kind[1] == _SOCK_STREAM
        if self._stream and not accepted and len(_connections) >= MEMP_NUM_TCP_PCB:
            raise OSError(errno.ENOMEM)  # tcp_new; one that will listen takes none then
        self._socket = accepted or _Socket(*kind)
        self._look = select.poll()
        self._look.register(self._socket, select.POLLIN)
        self._listens = False
        self._unsent = []  # segments
        self._begin = 0  # what is gone of the first one
        self._size = 0
        self._error = 0
        self._reset = False  # it has been told, and the PCB is gone
        self._closed_at = None

    def setsockopt(self, *option):
        self._socket.setsockopt(*option)

    def setblocking(self, blocking):
        self._socket.setblocking(blocking)

    def bind(self, address):
        self._socket.bind(address)

    def listen(self, backlog):
        self._listens = True
        self._socket.listen(backlog)

    def connect(self, address):
        self._socket.setsockopt(_SOL_SOCKET, _SO_SNDBUF, 1)
        self._begins()
        self._socket.connect(address)

    def _begins(self):
        global _pump
        _connections.append(self)
        if _pump is None:
            _pump = asyncio.create_task(_send_on())

    def accept(self):
        if len(_connections) >= MEMP_NUM_TCP_PCB:
            raise OSError(errno.EAGAIN)  # no SYN is answered
        accepted, address = self._socket.accept()
        accepted.setsockopt(_SOL_SOCKET, _SO_SNDBUF, 1)
        connection = socket(accepted=accepted)
        connection._begins()
        return connection, address

    def sendto(self, octets, address):
        if isinstance(address, tuple):  # as lwIP wants it; here for the one that has no way
            for connection in list(_connections):
                connection._send_on()
            if MEM_SIZE - _taken < len(octets) + _HEAD:
                raise OSError(errno.ENOMEM)
            raise OSError(errno.EINVAL)
        return self._socket.sendto(octets, address)

    def recvfrom(self, count):
        return self._socket.recvfrom(count)

    def readinto(self, buf):
        if self._reset:
            return 0
        try:
            if self._error:
                raise OSError(self._error)
            return self._socket.readinto(buf)
        except OSError:
            self._reset = True
            self._forget()
            raise

    def write(self, buf):
        global waits, _taken, _segments
        if self._reset:
            _failed("a write through a NULL pcb")
            raise OSError(errno.EIO)
        self._send_on()
        if self._error:
            raise OSError(self._error)
        count = min(len(buf), TCP_SND_BUF - self._size)
        if not count:
            return None
        segments = (count + TCP_MSS - 1) // TCP_MSS
        if (_taken + count + segments * _HEAD > MEM_SIZE
                or _segments + segments > MEMP_NUM_TCP_SEG):
            waits += 1
            _failed("a write of %d octets would wait: %d of memory and %d segments are taken"
                    % (count, _taken, _segments))
        for at in range(0, count, TCP_MSS):
            segment = bytes(memoryview(buf)[at : min(at + TCP_MSS, count)])
            self._unsent.append(segment)
            _taken += len(segment) + _HEAD
            _segments += 1
        self._size += count
        self._send_on()
        return count

    def _send_on(self):
        global _taken, _segments
        try:
            while self._unsent:
                segment = self._unsent[0]
                count = self._socket.write(memoryview(segment)[self._begin :])
                if not count:
                    break
                self._begin += count
                if self._begin == len(segment):
                    self._unsent.pop(0)
                    self._begin = 0
                    self._size -= len(segment)
                    _taken -= len(segment) + _HEAD
                    _segments -= 1
        except OSError:
            self._error = errno.ECONNRESET
            self._forget()
        if self._closed_at is not None and (
                not self._unsent
                or time.ticks_diff(time.ticks_ms(), self._closed_at) > _CLOSE_TIMEOUT):
            self._forget()
            self._socket.close()

    def _forget(self):
        """What is unsent, and the PCB."""
        global _taken, _segments
        for segment in self._unsent:
            _taken -= len(segment) + _HEAD
        _segments -= len(self._unsent)
        self._unsent = []
        self._size = 0
        if self in _connections:
            _connections.remove(self)

    def ioctl(self, request, argument):
        if request == _CLOSE:
            if self in _connections:
                if self._closed_at is None:
                    self._closed_at = time.ticks_ms()
                    self._send_on()
            else:
                self._socket.close()
            return 0
        if request != _POLL:
            return -errno.EINVAL
        ready = 0
        if argument & _READ and (self._error or self._look.poll(0)) and not (
                self._listens and len(_connections) >= MEMP_NUM_TCP_PCB):
            ready = _READ
        if argument & _WRITE and (self._error or self._size < TCP_SND_BUF):
            ready |= _WRITE
        return ready

    def close(self):
        self.ioctl(_CLOSE, 0)
