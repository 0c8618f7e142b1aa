"""TCP and UDP of the W5500 model, with devices on loopback: datasheet 4.2 and chapter on Sn_SR."""

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
    PROTOCOL_UDP,
    Command,
    Status,
)
from tests.chips.w5500_host import Host, client, readable, reset_on_close


@pytest.fixture
def peer(host, lan):
    """A device connected to socket 0."""
    host.listen(0)
    with client(lan) as peer:
        host.until_status(0, Status.SOCK_ESTABLISHED)
        assert host.interrupts(0) == IR_CON
        yield peer


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


def test_passive_close(host, peer):
    peer.shutdown(socket.SHUT_WR)
    host.until_status(0, Status.SOCK_CLOSE_WAIT)
    assert host.interrupts(0) == IR_DISCON
    host.give(0, b"bye")  # half-closed: still sent
    host.command(0, Command.DISCON)
    assert host.status(0) == Status.SOCK_CLOSED
    assert peer.recv(10) + peer.recv(10) == b"bye"


def test_fin_shows_only_after_the_data_before_it(host, peer):
    data = bytes(range(256)) * 12  # 3072 octets, the RX memory holds 2048
    peer.sendall(data)
    peer.shutdown(socket.SHUT_WR)
    host.until(lambda: host.read(0, "Sn_RX_RSR", 2) == 2048)
    assert host.status(0) == Status.SOCK_ESTABLISHED
    assert host.interrupts(0) == IR_RECV
    first = host.take(0, 1000)
    host.until(lambda: host.read(0, "Sn_RX_RSR", 2) == 2048)
    assert host.status(0) == Status.SOCK_ESTABLISHED
    assert first + host.take(0) + host.take(0) == data
    host.until_status(0, Status.SOCK_CLOSE_WAIT)
    assert host.interrupts(0) & IR_DISCON


def test_fin_needs_no_room(host, peer):
    peer.sendall(bytes(2048))
    peer.shutdown(socket.SHUT_WR)
    host.until_status(0, Status.SOCK_CLOSE_WAIT)
    assert host.read(0, "Sn_RX_RSR", 2) == 2048


def test_reset_by_the_peer(host, peer):
    peer.sendall(b"abc")
    host.until(lambda: host.read(0, "Sn_RX_RSR", 2) == 3)
    host.interrupts(0)
    reset_on_close(peer)
    peer.close()
    host.until_status(0, Status.SOCK_CLOSED)
    assert host.interrupts(0) == IR_DISCON
    assert host.take(0) == b"abc"  # what had come stays readable


def test_reset_behind_data_that_found_no_room(host, peer):
    """A RST overtakes what the chip has not taken: the rest of the data is lost, as on a LAN."""
    peer.sendall(bytes(4000))
    host.until(lambda: host.read(0, "Sn_RX_RSR", 2) == 2048)
    reset_on_close(peer)
    peer.close()
    host.until_status(0, Status.SOCK_CLOSED)
    assert len(host.take(0)) == 2048
    assert host.read(0, "Sn_RX_RSR", 2) == 0


def test_reset_in_close_wait(host, peer):
    peer.shutdown(socket.SHUT_WR)
    host.until_status(0, Status.SOCK_CLOSE_WAIT)
    host.interrupts(0)
    reset_on_close(peer)
    peer.close()
    host.until_status(0, Status.SOCK_CLOSED)
    assert host.interrupts(0) == IR_DISCON


def test_syn_and_rst_on_a_listener(host, lan):
    """LISTEN, ESTABLISHED, CLOSED; and the socket can be used again."""
    for _ in range(2):
        host.listen(0)
        with client(lan) as peer:
            reset_on_close(peer)
        host.until_status(0, Status.SOCK_ESTABLISHED)
        assert host.status(0) == Status.SOCK_CLOSED
        assert host.interrupts(0) == IR_CON | IR_DISCON


def test_close_drops(host, peer):
    host.command(0, Command.CLOSE)
    assert host.status(0) == Status.SOCK_CLOSED
    assert host.interrupts(0) == 0
    with pytest.raises(ConnectionResetError):
        peer.recv(1)


def test_close_takes_nothing_back_that_was_sent(chip, host, peer):
    """SEND_OK means that the peer has it, so CLOSE may not lose it on the way."""
    taken = fill_the_peer(host) - 2048 + host.read(0, "Sn_TX_FSR", 2)
    host.command(0, Command.CLOSE)
    received = 0
    while piece := peer.recv(65536):
        received += len(piece)
    assert received == taken == chip.counters.tcp_sent


def test_disconnect_then_close_is_a_clean_end_for_the_peer(host, peer):
    host.give(0, b"221 bye\r\n")
    host.command(0, Command.DISCON)
    host.command(0, Command.CLOSE)
    assert peer.recv(100) == b"221 bye\r\n"
    assert peer.recv(100) == b""


def test_disconnect_sends_what_is_still_in_the_memory(host, peer):
    total = fill_the_peer(host)
    host.command(0, Command.DISCON)
    assert host.status(0) == Status.SOCK_FIN_WAIT
    received = drain(host, peer)
    assert received == total
    peer.close()
    host.until_status(0, Status.SOCK_CLOSED)


def test_simultaneous_close(host, lan):
    """The peer's FIN comes while ours still waits behind data: CLOSING."""
    for number in reversed(range(8)):  # more than a window update in that FIN can set free
        host.write(number, "Sn_TXBUF_SIZE", 0 if number else 16)
    host.listen(0)
    with client(lan) as peer:
        host.until_status(0, Status.SOCK_ESTABLISHED)
        host.give(0, bytes(16384))
        host.command(0, Command.DISCON)
        peer.shutdown(socket.SHUT_WR)
        host.until_status(0, Status.SOCK_CLOSING)
        assert drain(host, peer) == 16384
        host.until_status(0, Status.SOCK_CLOSED)


def fill_the_peer(host):
    """SEND until the peer, which does not read, takes no more; octets given.

    A quarter of a second without news: its kernel delays no ACK for longer.
    """
    total = 0
    while host.read(0, "Sn_TX_FSR", 2) == 2048 or select.select([host.chip], [], [], 0.25)[0]:
        if host.read(0, "Sn_TX_FSR", 2) == 2048:
            host.give(0, bytes(2048))
            total += 2048
            assert total < 10_000_000
    return total


def drain(host, peer):
    received = 0
    while True:
        host.until(lambda: host.chip.poll() or readable(peer))
        piece = peer.recv(65536)
        received += len(piece)
        if not piece:
            return received


def test_a_peer_that_stays_half_open_is_given_up(chip, host, peer):
    host.command(0, Command.DISCON)
    for _ in range(chip.timeout_polls):
        assert host.status(0) == Status.SOCK_FIN_WAIT
    assert host.status(0) == Status.SOCK_CLOSED
    assert host.interrupts(0) == IR_TIMEOUT
    assert peer.recv(1) == b""


def test_pointers_wrap(lan):
    chip = W5500(lan, initial_pointer=0xFE00)
    host = Host(chip)
    host.listen(0)
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


def test_udp(host, lan):
    lan.udp[53] = lambda payload: payload[::-1] if payload != b"quiet" else None
    host.open(2, PROTOCOL_UDP, port=5353)
    assert host.status(2) == Status.SOCK_UDP
    host.write(2, "Sn_DIPR", 0xC0A84D01, 4)
    host.write(2, "Sn_DPORT", 53, 2)
    host.give(2, b"abc")
    assert host.interrupts(2) == IR_SEND_OK | IR_RECV
    assert host.take(2) == bytes((192, 168, 77, 1, 0, 53, 0, 3)) + b"cba"
    host.give(2, b"quiet")
    host.write(2, "Sn_DPORT", 54, 2)
    host.give(2, b"nobody")
    assert host.interrupts(2) == IR_SEND_OK
    assert host.read(2, "Sn_RX_RSR", 2) == 0


def test_udp_splits_at_the_segment_size_and_drops_what_finds_no_room(host, lan):
    seen = []
    lan.udp[9] = lambda payload: seen.append(payload) or payload
    host.open(0, PROTOCOL_UDP)
    host.write(0, "Sn_DIPR", 0xFFFFFFFF, 4)
    host.write(0, "Sn_DPORT", 9, 2)
    data = random.randbytes(2048)
    host.give(0, data)
    assert seen == [data[:1472], data[1472:]]
    # 8 + 1472 octets fit, 8 + 576 more do not: whole or not at all.
    assert host.take(0) == bytes((192, 168, 77, 1, 0, 9, 0x05, 0xC0)) + data[:1472]


def test_udp_without_link_times_out(host, lan):
    lan.set_link(False)
    host.open(0, PROTOCOL_UDP)
    host.give(0, b"x")
    assert host.interrupts(0) == IR_TIMEOUT
    assert host.status(0) == Status.SOCK_UDP


def test_vanished_peer_is_found_out_by_sending(chip, host, lan, peer):
    lan.vanish("192.168.77.1")
    peer.sendall(b"never seen")
    for _ in range(chip.timeout_polls * 2):
        assert host.status(0) == Status.SOCK_ESTABLISHED
    assert host.read(0, "Sn_RX_RSR", 2) == 0 and not readable(chip)
    host.give(0, b"anybody there?")
    assert_given_up(chip, host)


def assert_given_up(chip, host):
    for _ in range(chip.timeout_polls):
        chip.poll()
    assert host.interrupts(0) == IR_TIMEOUT
    assert host.status(0) == Status.SOCK_CLOSED


@pytest.mark.parametrize("how", ["SEND_KEEP", "KPALVTR", "DISCON"])
def test_vanished_peer_is_found_out_otherwise(chip, host, lan, peer, how):
    lan.vanish()
    host.status(0)
    if how == "KPALVTR":
        host.write(0, "Sn_KPALVTR", 1)
    else:
        host.command(0, Command[how])
    assert_given_up(chip, host)


def test_only_the_named_device_vanishes(host, lan):
    host.listen(0)
    host.listen(1)
    with client(lan, device="127.0.0.20"), client(lan, device="127.0.0.21") as other:
        host.until(lambda: host.status(0) == host.status(1) == Status.SOCK_ESTABLISHED)
        lan.vanish("192.168.77.20")
        other.sendall(b"still here")
        host.until(lambda: host.take(1) == b"still here")


def test_link_down_stalls_and_resumes(chip, host, lan, peer):
    host.listen(1)
    lan.set_link(False)
    assert host.read_common(0x2E) == b"\xb8"
    host.status(0)  # any status read brings the chip up to date
    with pytest.raises(ConnectionRefusedError), client(lan):
        pass
    peer.sendall(b"late")
    host.give(0, b"later")
    for _ in range(chip.timeout_polls * 2):
        assert host.status(0) == Status.SOCK_ESTABLISHED
    assert not readable(chip)
    assert host.read(0, "Sn_RX_RSR", 2) == 0
    assert host.interrupts(0) == 0
    assert not readable(peer)

    lan.set_link(True)
    host.until(lambda: host.read(0, "Sn_RX_RSR", 2) == 4)
    assert host.interrupts(0) == IR_RECV | IR_SEND_OK
    assert peer.recv(10) == b"later"
    with client(lan):
        host.until_status(1, Status.SOCK_ESTABLISHED)


def test_disconnect_without_link_waits_for_it(host, lan, peer):
    lan.set_link(False)
    host.command(0, Command.DISCON)
    assert host.status(0) == Status.SOCK_FIN_WAIT
    assert not readable(peer)
    lan.set_link(True)
    host.until(lambda: host.chip.poll() or readable(peer))
    assert peer.recv(10) == b""
