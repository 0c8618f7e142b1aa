"""Charsets against CPython's codecs, under CPython and in the VM."""

import codecs

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host_tools import firmware_modules  # noqa: F401  makes picopost importable

from picopost.mime import charset_tables, charsets  # isort: skip

ALL = bytes(range(256))
NAMES = {
    "us-ascii": "ascii", "ANSI_X3.4-1968": "ascii", "utf-8": "utf-8", " UTF8 ": "utf-8",
    "iso-8859-1": "latin-1", "ISO_8859-1": "latin-1", "iso8859-1": "latin-1", "Latin1": "latin-1",
    "iso-8859-2": "iso8859-2", "ISO8859-2": "iso8859-2", "latin2": "iso8859-2",
    "iso-8859-15": "iso8859-15", "latin-9": "iso8859-15", "windows-1250": "cp1250",
    "CP1250": "cp1250", "windows-1251": "cp1251", "windows-1252": "cp1252", "cp1252": "cp1252",
    "KOI8-R": "koi8-r", "koi8_r": "koi8-r"}
# Leads and followers of UTF-8 that are right, overlong, surrogates and too large.
UTF8 = st.lists(st.sampled_from([b"a", b"\n", b"\x80", b"\xbf", b"\xc0", b"\xc3", b"\xa4", b"\xe0",
                                 b"\xe2\x82", b"\xac", b"\xed", b"\xa0", b"\x9f", b"\xf0",
                                 b"\x9f\x98", b"\x90", b"\x8f", b"\xf4", b"\xf5",
                                 b"\xff", "ä€😀".encode()]),
                max_size=12).map(b"".join)


@pytest.mark.parametrize("name", NAMES)
def test_every_octet(vm, name):
    expected = ALL.decode(NAMES[name], "replace")
    assert charsets.decode(ALL, name) == expected
    assert vm.eval(f"charsets.decode({ALL!r}, {name!r})") == expected


def test_tables_are_codecs():
    for name, table in charset_tables.TABLES.items():
        assert table == ALL[128:].decode(codecs.lookup(name).name, "replace")


@pytest.mark.parametrize("name", ["", "x", "gb2312", "utf-7", "iso-8859-99", "=?", "\xe4",
                                  "a" * 1000])
def test_what_is_not_known_is_shown_as_ascii(vm, name):
    expected = ALL.decode("ascii", "replace")
    assert charsets.decode(ALL, name) == expected
    assert vm.eval(f"charsets.decode({ALL!r}, {name!r})") == expected


@settings(max_examples=300, deadline=None)
@given(UTF8, st.integers(1, 5))
def test_utf8_in_pieces(vm, octets, piece):
    expected = octets.decode("utf-8", "replace")
    decoder = charsets.Decoder("utf-8")
    shown = "".join(decoder.decode(octets[at:at + piece]) for at in range(0, len(octets), piece))
    assert shown + decoder.decode(b"", True) == expected
    assert vm.eval(f"charsets.decode({octets!r}, 'utf-8')") == expected
    try:
        octets.decode()
    except UnicodeDecodeError:
        assert not charsets.is_utf8(octets)
    else:
        assert charsets.is_utf8(octets)
