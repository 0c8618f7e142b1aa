# Runs in the VM: lwIP's heap octet for octet as mem.c keeps it (first fit, pieces of 8 octets and
# more in front of each), clients that acknowledge in any order, and what lwIP takes for itself.
import errno
import random

from picopost.net import lwip, lwip_memory

MEM_SIZE = 8000
STRUCT_MEM = 8
STATIC = (260, 60)  # mDNS and DHCP of the interface, from the start on
PBUF = 16 + 76


def aligned(count):
    return (count + 3) & ~3


class Heap:
    def __init__(self):
        self.taken = []  # (begin, end), in order
        self.statics = [self.malloc(size) for size in STATIC]

    def malloc(self, size):
        size = max(12, aligned(size)) + STRUCT_MEM
        at = 0
        index = 0
        for begin, end in self.taken:
            if begin - at >= size:
                break
            at = end
            index += 1
        if MEM_SIZE - at < size:
            return None
        block = (at, at + size)
        self.taken.insert(index, block)
        return block

    def free(self, block):
        self.taken.remove(block)


class Prober:
    """A socket for datagrams: room for one is taken first, then there is no way to its address."""

    def __init__(self, heap):
        self.heap = heap
        self.questions = 0

    def sendto(self, octets, address):
        self.questions += 1
        block = self.heap.malloc(PBUF + aligned(len(octets)))
        if block is None:
            raise OSError(errno.ENOMEM)
        self.heap.free(block)
        raise OSError(errno.EINVAL)


class Tcp:
    """One connection: what is written and not acknowledged yet. `failed` counts the times that
    tcp_write would have waited.
    """

    failed = 0

    def __init__(self, heap):
        self.heap = heap
        self.segments = []  # (octets, block)
        self.unsent = 0

    def write(self, octets):
        count = min(len(octets), 6400 - self.unsent)
        if not count:
            return None
        for at in range(0, count, 800):
            size = min(800, count - at)
            block = self.heap.malloc(PBUF + aligned(size))
            if block is None:
                Tcp.failed += 1
                return None
            self.segments.append((size, block))
            self.unsent += size
        return count

    def acknowledge(self, count):
        for size, block in self.segments[:count]:
            self.heap.free(block)
            self.unsent -= size
        self.segments = self.segments[count:]

    def readinto(self, buf):
        return None

    def setblocking(self, blocking):
        pass

    def setsockopt(self, *option):
        pass


def stack(count, guarded=True):
    """A heap, and connections that write into it."""
    heap = Heap()
    prober = Prober(heap)
    memory = lwip_memory.Memory(prober) if guarded else None
    connections = []
    for _ in range(count):
        tcp = Tcp(heap)
        connection = lwip.Connection(tcp, "peer", 25, memory)
        connection.tcp = tcp
        connections.append(connection)
    return heap, prober, connections


def crowd(seed, steps, guarded=True):
    """(waits in C, octets taken) of five connections that write answers and mail as they like."""
    random.seed(seed)
    heap, _, connections = stack(5, guarded)
    octets = memoryview(bytearray(8192))
    Tcp.failed = taken = 0
    own = []
    for _ in range(steps):
        connection = connections[random.getrandbits(8) % 5]
        kind = random.getrandbits(3)
        if kind < 2:
            taken += connection.write_now(octets[: 1 + random.getrandbits(9)]) or 0
        elif kind < 5:
            taken += connection.write_now(octets[: 641 + random.getrandbits(12)]) or 0
        else:
            connection.tcp.acknowledge(1 + random.getrandbits(2))
            connection.read_now(None)
        # A DHCP message, a SYN or FIN: for a while, or until the next step.
        for block in own:
            heap.free(block)
        own = []
        if kind == 7:
            for size in (400, 92, 92):
                block = heap.malloc(size)
                if block is None:
                    Tcp.failed += 1
                else:
                    own.append(block)
    return Tcp.failed, taken


def all_that(connection, octets):
    """How many of `octets` `connection` takes at once, in as many writes as it wants."""
    octets = memoryview(octets)
    at = 0
    while at < len(octets):
        taken = connection.write_now(octets[at:])
        if not taken:
            break
        at += taken
    return at


class Clock:
    """`time` for the module, which a test moves on."""

    def __init__(self):
        self.now = 0

    def ticks_ms(self):
        return self.now

    def ticks_diff(self, one, other):
        return one - other


def run(readers, milliseconds):
    """Connections write mail whenever they may, every 10 ms. `readers` say whether each of their
    clients reads, and acknowledges within that time. (octets that each has given to lwIP, what two
    more connections then get as an answer, one behind the other).
    """
    heap, _, connections = stack(len(readers))
    clock = lwip_memory.time = Clock()
    random.seed(1)
    Tcp.failed = 0
    taken = [0] * len(readers)
    piece = memoryview(bytearray(4094))
    while clock.now < milliseconds:
        clock.now += 10
        for number, reads in enumerate(readers):
            # A piece's end is shorter than a morsel.
            taken[number] += all_that(connections[number], piece[: 3838 + random.getrandbits(8)])
            if reads:
                connections[number].tcp.acknowledge(20)
    memory = connections[0]._memory
    answers = []
    for _ in range(2):
        answerer = lwip.Connection(Tcp(heap), "peer", 25, memory)
        answers.append(answerer.write_now(bytearray(300)))
        answerer._socket.acknowledge(1)
    return taken, answers


def questions(answers):
    """Questions that so many answers of 60 octets cost, each acknowledged before the next."""
    _, prober, connections = stack(1)
    for _ in range(answers):
        connections[0].write_now(bytes(60))
        connections[0].tcp.acknowledge(1)
        connections[0].read_now(None)
    return prober.questions


class Reset:
    """A socket whose peer has sent a reset; what is written to it goes to a NULL pointer."""

    written = 0

    def setblocking(self, blocking):
        pass

    def setsockopt(self, *option):
        pass

    def readinto(self, buf):
        raise OSError(errno.ECONNRESET)

    def write(self, buf):
        self.written += 1
        return len(buf)


def after_a_reset():
    """(errno of a read, errno of the write behind it, writes that came to the socket)."""
    sock = Reset()
    connection = lwip.Connection(sock, "peer", 25)
    numbers = []
    for call in (connection.read_now, connection.write_now):
        try:
            call(bytearray(8))
        except OSError as error:
            numbers.append(error.errno)
    return numbers, sock.written


def leavers(count):
    """Octets that a client gets in 10 s who reads, when beside one who does not so many others came
    who did not either, one behind the other, and left.
    """
    heap, _, connections = stack(2)
    clock = lwip_memory.time = Clock()
    memory = connections[0]._memory
    piece = bytearray(4094)

    def wait(connection, reads, milliseconds):
        taken = 0
        for _ in range(milliseconds // 10):
            clock.now += 10
            taken += all_that(connection, piece)
            if reads:
                connection.tcp.acknowledge(20)
        return taken

    wait(connections[0], False, 3_000)
    for _ in range(count):
        leaver = lwip.Connection(Tcp(heap), "peer", 25, memory)
        leaver.tcp = leaver._socket
        wait(leaver, False, 3_000)
        leaver.tcp.acknowledge(99)
    return wait(connections[1], True, 10_000)
