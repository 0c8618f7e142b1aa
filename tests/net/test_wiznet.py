"""The W5500 link, in the MicroPython VM on the chip model: bring-up, streams, faults, costs."""

import random
import re
import socket
import threading
import zlib

import pytest

from host_tools.emulator.chips.w5500_registers import Status
from tests.net.wiznet_bench import (
    BOARD,
    CONTROL,
    STATIC,
    WiznetBench,
    exchange,
    receive,
    receive_all,
    reset,
    until,
)

# Whatever the datasheet does not allow, the chip model warns of. A SEND can cross the peer's RST.
pytestmark = pytest.mark.filterwarnings(
    "error::UserWarning", "ignore:W5500 socket .. SEND in SOCK_CLOSED ignored")

PATTERN = bytes(n * 7 & 0xFF for n in range(251)) * 4  # as vm_services.py has it
SOURCE = PATTERN * 300


@pytest.fixture
def bench():
    bench = WiznetBench(STATIC)
    yield bench
    bench.close()


@pytest.fixture
def up(bench):
    bench.up()
    return bench


# --- bringing up ----------------------------------------------------------------------------

def test_static_address_needs_nothing_of_the_package(bench):
    bench.up()
    assert bench.vm.eval("link.address") == "192.168.77.9"
    assert not bench.vm.eval("[name for name in sys.modules if 'adafruit' in name]")
    assert bench.vm.eval("bytes(link.chip.addresses())") == bytes(
        [192, 168, 77, 1, 255, 255, 255, 0, 2, 0x08, 0x43, 0x2D, 0x2B, 0x2A, 192, 168, 77, 9])


def test_no_chip(bench):
    bench.bench.pins.outputs.pop(BOARD["wiznet"]["cs"])  # its select line is broken: MISO floats
    assert bench.vm.eval("up()") == "W5500: no chip answers, VERSIONR is 255"


def test_no_cable(bench):
    bench.lan.set_link(False)
    bench.vm.exec("limits.CABLE_WAIT = 50")
    assert "no link" in bench.vm.eval("up()")
    bench.lan.set_link(True)
    bench.up()


def test_board_without_reset_line(bench):
    board = {"wiznet": {key: pin for key, pin in BOARD["wiznet"].items() if key != "reset"}}
    bench.vm.exec(f"make_link({board!r}, link._settings)")
    bench.bench.pins.outputs.pop(BOARD["wiznet"]["reset"])
    bench.chip.sockets[3].registers[0] = 1  # Sn_MR, left over from before
    bench.up()
    assert bench.chip.sockets[3].registers[0] == 0
    assert bench.vm.eval("link.address") == "192.168.77.9"


@pytest.fixture
def dhcp_bench():
    bench = WiznetBench("dhcp")
    yield bench
    bench.close()


def heap(vm):
    """Octets in use, the table of names not counted: it grows by 7 KB at once, now and then."""
    vm.exec("import micropython\nmicropython.qstr_info()")
    names = int(re.search(r"n_total_bytes=(\d+)", vm.printed[-1])[1])
    return vm.eval("(gc.collect(), gc.mem_alloc())[1]") - names


def test_dhcp(dhcp_bench):
    before = heap(dhcp_bench.vm)
    dhcp_bench.up()
    after = heap(dhcp_bench.vm)
    assert dhcp_bench.vm.eval("link.address") == "192.168.77.2"
    assert dhcp_bench.lan.dhcp.messages == {"DISCOVER": 1, "OFFER": 1, "REQUEST": 1, "ACK": 1}
    assert after - before < 20_000  # octets of 64-bit heap, about 10,000 on a board
    assert not dhcp_bench.chip.sockets[0].status  # and the socket is free again


def test_dhcp_silence_has_an_end(dhcp_bench):
    answer = dhcp_bench.lan.udp.pop(67)
    sent = []
    dhcp_bench.lan.udp[67] = lambda message: sent.append(message)
    dhcp_bench.vm.exec("limits.DHCP_RETRY = 2")
    assert dhcp_bench.vm.eval("up()") == "no DHCP server answers"
    assert len(sent) == 4
    dhcp_bench.lan.udp[67] = answer
    dhcp_bench.up()


def test_dhcp_server_that_answers_late(dhcp_bench):
    answer = dhcp_bench.lan.udp.pop(67)
    sent = []
    dhcp_bench.lan.udp[67] = lambda message: (
        sent.append(message) or answer(message) if len(sent) % 2 else sent.append(message))
    dhcp_bench.vm.exec("limits.DHCP_RETRY = 2")
    dhcp_bench.up()
    assert len(sent) == 4  # both messages twice


def test_dhcp_ignores_what_is_no_answer(dhcp_bench):
    answer = dhcp_bench.lan.udp[67]
    noise = random.Random(1)

    def option(reply, code, value):
        return reply[:240] + bytes([code, len(value)]) + value + reply[240:]

    spoilers = [
        lambda reply: b"\x02" * 4,  # short
        lambda reply: noise.randbytes(700),  # longer than the package's buffer
        lambda reply: reply[:4] + b"else" + reply[8:],  # another client's xid
        lambda reply: reply[:240] + b"\x35\xfe" * 200,  # an option beyond the message's end
        lambda reply: reply[:240] + b"\x35\x00" * 30,  # a message type without a type
        lambda reply: option(reply.replace(b"\x01\x04\xff", b"\xfa\x04\xff"), 1, b"\xff"),
        lambda reply: option(reply.replace(b"\x03\x04\xc0", b"\xfa\x04\xc0"), 3, b""),
        lambda reply: option(reply.replace(b"\x36\x04\xc0", b"\xfa\x04\xc0"), 54, b"\xc0" * 9),
    ] + [lambda reply: reply[:240] + noise.randbytes(60)] * 40
    count = len(spoilers)

    def spoil(message):
        reply = answer(message)
        return spoilers.pop()(reply) if spoilers else reply

    dhcp_bench.lan.udp[67] = spoil
    dhcp_bench.vm.exec(f"limits.DHCP_RETRY = 0; limits.DHCP_ATTEMPTS = {count + 1}")
    dhcp_bench.up()
    assert dhcp_bench.vm.eval("link.address") == "192.168.77.2"
    assert not spoilers
    assert dhcp_bench.chip._common[1:9] == bytes([192, 168, 77, 1, 255, 255, 255, 0])


def test_dhcp_reads_one_datagram_a_step(dhcp_bench):
    """The package alone reads on for as long as there are any: 4 s, then 8, then the watchdog."""
    dhcp_bench.up()
    answer, socket = dhcp_bench.lan.udp[67], dhcp_bench.chip.sockets[0]

    def noisy(message):
        for _ in range(20):
            socket._take_datagram(STRANGER, 67, b"noise of a stranger")
        return answer(message)

    dhcp_bench.lan.udp[67] = noisy
    dhcp_bench.vm.exec("""
import time
lease = link._lease
lease._client.restart()
lease._next = time.ticks_ms()
link._tend_datagrams()
""")
    assert dhcp_bench.vm.eval("lease._bound, link.chip.look(0).rx_size > 500") == (False, True)
    assert dhcp_bench.vm.eval("link.room_wanted & 1")  # there is no news of what is left
    assert dhcp_bench.vm.eval("[lease.step() for _ in range(100)].count(True) > 0")


def test_dhcp_short_datagram_does_not_spoil_the_request(dhcp_bench):
    answer = dhcp_bench.lan.udp[67]
    messages = dhcp_bench.lan.dhcp.messages
    shorts = [b"\x02" * 4]
    dhcp_bench.lan.udp[67] = lambda message: (
        shorts.pop() if messages["OFFER"] and shorts else answer(message))
    dhcp_bench.vm.exec("limits.DHCP_RETRY = 1")
    dhcp_bench.up()
    assert messages == {"DISCOVER": 1, "OFFER": 1, "REQUEST": 1, "ACK": 1} and not shorts


def test_dhcp_server_that_dies_after_its_offer(dhcp_bench):
    """The client does not ask it for ever, but looks for another one."""
    answer = dhcp_bench.lan.udp.pop(67)
    messages = dhcp_bench.lan.dhcp.messages
    dhcp_bench.lan.udp[67] = lambda message: None if messages["OFFER"] else answer(message)
    dhcp_bench.vm.exec("limits.DHCP_RETRY = 1")
    assert "no DHCP server" in dhcp_bench.vm.eval("up()")
    dhcp_bench.lan.udp[67] = answer
    dhcp_bench.vm.exec("limits.DHCP_RETRY = 4000")
    until(lambda: dhcp_bench.vm.eval("link._lease.step()"), "the lease")
    assert messages == {"DISCOVER": 2, "OFFER": 2, "REQUEST": 1, "ACK": 1}


@pytest.mark.parametrize("seconds", [864_000, 0xFFFFFFFF])
def test_dhcp_long_lease(dhcp_bench, seconds):
    dhcp_bench.lan.dhcp.lease_seconds = seconds
    dhcp_bench.up()
    assert dhcp_bench.vm.eval("link.address") == "192.168.77.2"


def test_dhcp_strange_times(dhcp_bench):
    """T1 and T2 after the lease's end, and so far off that the package cannot count so far."""
    dhcp_bench.lan.udp[67] = _with_t1(dhcp_bench.lan.udp[67], 0xFFFFFFFF)
    dhcp_bench.up()
    assert dhcp_bench.vm.eval("link.address") == "192.168.77.2"


def _with_t1(answer, seconds):
    """A server whose leases are to be renewed after so long (T1, RFC 2132 9.11)."""
    def reply(message):
        octets = answer(message)
        at = octets.index(b"\x3a\x04") + 2
        return octets[:at] + seconds.to_bytes(4, "big") + octets[at + 4 :]
    return reply


def test_dhcp_renewal_holds_nobody_up(dhcp_bench):
    dhcp_bench.vm.exec("limits.PATROL = limits.DHCP_TIMES = limits.DHCP_RENEWAL_RETRY = 1;"
                       "limits.DHCP_RETRY = 100")
    dhcp_bench.lan.udp[67] = answer = _with_t1(dhcp_bench.lan.udp[67], 1)
    messages = dhcp_bench.lan.dhcp.messages
    dhcp_bench.up()
    asked = []
    with dhcp_bench.serving(echo=25) as ask:
        until(lambda: messages["ACK"] == 2, "an extension")
        dhcp_bench.lan.udp[67] = lambda message: asked.append(message)  # and no answer
        until(lambda: asked, "a request in vain")
        # The package alone would now wait 3 to 5 s and let nobody else run.
        with dhcp_bench.connect(25) as client:
            assert exchange(client, SOURCE) == SOURCE
        until(lambda: len(asked) > 1, "another one")
        assert ask("link.address") == "192.168.77.2"
        dhcp_bench.lan.udp[67] = answer
        until(lambda: messages["ACK"] == 3, "the next extension")
    assert messages["DISCOVER"] == 1


def test_dhcp_other_network(dhcp_bench):
    """The cable goes to another network: the lease is verified, refused, and a new one asked."""
    dhcp_bench.vm.exec("limits.PATROL = 1")
    dhcp_bench.up()
    messages = dhcp_bench.lan.dhcp.messages
    dhcp_bench.vm.exec("moved = []; link.moved = moved.append")
    with dhcp_bench.serving(echo=25) as ask:
        dhcp_bench.unplug()
        dhcp_bench.lan.set_link(True)
        until(lambda: messages["ACK"] == 2, "the verified lease")
        assert messages["DISCOVER"] == 1
        [client] = _clients(dhcp_bench, ask, 25, 1)
        dhcp_bench.unplug()
        dhcp_bench.lan.dhcp.address = bytes([192, 168, 77, 3])
        dhcp_bench.lan.set_link(True)
        with client, pytest.raises(ConnectionError):
            client.recv(1)  # nobody reaches it at the address that it came to
        with dhcp_bench.control() as ask_again:
            until(lambda: ask_again("link.address") == "192.168.77.3", "the new address")
            assert ask_again("moved[-1]") == "192.168.77.3"
            until(lambda: ask_again("sum([c is not None for c in link.clients.connections])") == 1,
                  "the end of all other sessions")
    assert messages["NAK"] == 1 and messages["DISCOVER"] == 2
    assert bytes(dhcp_bench.chip._common[0x0F:0x13]) == bytes([192, 168, 77, 3])


# --- streams --------------------------------------------------------------------------------

def _clients(bench, ask, port, count):
    """So many connections, each taken by the firmware before the next one comes."""
    sessions = "sum([connection is not None for connection in link.clients.connections])"
    clients = []
    for number in range(ask(sessions) + 1, ask(sessions) + 1 + count):
        clients.append(bench.connect(port))
        until(lambda: ask(sessions) == number, "the session")  # noqa: B023
    return clients


def test_five_clients_get_back_what_they_send(up):
    generator = random.Random(5)
    data = [generator.randbytes(1_000_000) for _ in range(5)]
    answers = {}

    def talk(number, client):
        with client:
            answers[number] = exchange(client, data[number])

    with up.serving(echo=25) as ask:
        threads = [threading.Thread(target=talk, args=pair)
                   for pair in enumerate(_clients(up, ask, 25, 5))]
        calls = up.spi_calls
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        calls = up.spi_calls - calls
        assert ask("events") == [("echo", "closed")] * 5
    assert [answers[number] == data[number] for number in range(5)] == [True] * 5
    print(f"echo: {calls * 1024 / 10_000_000:.1f} SPI calls per KB")
    assert calls <= 4.5 * 10_000_000 / 1024


def test_cost_of_receiving(up):
    data = bytes(1_000_000)
    with up.serving(sink=25) as ask:
        ask("gate.set()")
        with up.connect(25) as client:
            calls = up.spi_calls
            assert exchange(client, data) == b"%d %d" % (len(data), zlib.crc32(data))
            calls = up.spi_calls - calls
    print(f"receiving: {calls * 1024 / len(data):.1f} SPI calls per KB")
    assert calls <= 4.5 * len(data) / 1024


def test_cost_of_sending(up):
    with up.serving(source=25):
        with up.connect(25) as client:
            calls = up.spi_calls
            assert receive_all(client) == SOURCE
            calls = up.spi_calls - calls
    print(f"sending in pieces of {len(PATTERN)}: {calls * 1024 / len(SOURCE):.1f} SPI calls per KB")
    assert calls <= 8 * len(SOURCE) / 1024


def test_heap_of_streams(bench):
    """Octets of 64-bit heap taken, given back or not; of the driver, without the emulated SPI.

    A turn of asyncio's loop takes 144 of what a task's read or write of 2 KB takes.
    """
    taken = bench.vm.eval("heap_of_streams()")
    print("octets of heap:", taken)
    assert taken.pop("write") <= 264
    assert taken.pop("short read_now") == taken.pop("short write_now") == 32
    assert set(taken) == {"read_now", "write_now", "poll"} and not any(taken.values())


def _idle_calls(up):
    """SPI calls per poll of an idle link."""
    with up.serving(echo=25) as ask:
        ask("count_polls()")
        calls, polls = up.spi_calls, ask("polls")
        looks = up.chip.counters.polls + 300
        until(lambda: up.chip.counters.polls > looks, "idle polls")
        calls, polls = up.spi_calls - calls, ask("polls") - polls
        assert polls > 100
    return calls / polls


# Patrols come with the time, and polls with the CPU, of which a busy machine has little.
RARE_PATROLS = "limits.PATROL = 1_000_000"


def test_cost_of_idling(up):
    """INTn tells that there is no news; what is left are the test's two questions."""
    up.vm.exec(RARE_PATROLS)
    cost = _idle_calls(up)
    print(f"idle: {cost:.2f} SPI calls per poll")
    assert cost <= 0.1


def test_cost_of_patrols(up):
    """Each 100 ms a look at one socket; here at each poll, as if idling at 10 times the pace."""
    up.vm.exec("limits.PATROL = 1")
    cost = _idle_calls(up)
    print(f"idle: {cost:.2f} SPI calls per patrol")
    assert cost <= 1.6


def test_board_without_interrupt_line(bench):
    board = {"wiznet": {key: pin for key, pin in BOARD["wiznet"].items() if key != "interrupt"}}
    bench.vm.exec(f"make_link({board!r}, link._settings)\n" + RARE_PATROLS)
    bench.up()
    cost = _idle_calls(bench)
    print(f"idle: {cost:.2f} SPI calls per poll")
    assert cost <= 1.1


def test_interrupt_line_that_is_not_wired(bench):
    """The patrol finds out, and from then on SIR is asked."""
    bench.bench.pins.inputs.pop(BOARD["wiznet"]["interrupt"])
    bench.vm.exec("limits.PATROL = 1")
    bench.up()
    with bench.serving(echo=25) as ask:
        until(lambda: ask("link._line is None"), "no trust in the line")
        ask("setattr(limits, 'PATROL', 1_000_000_000)")
        with bench.connect(25) as client:
            assert exchange(client, SOURCE) == SOURCE


@pytest.mark.parametrize("news, level, trusted", [(2, 0, True), (0, 1, True), (2, 1, False)])
def test_interrupt_line_that_says_what_sir_says_is_trusted(up, news, level, trusted):
    up.vm.exec(f"link.chip.news = lambda: {news}; link._line = lambda: {level}; link._patrol()")
    assert up.vm.eval("link._line is not None") is trusted


def test_writer_keeps_the_link_awake(bench):
    """Its SENDs raise no news: were the link to fall idle, each would wait 10 ms for the next."""
    assert bench.vm.eval("quiet_after_a_write()") == 0


def test_each_block_gives_others_a_turn(bench):
    assert bench.vm.eval("turns_of_another_task()") >= 10


def test_room_is_not_filled_in_dribs(bench):
    assert bench.vm.eval("[sent_into(*pair) for pair in ((2048, 2048), (100, 50), (100, 100), "
                         "(1023, 1024), (1024, 1025), (0, 1))]") == [2048, 50, 100, 0, 1024, 0]


# --- back-pressure and fairness ---------------------------------------------------------------

def test_slow_reader_stops_the_writer_and_nobody_else(up):
    with up.serving(source=25, echo=26) as ask:
        with up.connect(25) as slow:
            assert slow.recv(1) == SOURCE[:1]
            with up.connect(26) as client:
                assert exchange(client, SOURCE) == SOURCE
            assert ask("written") < len(SOURCE) // 2
            assert receive_all(slow) == SOURCE[1:]


def test_slow_writer_stops_the_reader_and_nobody_else(up):
    with up.serving(sink=25, echo=26) as ask:
        answers = []
        with up.connect(25) as held:
            sender = threading.Thread(target=lambda: answers.append(exchange(held, SOURCE)))
            sender.start()
            with up.connect(26) as client:
                assert exchange(client, SOURCE) == SOURCE
            assert up.chip.counters.tcp_received < 2 * len(SOURCE)
            ask("gate.set()")
            sender.join()
    assert answers == [b"%d %d" % (len(SOURCE), zlib.crc32(SOURCE))]


def test_busy_client_starves_nobody(up):
    with up.serving(echo=25) as ask:
        busy, calm = _clients(up, ask, 25, 2)
        stop = threading.Event()

        def flood():
            while not stop.is_set():
                busy.sendall(SOURCE)
            busy.shutdown(socket.SHUT_WR)

        threads = [threading.Thread(target=flood),
                   threading.Thread(target=receive_all, args=(busy,))]
        for thread in threads:
            thread.start()
        for turn in range(200):
            calm.sendall(b"%d" % turn)
            assert calm.recv(10) == b"%d" % turn
        stop.set()
        for thread in threads:
            thread.join()
        busy.close()
        calm.close()


# --- ends ---------------------------------------------------------------------------------------

def test_half_close(up):
    """What came before the client's end of stream is read, and then the answer goes out."""
    with up.serving(sink=25) as ask:
        with up.connect(25) as client:
            client.sendall(PATTERN)
            client.shutdown(socket.SHUT_WR)
            ask("gate.set()")
            assert receive_all(client) == b"%d %d" % (len(PATTERN), zlib.crc32(PATTERN))


def test_close_delivers_what_was_written(up):
    with up.serving(source=25, echo=26):
        with up.connect(25) as client, up.connect(26) as other:
            for start in range(0, len(SOURCE), 10_040):
                # Slower than the link: each read is behind a round trip of another client.
                other.sendall(b"x")
                assert other.recv(1) == b"x"
                assert receive(client, 10_040) == SOURCE[start : start + 10_040]
            assert client.recv(1) == b""


def test_fin_comes_after_the_last_octet_was_acknowledged(bench):
    """On the chip a DISCON overtakes what waits in the TX memory; the model is kinder."""
    bench.vm.exec("limits.LINGER = 20")
    assert bench.vm.eval("commands_of_close(2047)") == []
    assert bench.vm.eval("commands_of_close(2048)") == [0x08]


def test_peer_that_resets(up):
    with up.serving(sink=25, source=26, echo=27) as ask:
        reading = up.connect(27)
        reading.sendall(b"x")
        assert reading.recv(1) == b"x"
        reset(reading)
        until(lambda: ask("events") == [("echo", 104)], "ECONNRESET while reading")
        writing = up.connect(26)
        assert writing.recv(1)
        reset(writing)
        until(lambda: ask("events[1:]") == [("source", 104)], "ECONNRESET while writing")
        with up.connect(27) as client:
            assert exchange(client, PATTERN) == PATTERN


def test_peer_that_vanishes(up):
    """No FIN, no RST: the chip gives the peer up when nothing is acknowledged."""
    up.chip.timeout_polls = 100
    with up.serving(source=25) as ask:
        with up.connect(25, device=20) as client:
            assert client.recv(1)
            up.lan.vanish("192.168.77.20")
            until(lambda: ask("events") == [("source", 104)], "ECONNRESET")
            assert ask("[c.peer for c in link.clients.connections if c]") == ["192.168.77.1"]


def test_connection_knows_its_ends(up):
    with up.serving(echo=25) as ask:
        with up.connect(25, device=33) as client:
            client.sendall(b"x")
            assert client.recv(1) == b"x"
            assert ("192.168.77.33", 25) in ask(
                "[(c.peer, c.local_port) for c in link.clients.connections if c]")


def test_syn_then_reset_on_every_listener(up):
    with up.serving(echo=25) as ask:
        for _ in range(20):
            reset(up.connect(25))
            ask("0")
        with up.connect(25) as client:
            assert exchange(client, PATTERN) == PATTERN


def test_cancelled_session_says_good_bye(up):
    with up.serving(hold=25) as ask:
        with up.connect(25) as client:
            client.sendall(b"r")
            ask("gate.set()")
            assert receive_all(client) == b"421 bye"
        until(lambda: len(ask("events")) == 3, "its end")
        assert ask("events") == [("hold", "cancelled"), ("hold", "closed"), ("hold", 107)]


def test_cancelled_in_the_middle_of_a_write(up):
    with up.serving(hold=25) as ask:
        with up.connect(25) as client:
            client.sendall(b"w")
            assert client.recv(1) == PATTERN[:1]
            ask("gate.set()")
            until(lambda: ask("events") == [("hold", "cancelled")], "the cancellation")
            received = receive_all(client)
        assert received.endswith(b"421 bye")
        assert (PATTERN * 100)[1:].startswith(received[:-7]) and len(received) < 100 * len(PATTERN)


def test_client_that_never_ends_its_side(up):
    """close() does not wait for it for ever, and the socket listens again."""
    up.vm.exec("limits.LINGER = 20")
    up.chip.timeout_polls = 1_000_000_000
    with up.serving(source=25, echo=26) as ask:
        with up.connect(25) as client:
            assert receive_all(client) == SOURCE
            until(lambda: ask("len([c for c in link.clients.connections if c])") == 1, "its socket")


@pytest.mark.parametrize("service", ["forget", "fail", "leave"])
def test_session_that_does_not_close(up, service):
    with up.serving(**{service: 25}) as ask:
        for _ in range(10):  # more than there are sockets
            with up.connect(25) as client:
                client.sendall(b"x")
                with pytest.raises(ConnectionResetError):
                    assert client.recv(1) == b"x"
            ask("0")


# --- sockets ------------------------------------------------------------------------------------

def test_more_clients_than_sockets(up):
    with up.serving(echo=25) as ask:
        clients = _clients(up, ask, 25, 5)
        with pytest.raises(ConnectionError):  # the one that is left listens where it was first
            with up.connect(CONTROL) as refused:
                refused.recv(1)
        clients += _clients(up, ask, 25, 1)
        for port in (25, CONTROL):
            with pytest.raises(ConnectionError):
                with up.connect(port) as refused:
                    refused.recv(1)
        for client in clients[:5]:
            client.sendall(b"x")
            assert client.recv(1) == b"x"
            client.close()
        until(lambda: len(ask("events")) == 5, "the ends")
        for client in _clients(up, ask, 25, 4):
            assert exchange(client, PATTERN) == PATTERN
            client.close()


def test_every_free_socket_listens(up):
    with up.serving(echo=25, sink=26) as ask:
        def listeners():
            return [ask("link.clients.listening").count(port) for port in (25, 26, CONTROL)]

        assert listeners() == [4, 1, 1]  # the first port has what is left over
        first = _clients(up, ask, 25, 2)
        assert listeners() == [2, 1, 1]
        second = _clients(up, ask, 25, 1)
        assert listeners() == [1, 1, 1]
        third = _clients(up, ask, 25, 1)
        assert listeners() == [1, 1, 0]  # too few for all: the last goes without
        for client in first + second + third:
            client.close()
        until(lambda: listeners() == [4, 1, 1], "all six")


def test_the_listener_that_would_get_a_client_last_moves(up):
    """The chip gives a client to the first of a port's sockets, perhaps just while it moves."""
    with up.serving(echo=25) as ask:
        assert ask("link.clients.listening")[1:] == [25, 25, 25, 25, 25, CONTROL, 0]


# --- faults -------------------------------------------------------------------------------------

def test_listener_that_closed_without_a_word(up):
    up.vm.exec("limits.PATROL = 1")
    with up.serving(echo=25) as ask:
        listener = ask("link.clients.listening.index(25)")
        ask(f"link.chip.close({listener})")
        until(lambda: up.chip.sockets[listener].status == Status.SOCK_LISTEN, "its return")


def test_link_lost_and_found(up):
    up.vm.exec("limits.PATROL = 1")
    with up.serving(echo=25):
        answers = []
        with up.connect(25) as client:
            data = SOURCE * 10
            worker = threading.Thread(target=lambda: answers.append(exchange(client, data)))
            start = up.chip.counters.tcp_received
            worker.start()
            until(lambda: up.chip.counters.tcp_received > start + 100_000, "a good part")
            up.unplug()
            with pytest.raises(ConnectionError):
                up.connect(25)
            up.lan.set_link(True)
            worker.join()
            assert answers == [data]
        with up.connect(25) as client:
            assert exchange(client, PATTERN) == PATTERN


def _statuses(bench):
    return {socket.status for socket in bench.chip.sockets[1:]}


def test_chip_that_was_reset(up):
    """As by a dip of its supply: sessions end, address and listeners come back."""
    up.vm.exec("limits.PATROL = 1")
    with up.serving(echo=25) as ask:
        addresses = ask("bytes(link.chip.addresses())")
        [client] = _clients(up, ask, 25, 1)
        pin = BOARD["wiznet"]["reset"]
        with pytest.raises(ConnectionError):
            ask(f"machine.Pin({pin}, machine.Pin.OUT, value=0)")
        until(lambda: _statuses(up) == {Status.SOCK_LISTEN}, "all listeners")
        with up.control() as ask_again:
            assert ask_again("bytes(link.chip.addresses())") == addresses
            assert ("echo", 104) in ask_again("events")
            with up.connect(25) as other:
                assert exchange(other, PATTERN) == PATTERN
        client.close()


def test_close_ends_everything(up):
    with pytest.raises(ConnectionError):
        with up.serving(echo=25) as ask:
            [client] = _clients(up, ask, 25, 1)
            ask("link.close() or quit.set()")
    with client, pytest.raises(ConnectionResetError):
        client.recv(1)
    until(lambda: _statuses(up) == {Status.SOCK_CLOSED}, "the closed sockets")


def test_a_question_while_dhcp_never_ends(bench, up):
    """A lease that nobody extends has the socket; who asks for something else is not kept."""
    bench.vm.exec("""
class Searching:
    def busy(self):
        return True
    def step(self):
        return False
link._lease = Searching()
""")
    assert bench.vm.eval("asyncio.run(link.exchange('192.168.77.1', 123, b'x', 50))") is None


def test_a_chip_that_fails_as_the_cable_comes_back(up):
    """The link goes on, and asks for its lease once the chip takes commands again."""
    up.vm.exec("""
limits.PATROL = 1
class Failing:
    tries = 0
    calm = True
    def busy(self):
        return False
    def step(self):
        return True
    def verify(self):
        self.tries += 1
        if self.tries < 3:
            raise OSError(5)
""")
    with up.serving(echo=25) as ask:
        ask("setattr(link, '_lease', Failing())")
        up.unplug()
        up.lan.set_link(True)
        until(lambda: ask("link._lease.tries == 3 and link.connected"), "the third try")
        with up.connect(25) as client:
            assert exchange(client, PATTERN) == PATTERN


ROUTER, STRANGER = bytes((192, 168, 77, 1)), bytes((192, 168, 77, 66))


def test_what_a_stranger_says_is_no_answer(up):
    """Nor what comes from another port; and the next question comes from another one of ours."""
    ports = []

    def answer(message):
        socket = up.chip.sockets[0]
        ports.append(socket.word("Sn_PORT"))
        for address, port, payload in ((STRANGER, 53, b"a lie"), (STRANGER, 53, b""),
                                       (ROUTER, 54, b"a lie")):
            socket._take_datagram(address, port, payload)
        return b"the truth"

    up.lan.udp[53] = answer
    for _ in range(3):
        assert up.vm.eval("bytes(asyncio.run(link.exchange('192.168.77.1', 53, b'?', 5000)))"
                          ) == b"the truth"
    assert len(set(ports)) > 1 and min(ports) >= 0xC000
    up.lan.udp[53] = lambda message: up.chip.sockets[0]._take_datagram(STRANGER, 53, b"a lie")
    assert up.vm.eval("asyncio.run(link.exchange('192.168.77.1', 53, b'?', 100))") is None


def test_questions_for_our_name_that_come_together_are_all_heard(up):
    """The chip tells of both once: the second one is not to wait for the patrol."""
    said = []
    up.lan.multicast = lambda payload, ttl: said.append(payload)
    up.lan.join = lambda *_: None
    up.vm.exec("limits.MDNS_PAUSE = 0")
    with up.serving(echo=25):
        until(lambda: len(said) == 2, "the announcements")
        question = b"\0" * 5 + b"\1" + b"\0" * 6 + b"\x08picopost\5local\0\0\1\0\1"
        up.lan._request(lambda: [up.chip.sockets[0]._take_datagram(STRANGER, 5353, octets)
                                 for octets in (b"", b"noise", b"", b"more", question)])
        until(lambda: len(said) == 3, "the answer")
