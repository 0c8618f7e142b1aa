"""Decoders of transfer encodings, both versions, against whole-body oracles, at any cut."""

import base64
import binascii
import re

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.mime.oracle import decoded

CUTS = ((1, 128), (7, 128), (77, 129), (512, 300), (4096, 1024))
JUNK = st.lists(st.sampled_from([b"=", b"=", b"A", b"b", b"/", b"+", b"QUJD", b"\r\n", b"\n", b" ",
                                 b"!", b"-", b"\xff", b"QQ==", b"QUI=", b"QUJD" * 40]), max_size=30)


def in_vm(vm, encoding, data, piece, room, plain=False):
    return vm.eval(f"decoded({encoding!r}, {data!r}, {piece}, {room}, {plain})")


def base64_text(text):
    """Quantum after quantum; two characters want two "=" in a row, three one."""
    out, held, padded = b"", b"", False
    for c in re.findall(rb"[A-Za-z0-9+/=]", text):
        if c == b"=":
            if len(held) == 3 or padded:
                out += base64.b64decode(held + b"=" * (4 - len(held)))
                held, padded = b"", False
            else:
                padded = len(held) == 2
        else:
            held, padded = held + c, False
            if len(held) == 4:
                out += base64.b64decode(held)
                held = b""
    return out + (base64.b64decode(held + b"==") if len(held) > 1 else b"")


def quoted_printable_text(text):
    """RFC 2045 6.7: rule 3 first, then as binascii, but that "==" is none of its escapes."""
    text = re.sub(rb"[ \t]+(?=\r?\n|\r?\Z)", b"", text)
    return re.sub(rb"=(?:([0-9A-Fa-f]{2})|\r?\n|\r?\Z)",
                  lambda found: binascii.unhexlify(found[1] or b""), text)


@settings(max_examples=100, deadline=None)
@given(JUNK.map(b"".join))
def test_base64_of_any_text(vm, text):
    expected = base64_text(text)
    for cut in CUTS:
        assert decoded(b"base64", text, *cut) == expected
    for plain in (False, True):
        assert in_vm(vm, b"base64", text, 7, 128, plain) == expected
        assert in_vm(vm, b"base64", text, 4096, 1024, plain) == expected


@pytest.mark.parametrize("columns", [1, 3, 4, 60, 64, 75, 76, 77, 1000, 100_000])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["lf", "crlf"])
def test_base64_lines_of_any_length(vm, columns, end):
    data = bytes(range(256)) * 20
    text = base64.b64encode(data)
    text = b"".join(text[at:at + columns] + end for at in range(0, len(text), columns))
    for cut in CUTS:
        assert decoded(b"base64", text, *cut) == data
    for plain in (False, True):
        assert in_vm(vm, b"base64", text, 4096, 1024, plain) == data


QUOTED = st.lists(st.sampled_from([b"=", b"=", b"=3D", b"=e4", b"=E4=F6", b"4", b"D", b"\r", b"\n",
                                   b"\r\n", b" ", b"\t", b"text", b"=\r\n", b"= \n", b"==", b"g",
                                   b"\xff", b"\0", b"x" * 90]), max_size=25)


@settings(max_examples=150, deadline=None)
@given(QUOTED.map(b"".join))
def test_quoted_printable_of_any_text(vm, text):
    # Whether a CR before the last blanks ends a line, nobody says.
    assume(not re.search(rb"\r[ \t]+\Z", text))
    expected = quoted_printable_text(text)
    for cut in CUTS:
        assert decoded(b"quoted-printable", text, *cut) == expected
    for plain in (False, True):
        for cut in ((1, 128), (4096, 1024)):
            assert in_vm(vm, b"quoted-printable", text, *cut, plain) == expected


def test_blanks_before_a_line_end_are_dropped_up_to_a_bound(vm):
    for blanks in (79, 5000):
        text = b"a" + b" " * blanks + b"\nb=" + b"\t" * blanks
        results = {decoded(b"quoted-printable", text, *cut) for cut in CUTS}
        results |= {in_vm(vm, b"quoted-printable", text, *cut) for cut in CUTS}
        [result] = results
        assert (result == b"a\nb") == (blanks == 79), result


def test_uuencode(vm):
    data = bytes(range(256)) * 3
    lines = [binascii.b2a_uu(data[at:at + 45], backtick=True) for at in range(0, len(data), 45)]
    text = (b"before\nbegin 644 x\n" + b"".join(lines) + b"`\nend\nafter\n").replace(b"\n", b"\r\n")
    for cut in CUTS:
        for sample in (text, text.replace(b"\r", b""), text.replace(b"`", b" ")):
            assert decoded(b"x-uuencode", sample, *cut) == data
            assert in_vm(vm, b"uuencode", sample, *cut) == data


def test_what_is_not_encoded_or_not_known_stays():
    for encoding in (b"", b"7bit", b"x-unknown"):
        assert decoded(encoding, b"a=3D\r\n" * 100, 77, 128) == b"a=3D\r\n" * 100
