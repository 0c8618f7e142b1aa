"""The board's name by multicast DNS (RFC 6762): octets in the VM, and a whole board that PyPI's
`zeroconf` resolves on the loopback interface."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from zeroconf import AddressResolverIPv4, IPVersion, Zeroconf, current_time_millis
from zeroconf import DNSAddress
from zeroconf._utils.ipaddress import get_ip_address_object_from_record

from tests.support.running import Running
from tests.support.vm import Vm

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
    """(octets, whether for the sender alone), or None."""
    return vm.eval(f"name.answer({message!r}, {OURS!r}, {legacy})")


ADDRESS = struct.pack(">HHIH", A, IN | TOP, 120, 4) + OURS
NO_OTHER = struct.pack(">HHIH", NSEC, IN | TOP, 120, 5) + b"\xc0\x0c\0\1\x40"
ADDRESS_FIRST = struct.pack(">HHHHHH", 0, 0x8400, 0, 1, 0, 1) + NAME + ADDRESS + b"\xc0\x0c" + NO_OTHER
NO_OTHER_FIRST = struct.pack(">HHHHHH", 0, 0x8400, 0, 1, 0, 1) + NAME + NO_OTHER + b"\xc0\x0c" + ADDRESS


@pytest.mark.parametrize("kind, reply", [
    (A, ADDRESS_FIRST), (ANY, ADDRESS_FIRST), (AAAA, NO_OTHER_FIRST), (TXT, NO_OTHER_FIRST)])
@pytest.mark.parametrize("of, alone", [(IN, False), (ANY, False), (IN | TOP, True)])
def test_questions(vm, kind, of, reply, alone):
    """5.4, 6.1, 6.2, 18.12, 18.13."""
    assert answer(vm, query(question(kind, of))) == (reply, alone)


@pytest.mark.parametrize("name", [
    b"\x08PicoPost\x05LOCAL\0", b"\x08picopost\x05local\0"])
def test_case_is_folded(vm, name):
    assert answer(vm, query(question(name=name))) == (ADDRESS_FIRST, False)


def test_compressed_names(vm):
    other = question(name=b"\x05other\x05local\0")
    short = question(name=b"\x08picopost\xc0\x12")  # at its "local"
    assert answer(vm, query(other, short)) == (ADDRESS_FIRST, False)
    assert answer(vm, query(question(), question(AAAA, name=b"\xc0\x0c"))) == (ADDRESS_FIRST, False)


def test_one_question_for_all_is_answered_to_all(vm):
    assert answer(vm, query(question(of=IN | TOP), question(AAAA))) == (ADDRESS_FIRST, False)


@pytest.mark.parametrize("message", [
    b"", bytes(11), query(), query(question(name=b"\x09picoposts\x05local\0")),
    query(question(name=b"\x08picopost\x05local\x03lan\0")), query(question(name=b"\x08picopost\0")),
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
    assert answer(vm, query(question(), answers=[known])) == (ADDRESS_FIRST, False)


def test_legacy_questions(vm):
    """6.7: to the one who asks, with its number and question, for 10 s at most, in the plain class."""
    reply, alone = answer(vm, query(question(), ident=0x1234, flags=0x0100), legacy=True)
    assert alone and reply == struct.pack(">HHHHHH", 0x1234, 0x8400, 1, 1, 0, 0) + question() + (
        b"\xc0\x0c" + struct.pack(">HHIH", A, IN, 10, 4) + OURS)
    reply, alone = answer(vm, query(question(AAAA), ident=7), legacy=True)
    assert alone and reply == struct.pack(">HHHHHH", 7, 0x8400, 1, 0, 0, 0) + question(AAAA)


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


_labels = st.lists(st.one_of(
    st.sampled_from([b"\x08picopost", b"\x05local", b"\0", b"\xc0\x0c", b"\xc0\x15", b"\x40", b"\xff\xff"]),
    st.binary(max_size=5), st.tuples(st.integers(0, 255), st.integers(0, 255)).map(
        lambda pair: bytes((0xC0 | pair[0] & 0x3F, pair[1])))), max_size=6).map(b"".join)


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.binary(max_size=600), st.builds(
    lambda counts, flags, names: struct.pack(">HHHHHH", 1, flags, *counts) + b"".join(
        name + tail for name, tail in names),
    st.tuples(*[st.sampled_from([0, 1, 2, 65535])] * 4), st.sampled_from([0, 0x8400, 0x0100]),
    st.lists(st.tuples(_labels, st.sampled_from([b"\0\1\0\1", b"\0\x1c\x80\1", b"\0\1\0\1\0\0\0\x78\0\4"
                                                 + OURS, b"\0\1"])), max_size=40))))
@example(query(*[question(name=b"\xc0" + bytes((12 + 6 * (at - 1),))) for at in range(1, 40)], count=65535))
def test_no_message_does_harm(vm, message):
    """Whatever comes is answered with what we have to say, or not; within bounded reads."""
    for legacy in (False, True):
        reply = answer(vm, message[:512], legacy)
        if reply and legacy:
            assert reply[1] and reply[0][:4] == message[:2] + b"\x84\0" and len(reply[0]) < 60
        elif reply:
            assert reply[0] in (ADDRESS_FIRST, NO_OTHER_FIRST)


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


def test_a_board_is_found_by_its_name(tmp_path, name, resolver):
    with Running(tmp_path, {"hostname": name}, "pico_w5500") as running:
        assert running.wait_for("ready")["address"] == "192.168.77.2"
        assert resolve(resolver, name) == ["192.168.77.2"]
        assert resolve(resolver, name + "x", 300) == []
