"""The W5500's registers and buffers, in as few SPI calls as they can be had (datasheet 1.1.0).

A call costs an RP2040 15 to 50 us whatever its length, and 40 octets cost 13 us on the wire: so
one "look" reads all registers of a socket that matter, in one frame, instead of one by one.
Nothing here waits or knows asyncio; an operation that cannot go on says so and is tried later.
"""

import errno

import uctypes
from micropython import const

VERSION = const(4)  # of VERSIONR

# Common registers (datasheet 4.1).
_MR = const(0x00)
_GAR = const(0x01)  # GAR, SUBR, SHAR and SIPR follow each other: 18 octets
_SIR = const(0x17)
_SIMR = const(0x18)
_PHYCFGR = const(0x2E)
_VERSIONR = const(0x39)

_MR_RST = const(0x80)
_PHY_LINK = const(0x01)

# Socket registers (datasheet 4.2) that are written one by one.
_SN_MR = const(0x00)
_SN_CR = const(0x01)
_SN_IR = const(0x02)
_SN_PORT = const(0x04)
_SN_DHAR = const(0x06)  # DHAR, DIPR and DPORT follow each other: 12 octets
_SN_DIPR = const(0x0C)
_SN_DPORT = const(0x10)
_SN_TTL = const(0x16)
_SN_TX_WR = const(0x24)
_SN_RX_RD = const(0x28)
_SN_IMR = const(0x2C)

# The third octet of a frame: block select bits (socket n adds n << 5) and the write bit.
_SOCKET = const(0x08)
_TX_BUFFER = const(0x10)
_RX_BUFFER = const(0x18)
_WRITE = const(0x04)

# A look's frame: three octets of header, then the socket registers from 0x00 to Sn_RX_RD.
_LOOK = const(45)
_REGISTERS = {
    "mode": uctypes.UINT8 | 3,
    "command": uctypes.UINT8 | 4,
    "status": uctypes.UINT8 | 6,
    "tx_free": uctypes.UINT16 | 35,
    "tx_read": uctypes.UINT16 | 37,
    "tx_write": uctypes.UINT16 | 39,
    "rx_size": uctypes.UINT16 | 41,
    "rx_read": uctypes.UINT16 | 43,
}
_PEER = const(15)  # Sn_DIPR in that frame

# Sn_MR. Without the no-delayed-ACK bit the chip acknowledges after RTR only, 200 ms.
_TCP = const(0x21)
_UDP = const(0x02)
_MULTICAST = const(0x82)  # UDP, for the group in Sn_DIPR and for our own address; IGMP version 2

# Sn_CR.
_OPEN = const(0x01)
_LISTEN = const(0x02)
_CONNECT = const(0x04)
_DISCON = const(0x08)
_CLOSE = const(0x10)
_SEND = const(0x20)
_RECV = const(0x40)

# Sn_SR.
CLOSED = const(0x00)
INIT = const(0x13)
LISTENING = const(0x14)
SYN_SENT = const(0x15)
SYN_RECEIVED = const(0x16)
ESTABLISHED = const(0x17)
CLOSE_WAIT = const(0x1C)
UDP = const(0x22)

# Sn_IMR: CON, DISCON, RECV and TIMEOUT. Not SEND_OK: a writer looks at the pointers itself.
_NEWS = const(0x0F)
_SEND_OK = const(0x10)  # of socket 0, whose datagrams make way for each other

SOCKETS = const(8)
BUFFER = const(2048)  # of each socket, either way, as the chip comes out of reset
_DATAGRAM_HEADER = const(8)  # address, port and length before each datagram in the RX buffer

# The chip takes a command within a microsecond or so; this many looks are over a millisecond.
_COMMAND_LOOKS = const(32)


def dotted(address):
    """The text of an IPv4 address of 4 octets."""
    return ".".join([str(octet) for octet in address])


def octets(text):
    """The 4 octets of an IPv4 address as text."""
    return bytes([int(part) for part in text.split(".")])


class W5500:
    """One chip on `spi` (mode 0, to 33 MHz) behind `chip_select`, a Pin that is high now.

    `registers` shows what the last look read: mode, command, status, tx_free, tx_read, tx_write,
    rx_size, rx_read. `sender`: of the last datagram, address and port, 6 octets. Socket numbers
    are 0 to 7. Raises OSError(EIO) when the chip does not take a command.
    """

    def __init__(self, spi, chip_select):
        self._spi = spi
        self._chip_select = chip_select
        self.sender = None
        self._header = bytearray(3)
        self._octet = bytearray(4)
        self._pair = bytearray(5)
        self._answer = bytearray(4)
        self._look_out = bytearray(_LOOK)
        self._look_in = bytearray(_LOOK)
        self.registers = uctypes.struct(
            uctypes.addressof(self._look_in), _REGISTERS, uctypes.BIG_ENDIAN)

    # --- frames -----------------------------------------------------------------------------

    def _write(self, frame):
        self._chip_select(0)
        self._spi.write(frame)
        self._chip_select(1)

    def _set(self, address, block, value):
        frame = self._octet
        frame[1] = address
        frame[2] = block | _WRITE
        frame[3] = value
        self._write(frame)

    def _set_pair(self, number, address, value):
        frame = self._pair
        frame[1] = address
        frame[2] = number << 5 | _SOCKET | _WRITE
        frame[3] = value >> 8 & 0xFF
        frame[4] = value & 0xFF
        self._write(frame)

    def _get(self, address):
        frame = self._octet
        frame[1] = address
        frame[2] = 0
        self._chip_select(0)
        self._spi.write_readinto(frame, self._answer)
        self._chip_select(1)
        return self._answer[3]

    def _buffer(self, number, block, pointer):
        # A frame into a socket's buffer; the caller moves the data and ends the frame. The
        # chip maps any 16-bit pointer into the buffer and wraps at its end by itself.
        header = self._header
        header[0] = pointer >> 8 & 0xFF
        header[1] = pointer & 0xFF
        header[2] = number << 5 | block
        self._chip_select(0)
        self._spi.write(header)

    # --- the chip ---------------------------------------------------------------------------

    def version(self):
        """VERSIONR, 4 on every W5500; something else means that no chip answers."""
        return self._get(_VERSIONR)

    def reset(self):
        """Reset by command (MR.RST); the sockets and the address are gone, the link stays."""
        self._set(_MR, 0, _MR_RST)

    def link(self):
        """True when the cable has a partner at its other end (PHYCFGR.LNK)."""
        return bool(self._get(_PHYCFGR) & _PHY_LINK)

    def configure(self, addresses):
        """Set gateway, netmask, MAC and own address (18 octets in this order), allow news."""
        self._write(bytes((0, _GAR, _WRITE)) + addresses)
        self._set(_SIMR, 0, 0xFF)
        for number in range(SOCKETS):
            self._set(_SN_IMR, number << 5 | _SOCKET, _NEWS if number else _NEWS | _SEND_OK)

    def addresses(self):
        """What `configure` had set; zeros or noise after the chip lost its supply."""
        frame = bytearray(21)
        frame[1] = _GAR
        self._chip_select(0)
        self._spi.write_readinto(frame, frame)
        self._chip_select(1)
        return frame[3:]

    def news(self):
        """SIR: a bit for each socket whose Sn_IR has something to tell."""
        return self._get(_SIR)

    def acknowledge(self, number):
        """Clear Sn_IR. To be done *before* a look: what happens after it sets the bits again."""
        self._set(_SN_IR, number << 5 | _SOCKET, 0xFF)

    # --- a socket ---------------------------------------------------------------------------

    def look(self, number):
        """Read a socket's registers in one frame, once its last command is taken; return them.

        One frame is enough for the 16-bit sizes, though the datasheet advises to read them until
        two readings agree. A frame reads the high octet first, and between our own commands both
        sizes only grow: a reading torn by a change is smaller than the truth, never larger. Then
        less is moved, or nothing, and the packet that changed it raises its news after that.
        Sn_CR stands before them in the frame: when it is clear, they know of our last command.
        """
        frame = self._look_out
        frame[2] = number << 5 | _SOCKET
        registers = self.registers
        for _ in range(_COMMAND_LOOKS):
            self._chip_select(0)
            self._spi.write_readinto(frame, self._look_in)
            self._chip_select(1)
            if not registers.command:
                return registers
        raise OSError(errno.EIO)

    def peer(self):
        """The peer's address of the socket last looked at, as text."""
        return dotted(self._look_in[_PEER : _PEER + 4])

    def _command(self, number, command):
        self._set(_SN_CR, number << 5 | _SOCKET, command)

    def _open(self, number, mode, port):
        if self.look(number).status != CLOSED:
            self._command(number, _CLOSE)
            self.look(number)
        self._set(_SN_MR, number << 5 | _SOCKET, mode)
        self._set_pair(number, _SN_PORT, port)
        self._command(number, _OPEN)

    def listen(self, number, port):
        """Make a socket wait for one TCP client on `port`, whatever it did before.

        Raises OSError(EIO) when it does not open.
        """
        self._open(number, _TCP, port)
        if self.look(number).status != INIT:
            raise OSError(errno.EIO)
        self._command(number, _LISTEN)

    def connect(self, number, port, address, peer_port):
        """Send a SYN from `port` to a server at `address` (4 octets), whatever the socket did
        before. It is SYN_SENT until there is an answer, CLOSED when there is none (4.2, Sn_CR
        CONNECT).

        Raises OSError(EIO) when it does not open.
        """
        self._open(number, _TCP, port)
        if self.look(number).status != INIT:
            raise OSError(errno.EIO)
        self._write(bytes((0, _SN_DIPR, number << 5 | _SOCKET | _WRITE)) + address)
        self._set_pair(number, _SN_DPORT, peer_port)
        self._command(number, _CONNECT)

    def close(self, number):
        """Free a socket at once; its peer is told nothing, later segments are answered by RST."""
        if self.look(number).status != CLOSED:
            self._command(number, _CLOSE)

    def disconnect(self, number):
        """Send FIN. Only after all data is acknowledged, see `sent`: it does not wait for it."""
        self.look(number)
        self._command(number, _DISCON)

    def receive(self, number, buf):
        """Read up to len(buf) octets of a TCP stream; 0 when none are there (see `registers`)."""
        size = self.look(number).rx_size
        if not size or self.registers.status == CLOSED:
            return 0
        if size < len(buf):
            buf = (buf if isinstance(buf, memoryview) else memoryview(buf))[:size]
        else:
            size = len(buf)
        self._buffer(number, _RX_BUFFER, self.registers.rx_read)
        self._spi.readinto(buf)
        self._chip_select(1)
        self._set_pair(number, _SN_RX_RD, self.registers.rx_read + size)
        self._command(number, _RECV)
        return size

    # These two keep few variables, and look registers up again: a call whose variables and stack
    # do not fit in eleven words takes its frame from the heap.

    def send(self, number, buf, start):
        """Send of `buf[start:]` what has room; returns its octets, 0 when it must wait.

        A SEND covers Sn_TX_RD to Sn_TX_WR and ends with both equal: the next is given only then,
        since the datasheet does not say what a second one would do (WIZnet's own driver waits
        for SEND_OK). Small room is left to grow, or a slow reader would get segments of a few
        octets. The socket must be ESTABLISHED or in CLOSE_WAIT: see `registers` when it is 0.
        """
        if (self.look(number).status not in (ESTABLISHED, CLOSE_WAIT)
                or self.registers.tx_read != self.registers.tx_write):
            return 0
        size = len(buf) - start
        if self.registers.tx_free < size:
            size = self.registers.tx_free
            if size < BUFFER // 2:
                return 0
        if size < len(buf):
            buf = (buf if isinstance(buf, memoryview) else memoryview(buf))[start : start + size]
        self._buffer(number, _TX_BUFFER | _WRITE, self.registers.tx_write)
        self._spi.write(buf)
        self._chip_select(1)
        self._set_pair(number, _SN_TX_WR, self.registers.tx_write + size)
        self._command(number, _SEND)
        return size

    def sent(self, number):
        """True when the peer has acknowledged all that was sent, or is gone."""
        registers = self.look(number)
        return (registers.status not in (ESTABLISHED, CLOSE_WAIT)
                or registers.tx_read == registers.tx_write and registers.tx_free == BUFFER)

    def closed(self, number):
        """True when the socket has ended its connection."""
        return self.look(number).status == CLOSED

    # --- datagrams --------------------------------------------------------------------------

    def send_datagram(self, number, port, address, peer_port, data):
        """Send `data` (at most 1472 octets) from UDP `port` to `address` (4 octets).

        Opens the socket, or opens it anew: what it had received is dropped.
        """
        self._open(number, _UDP, port)
        if self.look(number).status != UDP:
            raise OSError(errno.EIO)
        self._write(bytes((0, _SN_DIPR, number << 5 | _SOCKET | _WRITE)) + address)
        self._set_pair(number, _SN_DPORT, peer_port)
        self._send_datagram(number, data)

    def join(self, number, group, port):
        """Receive what comes to `group` (4 octets) at UDP `port`, and to our address at it; send to
        the group, with a TTL of 255.
        """
        # The group's hardware address has the low 23 bits of it (RFC 1112 6.4).
        frame = (bytes((0, _SN_DHAR, number << 5 | _SOCKET | _WRITE, 1, 0, 0x5E, group[1] & 0x7F))
                 + group[2:] + group + bytes((port >> 8, port & 0xFF)))
        self.close(number)
        self._write(frame)
        self._set(_SN_TTL, number << 5 | _SOCKET, 0xFF)
        self._open(number, _MULTICAST, port)
        if self.look(number).status != UDP:
            raise OSError(errno.EIO)

    def in_group(self):
        """Whether the socket last looked at has joined one."""
        return self.registers.mode == _MULTICAST and self.registers.status == UDP

    def multicast(self, number, data):
        """Send `data` to the group of a socket that has joined one."""
        self.look(number)
        self._send_datagram(number, data)

    def _send_datagram(self, number, data):
        pointer = self.registers.tx_write
        self._buffer(number, _TX_BUFFER | _WRITE, pointer)
        self._spi.write(data)
        self._chip_select(1)
        self._set_pair(number, _SN_TX_WR, pointer + len(data))
        self._command(number, _SEND)

    def receive_datagram(self, number, limit):
        """The next datagram, cut to `limit` octets; None when there is none."""
        registers = self.look(number)
        if registers.status != UDP or registers.rx_size < _DATAGRAM_HEADER:
            return None
        pointer = registers.rx_read
        head = bytearray(_DATAGRAM_HEADER)
        self._buffer(number, _RX_BUFFER, pointer)
        self._spi.readinto(head)
        self.sender = head[:6]
        size = head[6] << 8 | head[7]
        data = bytearray(min(size, limit, registers.rx_size - _DATAGRAM_HEADER))
        self._spi.readinto(data)
        self._chip_select(1)
        self._set_pair(number, _SN_RX_RD, pointer + _DATAGRAM_HEADER + size)
        self._command(number, _RECV)
        return data
