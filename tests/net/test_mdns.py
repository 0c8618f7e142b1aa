"""The board's name by multicast DNS (RFC 6762): octets in the VM, and a whole board that PyPI's
`zeroconf` resolves on the loopback interface."""

from __future__ import annotations

import random
import socket
import struct
import time
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from zeroconf import AddressResolverIPv4, IPVersion, Zeroconf

from tests.support.running import Running
from tests.support.vm import Vm

IMPATIENT = Path(__file__).parents[1] / "support" / "impatient.py"
GROUP = "224.0.0.251"
_IP_RECVTTL = 12  # Linux ip(7); Python has no name for it yet
A, NSEC, AAAA, ANY, TXT = 1, 47, 28, 255, 16
IN, TOP = 1, 0x8000
OURS = bytes((192, 168, 77, 2))
NAME = b"\x08picopost\x05local\0"


@pytest.fixture(scope="module")
def vm():
    with Vm() as vm:
        vm.exec("from picopost.net import mdns\nname = mdns.Name('picopost')")
        yield vm


def query(*questions, flags=0, ident=0, answers=(), count=None):
    head = struct.pack(">HHHHHH", ident, flags, len(questions) if count is None else count,
                       len(answers), 0, 0)
    return head + b"".join(questions) + b"".join(answers)


def question(kind=A, of=IN, name=NAME):
    return name + struct.pack(">HH", kind, of)


def record(kind=A, of=IN, ttl=120, data=OURS, name=NAME):
    return name + struct.pack(">HHIH", kind, of, ttl, len(data)) + data


def answer(vm, message, legacy=False):
    """Octets, or None."""
    return vm.eval(f"name.answer({message!r}, {OURS!r}, {legacy})")


ADDRESS = struct.pack(">HHIH", A, IN | TOP, 120, 4) + OURS
NO_OTHER = struct.pack(">HHIH", NSEC, IN | TOP, 120, 5) + b"\xc0\x0c\0\1\x40"
HEAD = struct.pack(">HHHHHH", 0, 0x8400, 0, 1, 0, 1) + NAME
ADDRESS_FIRST = HEAD + ADDRESS + b"\xc0\x0c" + NO_OTHER
NO_OTHER_FIRST = HEAD + NO_OTHER + b"\xc0\x0c" + ADDRESS


@pytest.mark.parametrize("kind, reply", [
    (A, ADDRESS_FIRST), (ANY, ADDRESS_FIRST), (AAAA, NO_OTHER_FIRST), (TXT, NO_OTHER_FIRST)])
@pytest.mark.parametrize("of", [IN, ANY, IN | TOP])
def test_questions(vm, kind, of, reply):
    """6.1, 6.2, 10.2, 18.12."""
    assert answer(vm, query(question(kind, of))) == reply


@pytest.mark.parametrize("name", [
    b"\x08PicoPost\x05LOCAL\0", b"\x08picopost\x05local\0"])
def test_case_is_folded(vm, name):
    assert answer(vm, query(question(name=name))) == ADDRESS_FIRST


def test_compressed_names(vm):
    other = question(name=b"\x05other\x05local\0")
    short = question(name=b"\x08picopost\xc0\x12")  # at its "local"
    assert answer(vm, query(other, short)) == ADDRESS_FIRST
    again = question(AAAA, name=b"\xc0\x0c")
    assert answer(vm, query(question(), again)) == ADDRESS_FIRST


@pytest.mark.parametrize("message", [
    b"", bytes(11), query(), query(question(name=b"\x09picoposts\x05local\0")),
    query(question(name=b"\x08picopost\x05local\x03lan\0")),
    query(question(name=b"\x08picopost\0")),
    query(question(name=b"\0")), query(question(of=3)),  # CHAOS
    query(question(), flags=0x8000), query(question(), flags=0x2800), query(question(), flags=3),
    query(question())[:-1], query(question(name=b"\xc0\x0c")),  # points to itself
    query(question(name=b"\xc0\x0e"), question(name=b"\xc0\x0c")),  # forward, and in a circle
    query(question(name=b"\x48" + b"x" * 72 + b"\0")), query(count=65535),
    query(question(), answers=[record()]), query(question(), answers=[record(ttl=60)]),
    query(question(), answers=[record(name=b"\xc0\x0c")])])
def test_what_is_not_answered(vm, message):
    """6, 7.1, 18.2 to 18.11; and what is no message."""
    assert answer(vm, message) is None


@pytest.mark.parametrize("known", [
    record(ttl=59), record(data=bytes((192, 168, 77, 9))), record(kind=AAAA, data=bytes(16)),
    record(name=b"\x05other\x05local\0"), record()[:-1]])
def test_what_is_known_otherwise_is_answered(vm, known):
    assert answer(vm, query(question(), answers=[known])) == ADDRESS_FIRST


def test_legacy_questions(vm):
    """6.7: to the one who asks, with its number and question, for 10 s, in the plain class."""
    reply = answer(vm, query(question(of=IN | TOP), ident=0x1234, flags=0x0100), legacy=True)
    assert reply == struct.pack(">HHHHHH", 0x1234, 0x8400, 1, 1, 0, 0) + question() + (
        b"\xc0\x0c" + struct.pack(">HHIH", A, IN, 10, 4) + OURS)
    reply = answer(vm, query(question(AAAA), ident=7), legacy=True)
    assert reply == struct.pack(">HHHHHH", 7, 0x8400, 1, 0, 0, 0) + question(AAAA)


@pytest.mark.parametrize("records, taken", [
    ([record()], False), ([record(data=bytes((192, 168, 77, 9)))], True),
    ([record(data=bytes((192, 168, 77, 9)), ttl=0)], False),  # it says good-bye
    ([record(data=bytes((192, 168, 77, 9)), name=b"\x05other\x05local\0")], False),
    ([record(name=b"\x05other\x05local\0"), record(data=bytes(4), of=IN | TOP)], True)])
def test_another_device_with_our_name(vm, records, taken):
    vm.exec("name.taken = False")
    assert answer(vm, query(flags=0x8400, answers=records)) is None
    assert vm.eval("name.taken") is taken


def test_announcement(vm):
    assert vm.eval(f"name.announcement({OURS!r})") == ADDRESS_FIRST


_POINTERS = st.binary(min_size=2, max_size=2).map(lambda pair: bytes((0xC0 | pair[0], pair[1])))
_NAMES = st.lists(st.one_of(
    st.sampled_from([b"\x08picopost", b"\x05local", b"\0", b"\xc0\x0c", b"\xc0\x15", b"\x40"]),
    st.binary(max_size=5), _POINTERS), max_size=6).map(b"".join)
_TAILS = st.sampled_from([question(name=b""), question(AAAA, IN | TOP, b""), record(name=b""),
                          record(ttl=1, name=b""), b"\0\1"])
_MESSAGES = st.builds(
    lambda counts, flags, entries: struct.pack(">HHHHHH", 1, flags, *counts) + b"".join(
        name + tail for name, tail in entries),
    st.tuples(*[st.sampled_from([0, 1, 2, 65535])] * 4), st.sampled_from([0, 0x8400, 0x0100]),
    st.lists(st.tuples(_NAMES, _TAILS), max_size=40))
# Each name points to the one before.
_CHAIN = query(*[question(name=bytes((0xC0, 6 + 6 * at))) for at in range(1, 40)], count=65535)


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.binary(max_size=600), _MESSAGES))
@example(_CHAIN)
def test_no_message_does_harm(vm, message):
    """Whatever comes is answered with what we have to say, or not; within bounded reads."""
    for legacy in (False, True):
        reply = answer(vm, message[:512], legacy)
        if reply and legacy:
            assert reply[:4] == message[:2] + b"\x84\0" and len(reply) < 60
        elif reply:
            assert reply in (ADDRESS_FIRST, NO_OTHER_FIRST)


# --- a board --------------------------------------------------------------------------------

@pytest.fixture
def name():
    """A name that no other test's board has, nor anything else that speaks mDNS on this machine."""
    return f"post-{random.SystemRandom().randrange(1 << 40):x}"


@pytest.fixture
def resolver():
    """A second implementation, in the group on the loopback interface."""
    zeroconf = Zeroconf(interfaces=["127.0.0.1"], ip_version=IPVersion.V4Only)
    yield zeroconf
    zeroconf.close()


def resolve(resolver, name, timeout=5000):
    """Its addresses as text."""
    info = AddressResolverIPv4(name + ".local.")
    info.request(resolver, timeout)
    return info.parsed_addresses()


class Device:
    """Another device of the LAN, 127.0.0.`host` there, in the group or beside it. `port` 0: any."""

    def __init__(self, host: int = 5, port: int = 5353, listens: bool = False):
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._socket.setsockopt(socket.IPPROTO_IP, _IP_RECVTTL, 1)
        self._socket.bind((GROUP if listens else f"127.0.0.{host}", port))
        loopback = socket.inet_aton("127.0.0.1")
        self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, loopback)
        if listens:
            self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                                    socket.inet_aton(GROUP) + loopback)

    def say(self, message: bytes) -> None:
        self._socket.sendto(message, (GROUP, 5353))

    def hear(self, name: str, patience: float = 10, board: int = 2) -> tuple[bytes, int] | None:
        """The next message with that name that board 127.0.0.`board` says, and its TTL; None: there
        is none."""
        end = time.monotonic() + patience
        while (left := end - time.monotonic()) > 0:
            self._socket.settimeout(left)
            try:
                message, more, _, (host, port) = self._socket.recvmsg(2000, 100)
            except TimeoutError:
                return None
            if name.encode() in message and (host, port) == (f"127.0.0.{board}", 5353):
                return message, struct.unpack("i", more[0][2])[0]
        return None

    def __enter__(self) -> Device:
        return self

    def __exit__(self, *_) -> None:
        self._socket.close()


def labels(name):
    return bytes((len(name),)) + name.encode() + b"\x05local\0"


def announcement(name, address=OURS):
    return ADDRESS_FIRST.replace(NAME, labels(name)).replace(OURS, address)


@pytest.fixture
def running(tmp_path, name):
    """A board with a W5500 that is ready, and looks at one of its sockets each 10 ms."""
    with Running(tmp_path, {"hostname": name}, "pico_w5500", IMPATIENT) as running:
        running.name = name
        yield running


@pytest.mark.parametrize("board, address", [
    ("pico_w5500", "192.168.77.2"), ("pico_w", "127.0.0.1"), ("w5500_evb_pico", "127.0.0.1")])
def test_a_board_is_found_by_its_name(tmp_path, name, resolver, board, address):
    """Where lwIP answers it is the emulator that does, to the name that it was told in time."""
    with Running(tmp_path, {"hostname": name}, board) as running:
        assert running.wait_for("ready")["address"] == address
        assert resolve(resolver, name) == [address]
        assert resolve(resolver, name + "x", 300) == []


def test_it_is_announced_twice(running):
    """8.3, and with a TTL of 255 (11)."""
    with Device(listens=True) as device:
        running.wait_for("ready")
        assert device.hear(running.name) == (announcement(running.name), 255)
        first = time.monotonic()
        assert device.hear(running.name) == (announcement(running.name), 255)
        assert time.monotonic() - first > 0.5
        assert device.hear(running.name, 2) is None


def test_another_address_is_announced(tmp_path, name):
    """8.4; here one that the renewal of the lease brings."""
    running = Running(tmp_path, {"hostname": name}, "pico_w5500", IMPATIENT)
    running.board.lan.dhcp.lease_seconds = 8
    with running, Device(listens=True) as device:
        running.wait_for("ready")
        for _ in range(2):
            assert device.hear(name)
        running.board.lan.dhcp.address = bytes((192, 168, 77, 3))
        running.wait_for("link_up", address="192.168.77.3")
        for _ in range(2):
            assert device.hear(name, board=3) == (
                announcement(name, bytes((192, 168, 77, 3))), 255)


def test_who_is_no_mdns_program_is_answered_alone(running):
    """6.7; and the board is back in its group, where it was not for a moment."""
    name = labels(running.name)
    with Device(listens=True) as all_others, Device(6, port=0) as plain:
        running.wait_for("ready")
        for _ in range(2):
            assert all_others.hear(running.name)
        for _ in range(3):
            reply = None
            while not reply:
                plain.say(query(question(name=name), ident=77))
                reply = plain.hear(running.name, 0.5)
            assert reply[0][:2] == b"\0\x4d" and reply[0].endswith(b"\0\0\0\x0a\0\4" + OURS)
        assert all_others.hear(running.name, 0.3) is None
        heard = None
        while not heard:
            all_others.say(query(question(name=name, of=IN | TOP)))
            heard = all_others.hear(running.name, 0.5)
        assert heard == (announcement(running.name), 255)


def test_a_crowd_of_questions_is_answered_once_a_second(running):
    with Device(listens=True) as device:
        running.wait_for("ready")
        for _ in range(2):
            assert device.hear(running.name)
        heard, end = [time.monotonic()], time.monotonic() + 20
        while len(heard) < 4:
            assert time.monotonic() < end, heard
            device.say(query(question(name=labels(running.name))))
            if device.hear(running.name, 0.05):
                heard.append(time.monotonic())
                assert heard[-1] - heard[-2] > 0.5


def test_the_name_of_another(running):
    with Device() as device, Device(listens=True) as all_others:
        running.wait_for("ready")
        assert all_others.hear(running.name)  # it has joined the group
        def announce():  # more than once (8.3): the board's socket may be another's for a moment
            device.say(announcement(running.name, bytes((192, 168, 77, 5))))

        announce()
        event = running.wait_for("name_taken", again=announce)
        assert event["name"] == running.name + ".local" and "hostname" in event["advice"]


def test_dhcp_and_the_time_take_the_socket_and_give_it_back(tmp_path, name, resolver):
    running = Running(tmp_path, {"hostname": name}, "pico_w5500", IMPATIENT)
    running.board.lan.dhcp.lease_seconds = 2
    running.board.time_server.ahead = 3600
    with running:
        running.wait_for("ready")
        running.wait_for("clock_set")
        for renewals in (2, 3, 4):
            end = time.monotonic() + 20
            while running.board.lan.dhcp.messages["ACK"] < renewals:
                assert time.monotonic() < end, "the lease is not renewed"
                time.sleep(0.01)
            resolver.cache.__init__()  # what it knows is forgotten
            assert resolve(resolver, name) == ["192.168.77.2"]


def test_noise_does_no_harm(running, resolver):
    running.wait_for("ready")
    noise = random.Random(5)
    with Device() as device:
        for _ in range(300):
            device.say(noise.randbytes(noise.randrange(1, 1400)))
            device.say(query(question(name=labels(running.name)))[:noise.randrange(12, 40)])
    assert resolve(resolver, running.name) == ["192.168.77.2"]


def test_a_name_with_dots_is_no_business_of_mdns(tmp_path):
    with Running(tmp_path, {"hostname": "post.example.com"}, "pico_w5500") as running:
        running.wait_for("ready")
        assert running.board.lan._member is None
