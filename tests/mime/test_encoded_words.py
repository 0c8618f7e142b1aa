"""Encoded words against CPython's email.header, under CPython and in the VM."""

import email.header
import re
from base64 import b64encode

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from host_tools import firmware_modules  # noqa: F401  makes picopost importable

from picopost.mime import encoded_words  # isort: skip

CASES = [
    (b"", ""), (b"plain text", "plain text"), (b"=?utf-8?q?a?=", "a"),
    # RFC 2047 8
    (b"(=?ISO-8859-1?Q?a?=)", "(a)"), (b"(=?ISO-8859-1?Q?a?= b)", "(a b)"),
    (b"(=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=)", "(ab)"),
    (b"(=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=)", "(ab)"),
    (b"(=?ISO-8859-1?Q?a?=\r\n    =?ISO-8859-1?Q?b?=)", "(ab)"),
    (b"(=?ISO-8859-1?Q?a_b?=)", "(a b)"),
    (b"(=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=)", "(a b)"),
    (b"=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?= =?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleG"
     b"FtcGxlLg==?=", "If you can read this you understand the example."),
    # RFC 2231 5
    (b"=?US-ASCII*EN?Q?Keith_Moore?=", "Keith Moore"),
    # A character cut in two, and no padding.
    (b"=?utf-8?Q?=C3?= =?UTF-8?Q?=A4?= b", "ä b"), (b"=?utf-8?B?w6Q?=", "ä"),
    (b"=?utf-8?B?w6?=", "�"),
    # In the middle of text, with nothing around it, with blanks in it.
    (b"Scan=?utf-8?q?=C3=A4?=ner", "Scanäner"), (b"=?utf-8?q?a b?=", "a b"),
    # What would begin another line, or tell a terminal something.
    (b"=?utf-8?q?a=0D=0ABcc:_b=1B[2J=C2=9Bc=7F?=", "a  Bcc: b [2J c "), (b"a\x1bb\0", "a b "),
    # None.
    (b"=?", "=?"), (b"=?=?=?", "=?=?=?"), (b"=?utf-8?x?a?=", "=?utf-8?x?a?="),
    (b"=?utf-8?q?a", "=?utf-8?q?a"), (b"=??q?a?=", "=??q?a?="), (b"=?a b?q?a?=", "=?a b?q?a?="),
    (b"a =? =?utf-8?q?b?=", "a =? b"), (b"=?utf-8?q?=?=", "="), (b"=?utf-8?q?=4?=", "=4"),
    # What is not encoded.
    ("Zähler".encode(), "Zähler"), ("Zähler".encode("cp1252"), "Zähler"),
    ("Zähler €".encode("cp1252") + b" =?utf-8?q?=C3=A4?=", "Zähler € ä"),
    # Charsets that are not what they say, and unknown ones.
    (b"=?utf-8?q?=E4?=", "�"), (b"=?x-nothing?q?a=E4b?=", "a�b"),
]


@pytest.mark.parametrize("value, text", CASES)
def test_cases(vm, value, text):
    assert encoded_words.decode(value) == text
    assert vm.eval(f"encoded_words.decode({value!r})") == text


def word(text, charset, base64, blank):
    """One encoded word; in "Q" what needs no escape stands for itself, and a blank as "_" or as
    itself, as in words of programs that do not follow RFC 2047 5 (3).
    """
    octets = text.encode(charset, "replace")
    if base64:
        return b"=?%s?B?%s?=" % (charset.encode(), b64encode(octets))
    octets = b"".join(b"%c" % octet if octet in b" abcXYZ019" else b"=%02X" % octet
                      for octet in octets)
    return b"=?%s?Q?%s?=" % (charset.encode(), octets.replace(b" ", blank))


def cpython(value):
    """CPython's text. A word of only literal blanks it takes, where it touches two others, for the
    white space between words and drops it. RFC 2047 6.2 drops what is between words, not what is in
    one, so it is given the "_" that 4.2 (2) has for a blank.
    """
    value = re.sub(rb"(?<=\?Q\?) +(?=\?=)", lambda blanks: b"_" * len(blanks[0]), value)
    return str(email.header.make_header(email.header.decode_header(value.decode())))


WORD = st.builds(word, st.one_of(st.text(min_size=1, max_size=8),
                                 st.text(" ab1_=?\u0159\u0416", min_size=1, max_size=4)),
                 st.sampled_from(["utf-8", "iso-8859-2", "koi8-r"]), st.booleans(),
                 st.sampled_from([b" ", b"_"]))
# Words may touch; text has a blank beside it, for CPython shows one there if none is.
RUN = st.builds(lambda words, between: between.join(words), st.lists(WORD, min_size=1, max_size=4),
                st.sampled_from([b"", b" ", b" \t "]))


@settings(max_examples=200, deadline=None)
@example([b"=?utf-8?Q?a?==?utf-8?Q? ?==?koi8-r?Q?b?="])
@given(st.lists(st.one_of(RUN, RUN, st.sampled_from([b"text", b"a,b", b"(x)"])), max_size=4))
def test_words_and_text_as_cpython_has_them(vm, pieces):
    value = b" ".join(pieces)
    # What is shown is one line.
    expected = re.sub(r"[\x00-\x1f\x7f-\x9f]", " ", cpython(value))
    assert encoded_words.decode(value) == expected
    assert vm.eval(f"encoded_words.decode({value!r})") == expected


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from([b"=?", b"?=", b"?", b"=", b"utf-8", b"q", b"B", b"_", b"=C3",
                                 b"\xa4", b" ", b"*", b"w6Q="]), max_size=14).map(b"".join))
def test_nothing_is_raised_and_the_vm_says_the_same(vm, value):
    assert vm.eval(f"encoded_words.decode({value!r})") == encoded_words.decode(value)


@pytest.mark.parametrize("value", [
    b"=?utf-8?q?" + b"=C3=A4" * 170_000 + b"?=", b"=?" * 500_000, b"=?utf-8?q?" * 100_000,
    b"=?utf-8?b?" + b"w6Q" * 300_000 + b"?=", b"=?u?q?a?= " * 100_000, b"=?u?x?=" * 140_000,
    b"=?x " * 250_000 + b"?=", b"=?u?q? " * 140_000 + b"?"], ids=range(8))
def test_a_megabyte_takes_time_in_proportion(value):
    """What is read of the value is counted: some thirty searches of all of it would be too many."""
    class Counted(bytes):
        octets = 0

        def find(self, sub, start=0, *end):
            found = super().find(sub, start, *end)
            Counted.octets += (found if found >= 0 else len(self)) - start
            return found

    encoded_words.decode(Counted(value))
    assert Counted.octets < 4 * len(value)
