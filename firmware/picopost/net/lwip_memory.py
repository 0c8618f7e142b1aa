"""Room in lwIP's memory: asked for before a write, since a write that finds none waits inside C.

All connections write into one heap of 8,000 octets (MEM_SIZE), and each keeps up to 6,400 of them
until its peer has them (TCP_SND_BUF). A socket says that it is writable as long as its own 6,400
are not full; where the heap is full before, MicroPython's socket tries again for 10 s, without
blocking or not, and nobody else runs: longer than the watchdog waits. One client that stops reading
in the middle of a message is enough for that.

What a peer has acknowledged cannot be asked. But a datagram takes its room from the same heap, at
once or not at all: ENOMEM. One that lwIP refuses to send for another reason tells how much there is
in one piece, and frees it again.
"""

import errno
import socket
import time

from picopost import limits

_MORSEL = limits.LWIP_MORSEL + limits.LWIP_HEAD
_MOST = limits.LWIP_QUESTION + limits.LWIP_HEAD

# IPv6, to which a socket for IPv4 sends nothing (udp_sendto: ERR_VAL), whatever routes there are.
_NOWHERE = ("::1", 9)


def find():
    """A Memory where the sockets are lwIP's; None where others keep what is written."""
    try:
        prober = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    except AttributeError:
        return None
    try:
        prober.sendto(b"", _NOWHERE)
    except OSError:
        return Memory(prober)
    except TypeError:  # it wants another kind of address
        prober.close()
        return None
    return Memory(prober)


class Memory:
    """lwIP's, asked by `prober`, a socket for datagrams. One for all connections.

    One client that stops reading a message takes all the room that there is for messages. The
    others' go on in morsels, one client's at a time: whose morsel is not acknowledged within
    LWIP_TRIAL has stopped too, and gets nothing until its next command. There is room for two
    morsels of such, and half an answer's goes for a third.
    """

    def __init__(self, prober):
        self._prober = prober
        self._octets = memoryview(bytearray(limits.LWIP_QUESTION))
        self._sure = 0  # octets that are free in one piece, and more may be
        self._short = False  # there were less than _MOST
        self._eater = None  # whose morsels they are
        self._began = self._ate = 0  # ticks of its first one, and of its last
        self._left = 0  # morsels that lie about, of those who have stopped

    def grant(self, count, asker):
        """How many of `count` octets the connection `asker` is to write now; 0 for none. They have
        to be written: their room is counted as taken.

        The first LWIP_REPLY octets since its client had nothing more to say are an answer and take
        what is there. Who has more to write leaves room for the others' answers.
        """
        if asker.answered + count <= limits.LWIP_REPLY:
            if not self.has(count, limits.LWIP_SPARE):
                return 0
            asker.answered += count
            return count
        piece = min(count, limits.LWIP_PIECE)
        if self.has(piece, limits.LWIP_PIECE_SPARE):
            self._left = 0
        else:
            piece = 0 if asker.stopped else self._morsel(asker, min(count, limits.LWIP_MORSEL))
        if piece:
            asker.answered = limits.LWIP_REPLY
        return piece

    def _morsel(self, asker, count):
        now = time.ticks_ms()
        eater = self._eater
        silent = time.ticks_diff(now, self._ate) > limits.LWIP_TRIAL
        if eater is not asker and eater and not silent and (
                time.ticks_diff(now, self._began) < limits.LWIP_TRIAL):
            return 0
        # There is room for the next morsel when the last one is gone; for one more, when one of
        # those that lay about is.
        for left in (self._left - 1, self._left):
            # However few octets it has: less room than a morsel's tells nothing.
            spare = limits.LWIP_PIECE_SPARE - (left + 1) * _MORSEL
            if 0 <= left <= 2 and self.has(limits.LWIP_MORSEL, spare):
                self._left = left
                break
        else:
            if eater and silent:
                eater.stopped = True
                self._eater = None
                self._left += 1
            return 0
        if eater is not asker:
            self._eater = asker
            self._began = now
        self._ate = now
        return count

    def has(self, count, spare):
        """Whether `count` octets find room in lwIP's memory, so that `spare` of it are left."""
        # tcp_write makes segments, each with a head of its own.
        cost = count + (count + limits.LWIP_SEGMENT - 1) // limits.LWIP_SEGMENT * limits.LWIP_HEAD
        need = cost + spare
        if self._sure < need:
            # For more than is needed now, unless that was in vain the last time.
            if (not self._short or need == _MOST) and self._ask(_MOST):
                self._sure = _MOST
                self._short = False
            else:
                self._short = True
                if need >= _MOST or not self._ask(need):
                    return False
                self._sure = need
        self._sure -= cost
        return True

    def _ask(self, size):
        try:
            self._prober.sendto(self._octets[: size - limits.LWIP_HEAD], _NOWHERE)
        except OSError as error:
            return error.errno != errno.ENOMEM
        return True

    def close(self):
        """Ask no more."""
        self._prober.close()
