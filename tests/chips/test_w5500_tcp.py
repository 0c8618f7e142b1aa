"""TCP of the W5500 model, with devices on loopback (datasheet 4.2)."""

import random
import select
import socket
import threading

import pytest

from host_tools.emulator.chips.w5500 import W5500
from host_tools.emulator.chips.w5500_registers import (
    IR_CON,
    IR_DISCON,
    IR_RECV,
    IR_SEND_OK,
    IR_TIMEOUT,
    Command,
    Status,
)
from tests.chips.w5500_host import Host, client, fill_the_peer, readable


def test_server_exchange_and_active_close(chip, host, lan):
    host.listen(0)
    with client(lan, device="127.0.0.20") as peer:
        host.until_status(0, Status.SOCK_ESTABLISHED)
        assert host.read(0, "Sn_DIPR", 4).to_bytes(4, "big") == bytes((192, 168, 77, 20))
        assert host.read(0, "Sn_DPORT", 2) == peer.getsockname()[1]
        assert host.interrupts(0) == IR_CON

        peer.sendall(b"HELO abc.com\r\n")
        host.until(lambda: host.read(0, "Sn_RX_RSR", 2) == 14)
        assert host.interrupts(0) == IR_RECV
        assert host.take(0) == b"HELO abc.com\r\n"
        assert host.read(0, "Sn_RX_RSR", 2) == 0
        assert host.read(0, "Sn_RX_RD", 2) == host.read(0, "Sn_RX_WR", 2) == 14

        host.give(0, b"250 xyz.com\r\n")
        assert host.interrupts(0) == IR_SEND_OK
        assert host.read(0, "Sn_TX_RD", 2) == host.read(0, "Sn_TX_WR", 2) == 13
        assert host.read(0, "Sn_TX_FSR", 2) == 2048
        assert peer.recv(100) == b"250 xyz.com\r\n"

        host.command(0, Command.DISCON)
        assert host.status(0) == Status.SOCK_FIN_WAIT
        assert peer.recv(100) == b""
        peer.sendall(b"late")  # half-closed: still received
        host.until(lambda: host.take(0) == b"late")
        assert host.status(0) == Status.SOCK_FIN_WAIT
        host.interrupts(0)
    host.until_status(0, Status.SOCK_TIME_WAIT)
    assert host.status(0) == Status.SOCK_CLOSED
    assert host.interrupts(0) == IR_DISCON


def test_pointers_wrap(lan):
    chip = W5500(lan, initial_pointer=0xFE00)
    host = Host(chip)
    host.listen(0)
    host.write(0, "Sn_TX_WR", 5, 2)  # undone by the connection
    with client(lan) as peer:
        host.until_status(0, Status.SOCK_ESTABLISHED)
        assert host.read(0, "Sn_TX_WR", 2) == host.read(0, "Sn_RX_RD", 2) == 0xFE00
        for size in (300, 2048, 1, 2047, 1500):  # over 0xFFFF and the memories' ends
            data = random.randbytes(size)
            peer.sendall(data)
            host.until(lambda size=size: host.read(0, "Sn_RX_RSR", 2) == size)
            echoed = host.take(0)
            assert echoed == data
            host.give(0, echoed)
            received = b""
            while len(received) < size:
                received += peer.recv(size)
            assert received == data
        assert host.read(0, "Sn_RX_RD", 2) == (0xFE00 + 300 + 2048 + 1 + 2047 + 1500) & 0xFFFF


def test_two_sockets_listen_on_one_port(host, lan):
    host.listen(0)
    host.listen(5)
    with client(lan) as first, client(lan) as second:
        host.until(lambda: host.status(0) == host.status(5) == Status.SOCK_ESTABLISHED)
        assert host.read(0, "Sn_DPORT", 2) == first.getsockname()[1]
        assert host.read(5, "Sn_DPORT", 2) == second.getsockname()[1]
        host.give(5, b"second")
        assert second.recv(10) == b"second"
        with pytest.raises(ConnectionRefusedError), client(lan):
            pass
        host.listen(1)
        with client(lan):
            host.until_status(1, Status.SOCK_ESTABLISHED)


def test_ninth_connection_is_refused(host, lan):
    for number in range(8):
        host.listen(number)
    peers = []
    try:
        for _ in range(8):
            context = client(lan)
            context.__enter__()
            peers.append(context)
        host.until(lambda: all(host.status(n) == Status.SOCK_ESTABLISHED for n in range(8)))
        with pytest.raises(ConnectionRefusedError), client(lan):
            pass
    finally:
        for context in peers:
            context.__exit__(None, None, None)


def test_who_waits_in_the_backlog_of_a_closed_port_is_reset(host, lan):
    host.listen(0)
    with client(lan) as first, client(lan) as second:
        host.until_status(0, Status.SOCK_ESTABLISHED)
        host.give(0, b"hello")
        assert first.recv(5) == b"hello"
        with pytest.raises(ConnectionResetError):
            second.recv(1)


def test_a_listener_that_closes_shuts_the_port(host, lan):
    host.listen(0)
    host.command(0, Command.CLOSE)
    with pytest.raises(ConnectionRefusedError), client(lan):
        pass


def test_a_peer_that_does_not_read_holds_the_tx_memory(host, peer):
    host.give(0, b"first")
    assert host.interrupts(0) == IR_SEND_OK
    total = 5 + fill_the_peer(host)
    assert total < 100_000  # its window, the kernel's buffers and the TX memory
    host.interrupts(0)
    stuck = host.read(0, "Sn_TX_FSR", 2)
    assert stuck < 2048 and not host.interrupts(0)
    with pytest.warns(UserWarning, match="SEND before SEND_OK"):
        host.command(0, Command.SEND)
    received = 0
    while received < total:
        received += len(peer.recv(65536))
        host.chip.poll()
    assert host.read(0, "Sn_TX_FSR", 2) == 2048
    assert host.interrupts(0) == IR_SEND_OK


def test_a_chip_that_does_not_read_holds_the_peer(chip, host, peer):
    peer.setblocking(False)
    sent = 0
    while select.select([], [peer], [], 0.05)[1]:
        sent += peer.send(bytes(65536))
        chip.poll()
        assert sent < 20_000_000
    assert host.read(0, "Sn_RX_RSR", 2) == chip.counters.tcp_received == 2048
    assert not readable(chip)  # and nothing spins meanwhile
    host.take(0, 100)
    assert host.read(0, "Sn_RX_RSR", 2) == 2048


def test_megabyte_echo(chip, host, peer):
    data = random.randbytes(1 << 20)
    received = bytearray()

    def feed():
        peer.sendall(data)

    def collect():
        while len(received) < len(data):
            received.extend(peer.recv(65536))

    threads = [threading.Thread(target=work) for work in (feed, collect)]
    for thread in threads:
        thread.start()
    echoed = 0
    while echoed < len(data):
        host.until(lambda: host.read(0, "Sn_RX_RSR", 2) and host.read(0, "Sn_TX_FSR", 2) == 2048)
        piece = host.take(0)
        host.give(0, piece)
        echoed += len(piece)
    # The chip is polled by who reads its registers: what it still holds would stay there.
    host.until(lambda: host.read(0, "Sn_TX_FSR", 2) == 2048)
    for thread in threads:
        thread.join(10)
    assert bytes(received) == data
    assert chip.counters.tcp_received == chip.counters.tcp_sent == len(data)


def test_nothing_to_do_means_not_readable(chip, host, peer):
    peer.sendall(b"x")
    host.until(lambda: host.read(0, "Sn_RX_RSR", 2) == 1)
    assert not readable(chip)
    peer.shutdown(socket.SHUT_WR)
    host.until_status(0, Status.SOCK_CLOSE_WAIT)
    assert not readable(chip)


def test_connect(chip, host, lan):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5)
        lan.outgoing["192.168.77.9", 587] = server.getsockname()
        host.open(0, port=40000)
        host.write(0, "Sn_DIPR", int.from_bytes(bytes((192, 168, 77, 9)), "big"), 4)
        host.write(0, "Sn_DPORT", 587, 2)
        host.command(0, Command.CONNECT)
        peer, _ = server.accept()
        with peer:
            host.until_status(0, Status.SOCK_ESTABLISHED)
            assert host.interrupts(0) == IR_CON
            peer.sendall(b"220 hello")
            host.until(lambda: host.take(0) == b"220 hello")
        host.until_status(0, Status.SOCK_CLOSE_WAIT)
    host.open(0)  # the server is gone: RST
    host.interrupts(0)
    host.command(0, Command.CONNECT)
    host.until_status(0, Status.SOCK_CLOSED)
    assert host.interrupts(0) == IR_DISCON
    host.open(0)
    host.write(0, "Sn_DPORT", 588, 2)  # nobody: ARP or SYN time out
    host.command(0, Command.CONNECT)
    assert host.status(0) == Status.SOCK_CLOSED
    assert host.interrupts(0) == IR_TIMEOUT
