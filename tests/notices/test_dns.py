"""Names by DNS (RFC 1035), in the VM: messages made by hand, and those of the emulator's server."""

import random
import struct

import pytest

from host_tools.emulator.dns_server import DnsServer
from tests.support.vm import Vm

NAMES = {"nas.lan": "192.168.1.5", "mail.home.arpa": "nas.lan", "a.b": "mail.home.arpa",
         "lost.lan": "nowhere.lan"}


@pytest.fixture(scope="module")
def vm():
    with Vm() as machine:
        machine.exec("from picopost.net import dns\nimport asyncio")
        yield machine


def ask(vm, name):
    return vm.eval(f"bytes(dns.question({name!r}))")


def address(vm, answer, asked):
    """The address as text, or why there is none."""
    vm.exec(f"""
try:
    got = "%d.%d.%d.%d" % tuple(dns.address({answer!r}, {asked!r}))
except ValueError as error:
    got = str(error)
""")
    return vm.eval("got")


def test_a_question(vm):
    """4.1: one, for an address, with recursion, and an ID of its own each time."""
    asked = ask(vm, "nas.lan")
    assert asked[2:] == b"\x01\0\0\x01\0\0\0\0\0\0\x03nas\x03lan\0\0\x01\0\x01"
    assert len({ask(vm, "nas.lan")[:2] for _ in range(20)}) > 1
    assert ask(vm, "nas.lan.")[2:] == asked[2:]
    for name in ("", "a..b", "a" * 64 + ".lan"):
        vm.exec(f"""
try:
    dns.question({name!r})
    got = ""
except ValueError as error:
    got = str(error)
""")
        assert vm.eval("got") == "no name of a host"


@pytest.mark.parametrize("name, found", [
    ("nas.lan", "192.168.1.5"), ("NAS.lan", "192.168.1.5"), ("mail.home.arpa", "192.168.1.5"),
    ("a.b", "192.168.1.5"), ("x.lan", "it knows no such name"),
    ("lost.lan", "it knows no address of that name")])
def test_answers(vm, name, found):
    asked = ask(vm, name)
    assert address(vm, DnsServer(NAMES).answer(asked), asked) == found


def test_what_is_no_answer(vm):
    asked = ask(vm, "nas.lan")
    answer = DnsServer(NAMES).answer(asked)
    other = bytes((asked[0] ^ 1,)) + answer[1:]
    assert address(vm, other, asked) == "an answer to another question"
    assert address(vm, asked, asked) == "an answer to another question"  # no answer at all
    assert address(vm, answer.replace(b"nas", b"bad"), asked) == "an answer to another question"
    assert address(vm, answer[:3] + b"\x82" + answer[4:], asked) == "it says error 2"
    noise = random.Random(1)
    for cut in range(len(answer)):
        assert not address(vm, answer[:cut], asked)[0].isdigit()
    for _ in range(300):  # nothing but ValueError for whatever stands behind the question
        counts = struct.pack(">H", noise.randrange(65536))
        junk = noise.randbytes(noise.randrange(60))
        address(vm, answer[:6] + counts + answer[8 : len(asked)] + junk, asked)


@pytest.mark.parametrize("name, told, answer", [
    ("192.168.1.5", "192.168.1.5", None), ("nas.lan", "192.168.1.5", "NAMES"),
    ("x.lan", "DNS server 10.0.0.1, asked for x.lan: it knows no such name", "NAMES"),
    ("nas.lan", "the DNS server 10.0.0.1 does not answer", None),
    ("a..b", "DNS server 10.0.0.1, asked for a..b: no name of a host", "NAMES")])
def test_resolve(vm, name, told, answer):
    vm.exec("""
class Link:
    dns = "10.0.0.1"
    async def exchange(self, address, port, message, timeout):
        global asked
        asked = (address, port, bytes(message), timeout)
        return answer(bytes(message)) if answer else None
asked = answer = None
def known(message):
    tail = message[12:]
    if b"nas" in tail:
        return (message[:2] + b"\\x81\\x80\\0\\1\\0\\1\\0\\0\\0\\0" + tail
                + b"\\xc0\\x0c\\0\\1\\0\\1\\0\\0\\0<\\0\\4\\xc0\\xa8\\1\\5")
    return message[:2] + b"\\x81\\x83\\0\\1\\0\\0\\0\\0\\0\\0" + tail
""")
    vm.exec(f"""
answer = {"known" if answer else None}
try:
    got = asyncio.run(dns.resolve(Link(), {name!r}, 77))
except OSError as error:
    got = error.args[1]
""")
    assert vm.eval("got") == told
    if name[0].isdigit() or ".." in name:
        assert vm.eval("asked") is None
    else:
        assert vm.eval("asked[:2] + asked[3:]") == ("10.0.0.1", 53, 77)
