"""Both versions of the mboxrd transformations, in the VM, against whole-message oracles."""

import re
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host_tools.firmware_build import vm_arch
from tests.support.vm import Vm

BARE_LF, BARE_CR, NUL, EIGHT_BIT = 1, 2, 4, 0x80
END = b"\r\n.\r\n"

# Inside the VM: both versions take the same pieces and must leave the same state and the same
# target after every call. Each piece begins `shift` octets into its buffer, for the alignment.
DRIVER = """
from picopost.store import mboxrd
if NATIVE:
    from picopost.store import mboxrd_viper
else:
    mboxrd_viper = mboxrd

def drive(version, kind, data, cuts, room, shift, lines):
    if kind == "send":
        transform, state = version.send, version.new_sending(lines)
    else:
        transform, state = version.receive, version.new_receiving(kind == "chunked")
    target = bytearray(shift + room + 16)
    trace, out, used = [], b"", 0
    for cut in list(cuts) + [len(data)]:
        source = bytearray(b"\\n" * shift + data[used:cut] + b"\\n")  # what must not be read
        end = len(source) - 1
        state[version.SOURCE] = shift
        for _ in range(2 * len(source) + 2):
            for i in range(len(target)):
                target[i] = 0x55
            state[version.TARGET] = shift
            transform(state, source, end, target, shift + room)
            written = state[version.TARGET]
            trace.append(bytes(state))
            out += target[shift:written]
            assert shift <= written <= shift + room
            assert target[:shift] + target[written:] == b"\\x55" * (len(target) + shift - written)
            if state[version.ENDED] or state[version.SOURCE] == end:
                break
            assert written > shift + room - 8, "stopped without a reason"
        else:
            raise AssertionError("no progress")
        used += state[version.SOURCE] - shift
        if state[version.ENDED]:
            break
        assert used == cut
    octets, flags, ended = state[version.OCTETS], state[version.FLAGS], state[version.ENDED]
    if kind == "send":
        last = bytearray(10)
        state[version.TARGET] = 0
        written = version.finish_send(state, last)
        assert written == state[version.TARGET]
        out += last[:written]
        octets = state[version.OCTETS]
    if kind == "chunked":
        last = bytearray(b"\\x55" * (shift + 5 + 1))
        state[version.TARGET] = shift
        for _ in range(2):  # the second time there is nothing left to write
            written = version.finish_receive(state, last)
            assert written == state[version.TARGET]
        out += last[shift:written]
        assert last[:shift] + last[written:] == b"\\x55" * (len(last) + shift - written)
        octets, flags = state[version.OCTETS], state[version.FLAGS]
        trace.append(bytes(state))
    return out, used, octets, flags, ended, trace

def in_place(version, data, cuts, room, shift, lines):
    # As `drive` for "send", text and what is made of it in one buffer of `room` octets and 8.
    state, out, used = version.new_sending(lines), b"", 0
    trace = []
    for cut in list(cuts) + [len(data)]:
        while used < cut and not state[version.ENDED]:
            piece = data[used:min(cut, used + room)]
            buffer = bytearray(b"\x55" * (shift + room + 8))
            begin = len(buffer) - len(piece)
            buffer[begin:] = piece
            state[version.SOURCE] = begin
            state[version.TARGET] = 0
            while True:
                version.send(state, buffer, len(buffer), buffer, len(buffer))
                at, to = state[version.SOURCE], state[version.TARGET]
                trace.append(bytes(state))
                out += buffer[:to]
                assert to <= at and buffer[at:] == piece[at - begin:], "written over"
                if state[version.ENDED] or at == len(buffer):
                    break
                assert at - to < 8 or to > len(buffer) - 8, "stopped without a reason"
                state[version.TARGET] = 0
            used += at - begin
    last = bytearray(10)
    state[version.TARGET] = 0
    out += last[:version.finish_send(state, last)]
    return out, used, state[version.OCTETS], state[version.ENDED], trace

def both_in_place(*case):
    plain = in_place(mboxrd, *case)
    native = in_place(mboxrd_viper, *case)
    assert plain == native, (case, plain, native)
    return plain[:-1]

def both(*case):
    plain = drive(mboxrd, *case)
    native = drive(mboxrd_viper, *case)
    assert plain == native, (case, plain, native)
    return plain[:-1]
"""


@pytest.fixture(scope="module")
def vm():
    with Vm(heap_kib=1024) as vm:
        vm.exec(f"NATIVE = {vm_arch() is not None}\n" + DRIVER)
        yield vm


def receive_all(vm, cases):
    """[(text on card, octets consumed, OCTETS, FLAGS, ENDED)] for [(data, cuts, room, shift)]."""
    return vm.eval("[both('receive', *case, 0) for case in %r]" % ([tuple(c) for c in cases],))


def receive_chunks(vm, cases):
    """The same for text that came by BDAT, `finish_receive` included."""
    return vm.eval("[both('chunked', *case, 0) for case in %r]" % ([tuple(c) for c in cases],))


def send_all(vm, cases):
    """The same in the other direction for [(text, cuts, room, shift, lines)]."""
    return vm.eval("[both('send', *case) for case in %r]" % ([tuple(c) for c in cases],))


# --- oracles: the whole message at once -------------------------------------------------------

def received(data):
    """What `receive` is to make of `data`, which contains the end of the data."""
    lines = data.split(b"\r\n")
    last = lines.index(b".", 0, -1)
    used = len(b"\r\n".join(lines[:last + 1])) + 2
    lines = [line[1:] if line[:1] == b"." else line for line in lines[:last]]
    text = b"".join(line + b"\n" for line in lines)
    flags = 0
    for line in lines:
        flags |= (BARE_LF if b"\n" in line else 0) | (BARE_CR if b"\r" in line else 0)
        flags |= (NUL if b"\0" in line else 0) | (0 if line.isascii() else EIGHT_BIT)
    quoted = re.sub(rb"^(>*From )", rb">\1", text, flags=re.MULTILINE)
    return quoted, used, len(text) + text.count(b"\n"), flags, 1


def received_in_chunks(data):
    """What `receive` and `finish_receive` are to make of text in which only its length ends it."""
    text = data.replace(b"\r\n", b"\n")
    if text and not text.endswith(b"\n"):
        text += b"\n"
    flags = BARE_LF if re.search(rb"(?<!\r)\n", data) else 0
    flags |= BARE_CR if re.search(rb"\r(?!\n)", data) else 0
    flags |= (NUL if b"\0" in data else 0) | (0 if data.isascii() else EIGHT_BIT)
    quoted = re.sub(rb"^(>*From )", rb">\1", text, flags=re.MULTILINE)
    return quoted, len(data), len(text) + text.count(b"\n"), flags, 0


def stuffed(lines):
    """The lines as POP3 sends them, and the one that ends them."""
    return b"".join(line[:1].replace(b".", b"..") + line[1:] + b"\r\n"
                    for line in lines) + b".\r\n"


def text_lines(text):
    """The lines of mboxrd text, unquoted; a last one without its LF counts too."""
    lines = re.sub(rb"^>(>*From )", rb"\1", text, flags=re.MULTILINE).split(b"\n")
    return lines if lines[-1] else lines[:-1]


def top(lines, count):
    """RFC 1939 7: header, blank line and `count` lines of the body."""
    if count < 0 or b"" not in lines:
        return lines
    return lines[:lines.index(b"") + 1 + count]


# --- any message, any split --------------------------------------------------------------------

TOKENS = st.sampled_from([
    b"\r\n", b"\r\n", b"\r\n", b"\n", b"\n", b"\r", b".", b".", b">", b">", b"From ", b"From ",
    b"F", b"Fr", b"From"[:3], b"From", b"rom ", b" ", b"\0", b"\xff", b"\x80", b"\x8f", b"\xc3\xa9",
    b"\t", b"\x0f", b"\x10", b"\x7f", b"a", b"bcd", b"Subject: x", b"abcdefghijklmnopqrstuvwxyz"])
MESSAGE = st.lists(TOKENS, max_size=25).map(b"".join)


@st.composite
def pieces(draw, data):
    cuts = draw(st.lists(st.integers(0, len(data)), max_size=6).map(sorted))
    if draw(st.integers(0, 9)) == 0:
        cuts = list(range(1, len(data)))
    return cuts, draw(st.sampled_from([8, 9, 10, 11, 13, 16, 24, 50, 400])), draw(st.integers(0, 4))


@st.composite
def receiving(draw):
    data = draw(MESSAGE) + END + draw(st.sampled_from([b"", b"QUIT\r\n", b".\r\n", b"\n"]))
    return (data, *draw(pieces(data)))


@st.composite
def chunked(draw):
    data = draw(MESSAGE)
    return (data, *draw(pieces(data)))


@st.composite
def sending(draw):
    text = draw(MESSAGE)
    return (text, *draw(pieces(text)), draw(st.sampled_from([-1, -1, 0, 1, 2, 3, 10**20])))


@settings(max_examples=200, deadline=None)
@given(st.lists(receiving(), min_size=5, max_size=15))
def test_receive_agrees_with_the_oracle_for_any_message_and_split(vm, cases):
    for case, result in zip(cases, receive_all(vm, cases), strict=True):
        assert result == received(case[0]), case


@settings(max_examples=200, deadline=None)
@given(st.lists(sending(), min_size=5, max_size=15))
def test_send_agrees_with_the_oracle_for_any_text_split_and_top(vm, cases):
    for case, (wire, used, octets, _, ended) in zip(cases, send_all(vm, cases),
                                                       strict=True):
        text, count = case[0], case[-1]
        lines = top(text_lines(text), count)
        assert wire == stuffed(lines), case
        assert octets == sum(len(line) + 2 for line in lines), case
        # Only an LF completes the last line that TOP asked for.
        complete = text.split(b"\n")[:-1]
        if count >= 0 and b"" in complete and len(complete) > complete.index(b"") + count:
            assert ended and text[:used].endswith(b"\n"), case
            assert text.count(b"\n", 0, used) == len(lines), case
        else:
            assert not ended and used == len(text), case


@settings(max_examples=200, deadline=None)
@given(st.lists(sending(), min_size=5, max_size=15))
def test_send_in_place_makes_the_same_and_writes_over_nothing_unread(vm, cases):
    """The text stands in the end of a buffer, what is made of it in the front."""
    apart = send_all(vm, cases)
    together = vm.eval("[both_in_place(*case) for case in %r]" % ([tuple(c) for c in cases],))
    for case, (wire, used, octets, _, ended), result in zip(cases, apart, together, strict=True):
        assert result == (wire, used, octets, ended), case


def test_text_that_grows_most_is_sent_in_place(vm):
    """Line ends, dots and quotes alone; the longest lines fill the gap to the last octet."""
    texts = [b"\n" * 900, b".\n" * 500, b">From \n" * 200, b">From" * 100 + b"\n.",
             b"x" * 300 + b"\n" + b"." * 300]
    for text in texts:
        for room in (8, 64, 1000):
            for count in (-1, 3):
                wire, used, octets, _, ended = send_all(vm, [(text, [], 400, 0, count)])[0]
                assert vm.eval(f"both_in_place({text!r}, [], {room}, 0, {count})") == (
                    wire, used, octets, ended), (text, room, count)


@settings(max_examples=100, deadline=None)
@given(st.lists(receiving(), min_size=5, max_size=15))
def test_what_was_received_is_sent_back_with_crlf_line_ends_and_its_octets(vm, cases):
    stored = receive_all(vm, cases)
    sent = send_all(vm, [(result[0], [], room, shift, -1)
                         for (_, _, room, shift), result in zip(cases, stored, strict=True)])
    for case, (_, _, octets, _, _), (wire, _, octets_sent, _, _) in zip(cases, stored, sent,
                                                                        strict=True):
        lines = case[0].split(b"\r\n")
        lines = lines[:lines.index(b".", 0, -1)]
        normalised = b"".join(line[line[:1] == b".":].replace(b"\n", b"\r\n") + b"\r\n"
                              for line in lines)
        assert wire == stuffed(normalised.split(b"\r\n")[:-1]), case
        assert octets == octets_sent == len(normalised), case


# --- chunks (RFC 3030) -------------------------------------------------------------------------

@settings(max_examples=200, deadline=None)
@given(st.lists(chunked(), min_size=5, max_size=15))
def test_chunks_agree_with_the_oracle_and_come_back(vm, cases):
    stored = receive_chunks(vm, cases)
    sent = send_all(vm, [(result[0], [], room, shift, -1)
                         for (_, _, room, shift), result in zip(cases, stored, strict=True)])
    for (data, *split), result, (wire, _, octets, _, _) in zip(cases, stored, sent, strict=True):
        assert result == received_in_chunks(data), (data, split)
        text = re.sub(rb"(?<!\r)\n", b"\r\n", data)
        if text and not text.endswith(b"\r\n"):
            text += b"\r\n"
        assert wire == stuffed(text.split(b"\r\n")[:-1]), (data, split)
        assert octets == result[2] == len(text), (data, split)


ENDS = [b"", b"\r", b"\n", b"\r\n", b"\r\r", b"\n\r", b">", b">>", b"F", b">F", b"Fr", b"From"[:3],
        b"From", b">From", b">From ", b"From ", b"Fx", b".", b".\r\n", b".\r", b"\0", b"\xff"]


@pytest.mark.parametrize("before", [b"", b"one", b"one\r\n", b"one\n", b">\r\n"], ids=repr)
def test_a_chunked_text_may_end_anywhere_and_be_cut_anywhere(vm, before):
    texts = [before + end for end in ENDS]
    cases = [(data, [cut], 400, 0) for data in texts for cut in range(len(data) + 1)]
    cases += [(data, list(range(len(data))), 8, 1) for data in texts]
    for case, result in zip(cases, receive_chunks(vm, cases), strict=True):
        assert result == received_in_chunks(case[0]), case


def test_dots_mean_nothing_in_chunks(vm):
    data = b".a\r\n..b\r\n.\r\n.From x\r\nFrom y\r\n\r\n.\r\n"
    cases = [(data, [cut], 8, 0) for cut in range(len(data))]
    for text, used, octets, flags, ended in receive_chunks(vm, cases):
        assert text == b".a\n..b\n.\n.From x\n>From y\n\n.\n"
        assert (used, octets, flags, ended) == (len(data), len(data), 0, 0)


def test_a_run_of_quotes_in_chunks_may_be_longer_than_any_buffer(vm):
    data = b">" * 5000 + b"From x\r\n" + b">" * 3000
    [(text, *_)] = receive_chunks(vm, [(data, list(range(0, len(data), 97)), 50, 0)])
    assert text == b">" * 5001 + b"From x\n" + b">" * 3000 + b"\n"


# --- the end of the data (RFC 5321 4.1.1.4, 4.5.2) ---------------------------------------------

NO_END = [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r\n.\r", b"\r.\r", b"\r.\r\n", b"\r\n.\r\r\n",
          b"\r\n\n.\r\n", b"\r\n.\n\r\n", b"\r\n..\r\n", b"\r\n. \r\n", b"\r\n.\0\r\n", b"\n\n",
          b"\r\r", b"\r\n\r\n", b"\n\r\n.\n", b"\n\r.\r\n", b"\r\n\r.\r\n", b"\r\n>.\r\n"]


@pytest.mark.parametrize("sequence", NO_END, ids=repr)
def test_nothing_else_ends_the_data_at_any_split(vm, sequence):
    data = b"one" + sequence + b"MAIL FROM:<smuggled@abc.com>"
    cases = [(data, [cut], 400, 0) for cut in range(len(data))]
    cases += [(data, list(range(len(data))), 8, 1)]
    results = receive_all(vm, cases)
    assert all(not ended and used == len(data) for _, used, _, _, ended in results)
    assert len({result[0] for result in results}) == 1
    ending = data + END + b"RSET\r\n"
    results = receive_all(vm, [(ending, [cut], 400, 0) for cut in range(len(ending))])
    assert set(results) == {received(ending)}


@pytest.mark.parametrize("data, text", [
    (b".\r\n", b""), (b"\r\n.\r\n", b"\n"), (b"one\r\n.\r\n", b"one\n"),
    (b"..\r\n.\r\n", b".\n"), (b"one\r\r\n.\r\n", b"one\r\n"), (b".\ra\r\n.\r\n", b"\ra\n")],
    ids=repr)
def test_crlf_dot_crlf_ends_the_data_and_leaves_what_follows(vm, data, text):
    whole = data + b"MAIL FROM:<girl@abc.com>\r\n.\r\n"
    cases = [(whole, [cut], 8, 0) for cut in range(len(whole))]
    cases += [(whole, list(range(len(whole))), 8, 3)]
    for result, used, _, _, ended in receive_all(vm, cases):
        assert (result, used, ended) == (text, len(data), 1)


def test_a_dot_after_a_bare_lf_stays_and_one_after_crlf_goes(vm):
    [(text, _, octets, flags, _)] = receive_all(vm, [(b"a\n.b\r\n.c\r\n\r.d" + END, [], 400, 0)])
    assert (text, flags) == (b"a\n.b\nc\n\r.d\n", BARE_LF | BARE_CR)
    [(wire, _, octets_sent, _, _)] = send_all(vm, [(text, [], 400, 0, -1)])
    assert wire == b"a\r\n..b\r\nc\r\n\r.d\r\n.\r\n"
    assert octets == octets_sent == len(wire) - 4


def test_flags_tell_only_of_the_message_not_of_what_follows(vm):
    [(_, _, _, flags, _)] = receive_all(vm, [(b"abc" + END + b"\xff\0\n\r\r" * 5, [], 400, 0)])
    assert flags == 0


# --- quoting -----------------------------------------------------------------------------------

def test_from_lines_are_quoted_wherever_a_line_begins(vm):
    data = (b"From header\r\nFrom: girl\r\n\r\nfrom\r\nFrom body\n>From after LF\r\n..From dot\r\n"
            b".From stuffed\r\nxFrom\r\n From\r\n> From\r\nFrom\tx\r\nFrom" + END)
    text = (b">From header\nFrom: girl\n\nfrom\n>From body\n>>From after LF\n.From dot\n"
            b">From stuffed\nxFrom\n From\n> From\nFrom\tx\nFrom\n")
    assert [result[0] for result in receive_all(vm, [(data, [], 400, 0), (data, [], 8, 1)])] == [
        text, text]


def test_a_run_of_quotes_may_be_longer_than_any_buffer(vm):
    data = b">" * 5000 + b"From x\r\n" + b">" * 3000 + b"Frog" + END
    cuts = list(range(0, len(data), 97))
    [(text, *_)] = receive_all(vm, [(data, cuts, 50, 0)])
    assert text == b">" * 5001 + b"From x\n" + b">" * 3000 + b"Frog\n"
    [(wire, *_)] = send_all(vm, [(text, cuts, 50, 0, -1)])
    assert wire == data


# --- TOP (RFC 1939 7) --------------------------------------------------------------------------

@pytest.mark.parametrize("count, wire", [
    (0, b"A: b\r\n\r\n"), (1, b"A: b\r\n\r\n..1\r\n"), (2, b"A: b\r\n\r\n..1\r\n\r\n"),
    (3, b"A: b\r\n\r\n..1\r\n\r\nFrom 3\r\n"), (10**20, b"A: b\r\n\r\n..1\r\n\r\nFrom 3\r\n"),
    (-1, b"A: b\r\n\r\n..1\r\n\r\nFrom 3\r\n")])
def test_top_sends_header_blank_line_and_as_many_lines(vm, count, wire):
    text = b"A: b\n\n.1\n\n>From 3\n"
    cases = [(text, [cut], 8, 0, count) for cut in range(len(text))]
    for result, _, octets, _, ended in send_all(vm, cases):
        assert result == wire + b".\r\n"
        assert octets == len(wire.replace(b"..", b"."))
        assert ended == (0 <= count <= 3)


def test_top_of_a_message_without_a_body_sends_the_header(vm):
    for text in (b"A: b\n", b"A: b", b""):
        [(wire, *_)] = send_all(vm, [(text, [], 400, 0, 0)])
        assert wire == (b"A: b\r\n.\r\n" if text else b".\r\n")


@pytest.mark.parametrize("text", [b">", b">>F", b">Fr", b">From"[:4], b">From", b">From ", b".",
                                  b"a", b"a\r"])
def test_a_text_without_a_last_line_end_gets_one(vm, text):
    [(wire, _, octets, _, _)] = send_all(vm, [(text, [], 400, 0, -1)])
    assert wire == stuffed(text_lines(text))
    assert octets == len(text_lines(text)[0]) + 2


# --- four octets at a time ---------------------------------------------------------------------

def test_every_octet_value_is_kept_at_every_place_in_a_word(vm):
    data = b"".join(b"abcdefgh"[:place] + bytes([octet]) + b"ijklmnopq"[place:]
                    for octet in range(256) if octet not in b"\r\n" for place in range(9))
    for shift in range(4):
        [result] = receive_all(vm, [(data + END, [], 60000, shift)])
        assert result == received(data + END)
        [result] = receive_chunks(vm, [(data, [], 60000, shift)])
        assert result == received_in_chunks(data)
        [(wire, *_)] = send_all(vm, [(data, [], 60000, shift, -1)])
        assert wire == data + END


def test_flags_are_found_at_every_place_in_a_word(vm):
    for octet, flag in ((0x7F, 0), (0x80, EIGHT_BIT), (0x8F, EIGHT_BIT), (0x90, EIGHT_BIT),
                        (0xFF, EIGHT_BIT), (0, NUL), (10, BARE_LF), (13, BARE_CR), (16, 0)):
        cases = [(b"x" * place + bytes([octet]) + b"y" * (12 - place) + END, [], 60, shift)
                 for place in range(12) for shift in range(4)]
        assert {result[3] for result in receive_all(vm, cases)} == {flag}


def test_words_of_octets_around_the_bounds_are_kept(vm):
    data = b"".join(map(bytes, product(b"\x00\x0f\x10\x11\x7f\x80\x90", repeat=4)))
    for shift in (0, 1):
        [result] = receive_all(vm, [(data + END, [], 20000, shift)])
        assert result == received(data + END)
        [(wire, *_)] = send_all(vm, [(data, [], 20000, shift, -1)])
        assert wire == data + END
