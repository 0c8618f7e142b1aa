"""A message's way through the card block, in the VM: chunks (RFC 3030), what the header tells."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.vm import Vm

HERE = Path(__file__).parent
BLOCK = 4096
HEAD = 1024  # limits.REPORT_HEAD


@pytest.fixture(scope="module")
def vm():
    with Vm(heap_kib=3000, extra_path=(HERE,)) as machine:
        machine.exec("import vm_store\nfrom vm_store import *")
        machine.exec("open_box('a')")
        yield machine


@pytest.fixture(scope="module")
def trace(vm):
    """Octets of the block that From_, Return-Path and Received take."""
    deliver(vm, b"x")
    return vm.eval("text('a', 1).index(b'x\\n') + len(vm_store.block[:].split(b'\\n')[0]) + 1")


def deliver(vm, text: bytes, piece: int = 2048, chunked: bool = True) -> int:
    """Deliver into an empty mailbox; returns the octets that were counted."""
    vm.exec("delete('a', range(1, boxes['a'].index.live + 1)); sweep('a')")
    return vm.eval(f"deliver(['a'], {text!r}, {piece}, {chunked})")


def content(vm) -> bytes:
    """What POP3 sends of the only letter, behind our trace lines and before the last dot."""
    wire = vm.eval("wire('a', 1)")
    return wire[wire.index(b";\r\n\t"):].split(b"\r\n", 2)[2][:-3]


# --- chunks ------------------------------------------------------------------------------------

@pytest.mark.parametrize("end", [b"", b"\r", b"\r\n", b"\n", b">", b"From", b"\r\nFrom", b"\r\n>"],
                         ids=repr)
def test_a_chunked_text_may_end_anywhere_around_a_block(vm, trace, end):
    """At the edge of a block the end needs a spill before it, after it, or none."""
    for size in range(BLOCK - trace - 12, BLOCK - trace + 12):
        text = b"y" * (size - len(end)) + end
        octets = deliver(vm, text, 999)
        back = content(vm)
        line_ends = re.sub(rb"(?<!\r)\n", b"\r\n", text)
        assert back == line_ends + (b"" if line_ends.endswith(b"\r\n") else b"\r\n"), size
        assert vm.eval("listing('a')")[0][0] == octets, size
        assert octets == len(vm.eval("wire('a', 1)")) - 3, size
        [(listed, uid)] = vm.eval("listing('a')")
        vm.exec("reopen('a')")  # and the card has it whole
        assert vm.eval("listing('a')") == [(listed, uid)]


def test_octets_are_final_after_finish_and_finish_may_come_twice(vm):
    vm.exec("""
delivery = Delivery(block, [boxes['a']], b'', b'x', b'ESMTP', b'y', None, True)
delivery.feed(b'abc', 0, 3)
before = delivery.content_octets
delivery.finish()
after = delivery.content_octets
delivery.finish()
delivery.commit()
""")
    assert vm.eval("before, after, delivery.content_octets, delivery.ended") == (3, 5, 5, 0)


def test_finish_writes_a_full_block_by_itself(vm):
    """Who does not look at `full` loses nothing, but waits for the card."""
    vm.exec("""
delivery = Delivery(block, [boxes['a']], b'', b'x', b'ESMTP', b'y', None, True)
data = b'z' * 5000
at = delivery.feed(data, 0, 5000)
full = delivery.full
delivery.finish()
state = (full, delivery.full, delivery.content_octets == at + 2)
delivery.abort()
""")
    assert vm.eval("state") == (True, False, True)


def test_a_card_that_fails_in_finish_raises(vm):
    vm.exec("""
class Broken:
    def begin(self):
        raise OSError(5)
delivery = Delivery(block, [Broken()], b'', b'x', b'ESMTP', b'y', None, True)
delivery.feed(b'z' * 5000, 0, 5000)
""")
    assert vm.eval("failed(delivery.finish)") == "OSError"


def test_dots_in_chunks_neither_end_the_text_nor_go(vm):
    text = b"a\r\n.\r\n..b\r\n"
    deliver(vm, text)
    assert content(vm) == b"a\r\n..\r\n...b\r\n"  # stuffed, as POP3 sends it
    assert b"\na\n.\n..b\n" in vm.eval("text('a', 1)")
    assert not vm.eval("vm_store.latest.ended")


# --- Received fields (RFC 5321 6.3) ------------------------------------------------------------

def received_fields(text: bytes) -> int:
    header = (b"\n" + text.replace(b"\r\n", b"\n") + b"\n").split(b"\n\n")[0]
    return sum(header.count(b"\n" + name) for name in (b"Received:", b"received:", b"RECEIVED:"))


def fields_counted(vm, text, piece=2048, chunked=True):
    deliver(vm, text if chunked else text + b"\r\n.\r\n", piece, chunked)
    return vm.eval("vm_store.latest.received_fields")


@pytest.mark.parametrize("chunked", [True, False])
@pytest.mark.parametrize("text, count", [
    (b"", 0), (b"Subject: x\r\n\r\nReceived: y\r\n", 0), (b"\r\nReceived: y\r\n", 0),
    (b"Received: x\r\nreceived: y\r\nA: b\r\nRECEIVED: z\r\n\r\nReceived: y\r\n", 3),
    (b"X-Received: x\r\n Received: y\r\n\tReceived: z\r\n", 0), (b"Received: y", 1),
    (b"Received:\nReceived:\n\nReceived:\n", 2), (b"Received x\r\nReceive\r\n", 0)], ids=repr)
def test_fields_are_counted_in_the_header_only(vm, text, count, chunked):
    assert received_fields(text) == count
    for piece in (1, 3, 2048):
        assert fields_counted(vm, text, piece, chunked) == count, piece


@pytest.mark.parametrize("piece", [1, 7, 2048])
def test_a_field_counts_once_wherever_the_block_ends_in_it(vm, trace, piece):
    for shift in range(-14, 8):
        pad = BLOCK - trace + shift - len(b"X: \r\n")
        before = b"X: " + b"y" * pad + b"\r\n"
        assert fields_counted(vm, before + b"Received: a\r\nA: b\r\n", piece) == 1, shift
        assert fields_counted(vm, before + b"\r\nReceived: a\r\n", piece) == 0, shift


FIELD = st.sampled_from([b"Received: x", b"received: y", b"RECEIVED:", b"X-Received: z",
                         b"Received", b"\tReceived: folded", b"Subject: s", b"X: " + b"y" * 900,
                         b"Z" * 1990, b"Received: " + b"w" * 1500])


@settings(max_examples=60, deadline=None)
@given(st.lists(FIELD, max_size=14), st.lists(st.one_of(FIELD, st.just(b"")), max_size=6),
       st.sampled_from([1000, 1460, 2048]), st.booleans())
def test_count_agrees_with_the_whole_text(vm, header, body, piece, chunked):
    text = b"\r\n".join([*header, b"", *body])
    assert fields_counted(vm, text, piece, chunked) == received_fields(text)


def test_a_long_header_is_looked_at_once_and_a_body_never(vm):
    vm.exec("""
from picopost.store import header_scan
looked = [0]
count = header_scan.HeaderScan._count
def counting(self, text, at, end):
    looked[0] += end - at
    return count(self, text, at, end)
header_scan.HeaderScan._count = counting
""")
    try:
        header = b"Received: x\r\n" * 15000
        assert fields_counted(vm, header, 1460) == 15000
        assert len(header) * 0.9 < vm.eval("looked[0]") < len(header) * 1.05
        vm.exec("looked[0] = 0")
        assert fields_counted(vm, b"A: b\r\n\r\n" + header, 1460) == 0
        assert vm.eval("looked[0]") < 2048
    finally:
        vm.exec("header_scan.HeaderScan._count = count")


# --- the head, for a report --------------------------------------------------------------------

@pytest.mark.parametrize("text, head", [
    (b"", b""), (b"\r\nbody\r\n", b""), (b"A: b\r\n\r\nbody\r\n", b"A: b\n"), (b"A: b", b"A: b\n"),
    (b"A: b\r\nC: d\r\n", b"A: b\nC: d\n"), (b"From me\r\n\r\n", b">From me\n"),
    (b"X" * 1023 + b"\r\n\r\n", b"X" * 1023 + b"\n"), (b"X" * 1024 + b"\r\n\r\n", b""),
    (b"A: b\r\nX: " + b"y" * 1100 + b"\r\nC: d\r\n\r\n", b"A: b\n"),
    (b"A: b\r\n" * 2000, b"A: b\n" * (HEAD // 5))], ids=lambda text: repr(text[:20]))
def test_head_is_the_first_whole_lines_of_the_header(vm, text, head):
    for body in (b"", b"z" * 9000):  # still in the block, or spilled
        whole = text + (b"\r\n\r\n" + body if body else b"")
        deliver(vm, whole)
        assert vm.eval("vm_store.latest.head()") == head


def test_a_discarded_or_unwanted_head_is_empty(vm):
    vm.exec("""
heads = []
for keep in (True, False):
    delivery = Delivery(block, [boxes['a']], b'', b'x', b'ESMTP', b'y', None, False, keep)
    delivery.feed(b'A: b\\r\\n', 0, 6)
    heads.append(delivery.head())
    delivery.discard()
    delivery.feed(b'y\\r\\n' * 300, 0, 900)
    heads.append(delivery.head())
    delivery.feed(b'Received: z\\r\\n' * 300, 0, 3900)
    fields = delivery.received_fields
    delivery.abort()
""")
    assert vm.eval("fields") == 0
    assert vm.eval("heads") == [b"A: b\n", b"", b"", b""]
