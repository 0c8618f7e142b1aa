"""Connections that begin here: the W5500's own, on the chip model. lwIP's are in tests/notices."""

import socket

import pytest

from tests.net.test_wiznet import bench, up  # noqa: F401  (fixtures)
from tests.net.wiznet_bench import CONTROL, receive_all, until

pytestmark = pytest.mark.filterwarnings("error::UserWarning")

PORT = 1883
HOST = "192.168.77.1"
# Runs in the VM beside the services: one connection out, and what came of it.
REACH = '''
reached = None

async def _reach(address, port, timeout, octets):
    global reached
    connection = None
    try:
        connection = await link.connect(address, port, timeout)
        await connection.write(octets)
        told, buf = b"", bytearray(64)
        count = await read(connection, buf)
        while count:
            told += bytes(buf[:count])
            count = await read(connection, buf)
        await connection.close()
        reached = told
    except OSError as error:
        reached = str(error)
    finally:
        if connection:
            connection.abort()

def reach(address, port, timeout=5000, octets=b"hello"):
    global reached
    reached = None
    asyncio.create_task(_reach(address, port, timeout, octets))
'''


@pytest.fixture
def link(up):  # noqa: F811
    up.vm.exec(REACH)
    return up


@pytest.fixture
def server(link):
    with socket.create_server(link.lan.outside(PORT)) as server:
        server.settimeout(10)
        yield server


def listeners(ask) -> list[int]:
    return sorted(ask("link.clients.listening"))


def test_a_server_is_reached_and_the_socket_listens_again(link, server):
    with link.serving(echo=25) as ask:
        before = listeners(ask)
        seen = set()
        for number in range(12):
            ask(f"reach({HOST!r}, {PORT})")
            peer, (_, port) = server.accept()
            seen.add(port)
            with peer:
                assert peer.recv(64) == b"hello"
                assert len(listeners(ask)) == len(before) and listeners(ask) != before
                peer.sendall(b"answer %d" % number)
                peer.shutdown(socket.SHUT_WR)
                assert receive_all(peer) == b""
            until(lambda: ask("reached"), "the end")
            assert ask("reached") == b"answer %d" % number
            until(lambda: listeners(ask) == before, "the listener")
        assert len(seen) == 12


def test_the_chip_uses_another_port_each_time(link, server):
    with link.serving(echo=25) as ask:
        ports = set()
        for _ in range(3):
            ask(f"reach({HOST!r}, {PORT})")
            with server.accept()[0] as peer:
                assert peer.recv(5)
                number = ask("[n for n in range(8) if link.clients.connections[n] "
                             "and link.clients.connections[n].local_port == 0][0]")
                ports.add(link.chip.sockets[number].word("Sn_PORT"))
            until(lambda: ask("reached is not None"), "the end")
        assert len(ports) == 3 and min(ports) >= 0xC000


@pytest.mark.parametrize("address", [HOST, "192.168.77.50", "10.1.2.3"])
def test_nobody_there(link, address):
    with link.serving(echo=25) as ask:
        before = listeners(ask)
        ask(f"reach({address!r}, {PORT})")
        until(lambda: ask("reached"), "the end")
        assert "nobody answers there" in ask("reached")
        until(lambda: listeners(ask) == before, "the listener")


def test_a_syn_without_an_answer_has_a_deadline(link):
    begin = link.lan.connect

    def begin_in_vain(address, port):
        connection = begin(address, port)
        connection.vanish()
        return connection

    link.lan.connect = begin_in_vain
    link.chip.timeout_polls = 1 << 30
    with socket.create_server(link.lan.outside(PORT)), link.serving(echo=25) as ask:
        before = listeners(ask)
        ask(f"reach({HOST!r}, {PORT}, 100)")
        until(lambda: ask("reached"), "the end")
        assert "nobody answers there" in ask("reached") and listeners(ask) == before


def test_what_clients_need_is_left_to_them(link, server):
    """With five sessions two sockets listen, and a notice waits; with four it has its turn."""
    with link.serving(echo=25) as ask:
        ask("setattr(limits, 'CONNECT_ROOM', 200)")
        clients = [link.connect(25) for _ in range(4)]  # with control's five
        for client in clients:
            client.sendall(b"x")
            assert client.recv(1) == b"x"
        assert listeners(ask)[-2:] == [25, CONTROL]
        ask(f"reach({HOST!r}, {PORT})")
        until(lambda: ask("reached"), "the end")
        assert "clients have all sockets" in ask("reached")
        assert listeners(ask)[-2:] == [25, CONTROL]
        ask("setattr(limits, 'CONNECT_ROOM', 10_000)")
        ask(f"reach({HOST!r}, {PORT})")
        clients.pop().close()
        with server.accept()[0] as peer:
            assert peer.recv(5) == b"hello"
            assert listeners(ask)[-2:] == [25, CONTROL]
            newcomer = link.connect(25)  # the next client is served beside it
            newcomer.sendall(b"y")
            assert newcomer.recv(1) == b"y"
            newcomer.close()
        until(lambda: ask("reached is not None"), "the end")
        for client in clients:
            client.close()


def test_a_reset_peer(link, server):
    with link.serving(echo=25) as ask:
        before = listeners(ask)
        ask(f"reach({HOST!r}, {PORT})")
        peer, _ = server.accept()
        peer.recv(5)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        peer.close()
        until(lambda: ask("reached"), "the end")
        assert "ECONNRESET" in ask("reached")
        until(lambda: listeners(ask) == before, "the listener")


def test_the_name_server_is_known(link):
    assert link.vm.eval("link.dns") == "192.168.77.1"
