"""One of the W5500's eight sockets: registers, memories, commands, TCP and UDP.

Datasheet 1.0.9, chapters 3.2 and 4.2. Where it is silent or the silicon differs:
- Sn_IR bits are recorded whatever Sn_IMR says; the mask acts on SIR and INTn only. (The text on
  Sn_IMR reads otherwise, but drivers that mask SEND_OK and poll for it work on the chip.)
- SEND_OK comes when the peer's side took everything that SEND covered, and Sn_TX_RD moves with
  it: what the peer took and what it acknowledged are one here.
- A RST from the peer raises DISCON (WIZnet's stated intent) and leaves Sn_RX_RSR as it is.
- RECV is raised when octets arrive, not again when RECV leaves some of them in the memory.
- There is no clock. A wait for a peer that cannot answer ends, as TCPTO does with TIMEOUT and
  SOCK_CLOSED, after `timeout_polls` polls; with nobody at the address at all, at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from host_tools.emulator.chips import w5500_registers as reg
from host_tools.emulator.chips.w5500_block import SocketBlock
from host_tools.emulator.chips.w5500_registers import Command, Status
from host_tools.emulator.tcp_bridge import READ, WRITE, Connection

if TYPE_CHECKING:
    from host_tools.emulator.chips.w5500 import W5500

_MR, _KPALVTR = reg.SOCKET_OFFSETS["Sn_MR"], reg.SOCKET_OFFSETS["Sn_KPALVTR"]
_DHAR = slice(reg.SOCKET_OFFSETS["Sn_DHAR"], reg.SOCKET_OFFSETS["Sn_DHAR"] + 6)
_TTL = reg.SOCKET_OFFSETS["Sn_TTL"]
_DIPR = slice(reg.SOCKET_OFFSETS["Sn_DIPR"], reg.SOCKET_OFFSETS["Sn_DIPR"] + 4)
_UDP_HEADER = 8

_S = Status
_ANY = tuple(Status)
_CONNECTED = (_S.SOCK_ESTABLISHED, _S.SOCK_CLOSE_WAIT)
_LEAVING = (_S.SOCK_FIN_WAIT, _S.SOCK_CLOSING, _S.SOCK_LAST_ACK)


class Socket(SocketBlock):
    """What the commands do, and what the cable does to the block."""

    def __init__(self, chip: W5500, number: int):
        self.status = _S.SOCK_CLOSED
        self._connection: Connection | None = None
        self._multicasting = False
        self._listening = 0  # the port, whatever Sn_PORT is meanwhile
        self._forget_exchange()
        # Command -> (states where it may stand, what it does).
        self._commands = {
            Command.OPEN: (_ANY, self._open),
            Command.LISTEN: ((_S.SOCK_INIT,), self._listen),
            Command.CONNECT: ((_S.SOCK_INIT,), self._connect),
            Command.DISCON: (tuple(set(Status) - {_S.SOCK_UDP}), self._disconnect),
            Command.CLOSE: (_ANY, self._close),
            Command.SEND: ((*_CONNECTED, _S.SOCK_UDP), self._send),
            Command.SEND_MAC: ((_S.SOCK_UDP,), self._send),
            Command.SEND_KEEP: (_CONNECTED, self._send_keep),
            Command.RECV: (_ANY, self._receive),
        }
        super().__init__(chip, number)

    def reset(self) -> None:
        """As after RSTn or MR[RST]: a connection is dropped, a listener gone."""
        self._close()
        super().reset()

    def _forget_exchange(self) -> None:
        self._sending = False  # a SEND has not yet ended with SEND_OK
        self._tx_end = 0  # where that SEND ends
        self._keep_alive_sent = False
        self._fin_wanted = False
        self._fin_received = False
        self._stalled = False  # the peer has more than the RX memory holds
        self._idle_polls = 0

    # --- commands -------------------------------------------------------------------------

    def command(self, octet: int) -> None:
        """Execute one command; Sn_CR reads 0 again at once."""
        try:
            command = Command(octet)
        except ValueError:
            self.warn(f"unknown command {octet:#04x}")
            return
        self.chip.counters.commands[command.name] += 1
        states, action = self._commands[command]
        if self.status in states:
            action()
        else:
            self.warn(f"{command.name} in {self.status.name} ignored")

    def _open(self) -> None:
        protocol = self.registers[_MR] & 0x0F
        self._close()
        self._multicasting = protocol == reg.PROTOCOL_UDP and bool(self.registers[_MR] & reg.MULTI)
        self.start_tx(self.chip.initial_pointer)
        self.start_rx(self.chip.initial_pointer)
        if protocol == reg.PROTOCOL_TCP:
            self.status = _S.SOCK_INIT
        elif protocol == reg.PROTOCOL_UDP:
            self.status = _S.SOCK_UDP
            if self._multicasting:
                self._join()
        else:
            self.warn(f"OPEN with protocol {protocol} of Sn_MR is not emulated")
            return
        if not self.word("Sn_MSSR"):
            mss = reg.MSS_TCP if protocol == reg.PROTOCOL_TCP else reg.MSS_UDP
            self.set_word("Sn_MSSR", mss)

    def _join(self) -> None:
        """MULTI: group, its hardware address and port stand in Sn_DIPR, Sn_DHAR and Sn_DPORT."""
        group = bytes(self.registers[_DIPR])
        mac = bytes((1, 0, 0x5E, group[1] & 0x7F)) + group[2:]  # RFC 1112 6.4
        if self.registers[_DHAR] != mac or self.word("Sn_DPORT") != self.word("Sn_PORT"):
            self.warn("OPEN with MULTI: Sn_DHAR or Sn_DPORT is not the group's")
        self.chip.lan.join(self.chip.address, group, self.word("Sn_PORT"), self._take_datagram)

    def _listen(self) -> None:
        self.status = _S.SOCK_LISTEN
        self._listening = self.word("Sn_PORT")
        self.chip.lan.listen(self._listening, self)

    def _connect(self) -> None:
        address = bytes(self.registers[_DIPR])
        connection = self.chip.lan.connect(address, self.word("Sn_DPORT"))
        if connection is None:
            self._end(reg.IR_TIMEOUT)
            return
        self.status = _S.SOCK_SYNSENT
        self._adopt(connection)

    def _disconnect(self) -> None:
        if self.status == _S.SOCK_ESTABLISHED:
            self.status = _S.SOCK_FIN_WAIT
        elif self.status == _S.SOCK_CLOSE_WAIT:
            self.status = _S.SOCK_LAST_ACK
        elif self.status in (_S.SOCK_INIT, _S.SOCK_LISTEN, _S.SOCK_SYNSENT):
            self._close()
            return
        else:
            return  # closed, or on the way there
        self._fin_wanted = True
        self._idle_polls = 0
        self._transmit()

    def _close(self) -> None:
        if self.status == _S.SOCK_LISTEN:
            self.chip.lan.leave(self._listening, self)
        if self._connection:
            self.chip.lan.forget(self._connection)
            self._connection = None
        if self._multicasting:
            self._multicasting = False
            self.chip.lan.part()
        self.status = _S.SOCK_CLOSED
        self._forget_exchange()

    def _send(self) -> None:
        length = self.tx_pending
        if length > self.tx.size:
            self.warn(f"SEND of {length} octets, the TX memory holds {self.tx.size}")
            self.set_word("Sn_TX_WR", self.tx_read + self.tx.size & 0xFFFF)
        if self.status == _S.SOCK_UDP:
            self._send_datagrams()
            return
        if self._sending:
            self.warn("SEND before SEND_OK of the one before")
        self._sending = True
        self._tx_end = self.word("Sn_TX_WR")
        self._idle_polls = 0
        self._transmit()

    def _send_keep(self) -> None:
        self._keep_alive_sent = True  # answered unseen by whoever is there

    def _receive(self) -> None:
        self.rx_read = self.word("Sn_RX_RD")
        if self.rx_received > self.rx.size:
            self.warn(f"RECV with Sn_RX_RD {self.rx_read:#06x} outside what was received")
        if self._stalled:
            self._stalled = False
            self._take_in()

    # --- UDP ------------------------------------------------------------------------------

    def _send_datagrams(self) -> None:
        """SEND in UDP mode, in pieces of Sn_MSSR; the replies are there at once."""
        payload = self.tx.read(self.tx_read, self.tx_pending)
        self.tx_read = self.word("Sn_TX_WR")
        if not self.chip.lan.link_up:
            self.interrupts |= reg.IR_TIMEOUT  # ARP finds nobody
            return
        self.interrupts |= reg.IR_SEND_OK
        address = bytes(self.registers[_DIPR])
        mss = self.word("Sn_MSSR") or reg.MSS_UDP
        for start in range(0, len(payload), mss):
            piece = payload[start : start + mss]
            if self._multicasting:
                self.chip.lan.multicast(piece, self.registers[_TTL])
                continue
            reply = self.chip.lan.datagram(address, self.word("Sn_DPORT"), piece,
                                           self.word("Sn_PORT"))
            if reply:
                self._take_datagram(*reply)

    def _take_datagram(self, address: bytes, port: int, payload: bytes) -> None:
        """Peer address, port and length, then the payload; all of it, or nothing."""
        room = self.rx.size - self.rx_received
        if _UDP_HEADER + len(payload) <= room:
            header = address + port.to_bytes(2, "big") + len(payload).to_bytes(2, "big")
            self._store(header + payload)

    # --- TCP ------------------------------------------------------------------------------

    def accepted(self, connection: Connection) -> None:
        """A peer connected to the port that this socket listens on."""
        self.chip.lan.leave(self._listening, self)
        self.registers[_DIPR] = connection.address
        self.set_word("Sn_DPORT", connection.port)
        self._adopt(connection)
        self._established()

    def _adopt(self, connection: Connection) -> None:
        self._connection = connection
        connection.on_event = self._on_event
        self._watch()

    def _established(self) -> None:
        # "Re-initialised while connecting with TCP": Sn_TX_RD, Sn_TX_WR.
        self.start_tx(self.chip.initial_pointer)
        self.status = _S.SOCK_ESTABLISHED
        self.interrupts |= reg.IR_CON
        self._watch()

    def _watch(self) -> None:
        """Ask for the events that would move something, and no others."""
        connecting = self.status == _S.SOCK_SYNSENT
        events = 0
        if not (connecting or self._fin_received or self._stalled):
            events |= READ
        if connecting or self._sending or self._fin_wanted:
            events |= WRITE
        self._connection.want(events)

    def _on_event(self, events: int) -> None:
        if self.status == _S.SOCK_SYNSENT:
            try:
                self._connection.check()
            except ConnectionError:
                self._end(reg.IR_DISCON)  # RST instead of SYN/ACK
            else:
                self._established()
            return
        if events & WRITE:
            self._transmit()
        if events & READ and self._connection:
            self._take_in()

    def _transmit(self) -> None:
        """Give the peer what it takes of the running SEND, then the FIN if DISCON was given."""
        connection = self._connection
        try:
            if self._sending and connection.carries:
                length = self._tx_end - self.tx_read & 0xFFFF
                taken = connection.send(self.tx.parts(self.tx_read, length))
                self.tx_read = self.tx_read + taken & 0xFFFF
                self.chip.counters.tcp_sent += taken
                if taken == length:
                    self._sending = False
                    self.interrupts |= reg.IR_SEND_OK
            if self._fin_wanted and not self._sending and connection.carries:
                connection.finish()
                self._fin_wanted = False
        except ConnectionError:
            self._end(reg.IR_DISCON)
            return
        self._after_fin()

    def _after_fin(self) -> None:
        """Move on when both FINs are there; else wait for what is missing."""
        if self.status in _LEAVING and self._fin_received and not self._fin_wanted:
            if self.status == _S.SOCK_LAST_ACK:
                self._end(reg.IR_DISCON)
            else:
                self._end(reg.IR_DISCON, _S.SOCK_TIME_WAIT)
        else:
            self._watch()

    def _take_in(self) -> None:
        """Fill the RX memory as far as there is room; then FIN or RST if it follows."""
        connection = self._connection
        room = self.rx.size - self.rx_received
        data = None
        try:
            if room > 0:
                data = connection.receive(room)
                if data:
                    self._store(data)
                    self.chip.counters.tcp_received += len(data)
            if room <= 0 or (data and len(data) == room):
                # Full. A FIN needs no room; octets that wait must not wake us until RECV.
                data = connection.peek()
                self._stalled = bool(data)
        except ConnectionError:
            self._end(reg.IR_DISCON)
            return
        if data == b"":
            self._fin_received = True
            if self.status == _S.SOCK_ESTABLISHED:
                self.status = _S.SOCK_CLOSE_WAIT
                self.interrupts |= reg.IR_DISCON
            elif self.status == _S.SOCK_FIN_WAIT and self._fin_wanted:
                self.status = _S.SOCK_CLOSING
        self._after_fin()

    def _store(self, data: bytes) -> None:
        self.rx.write(self.rx_write, data)
        self.rx_write = self.rx_write + len(data) & 0xFFFF
        self.interrupts |= reg.IR_RECV

    def _end(self, interrupt: int, status: Status = _S.SOCK_CLOSED) -> None:
        self._close()
        self.status = status
        self.interrupts |= interrupt

    def poll(self) -> None:
        """What no event brings: TIME_WAIT, TCPTO, a RST to a connection that nobody reads."""
        if self.status == _S.SOCK_TIME_WAIT:
            self.status = _S.SOCK_CLOSED
        connection = self._connection
        if connection is None or not self.chip.lan.link_up:
            return
        if connection.lost:
            probing = self._keep_alive_sent or self.registers[_KPALVTR]
            waits = self._sending or probing or self.status not in _CONNECTED
        else:
            if not connection.watched:
                try:
                    connection.check()
                except ConnectionError:
                    self._end(reg.IR_DISCON)
                    return
            waits = self.status in _LEAVING and not self._sending
        if waits:
            self._idle_polls += 1
            if self._idle_polls > self.chip.timeout_polls:
                self._end(reg.IR_TIMEOUT)
