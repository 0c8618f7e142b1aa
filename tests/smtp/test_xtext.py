"""xtext (RFC 3461 section 4), in the VM."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.vm import Vm


@pytest.fixture(scope="module")
def vm():
    with Vm() as vm:
        vm.exec("""
from picopost.smtp.xtext import decode_xtext
def decoded(text):
    try:
        return decode_xtext(text)
    except ValueError:
        return None
""")
        yield vm


def xtext(octets: bytes) -> bytes:
    """RFC 3461 4: xchar is any ASCII character between "!" and "~" except "+" and "="."""
    return b"".join(bytes([octet]) if 33 <= octet <= 126 and octet not in b"+=" else
                    b"+%02X" % octet for octet in octets)


@given(st.binary(max_size=60))
def test_what_was_encoded_comes_back(vm, octets):
    assert vm.eval(f"decoded({xtext(octets)!r})") == octets


def test_every_octet_can_be_encoded(vm):
    octets = bytes(range(256))
    assert vm.eval(f"decoded({xtext(octets)!r})") == octets
    everything = b"".join(b"+%02X" % octet for octet in octets)
    assert vm.eval(f"decoded({everything!r})") == octets


@pytest.mark.parametrize("text", [
    b"+", b"a+", b"a+4", b"+4g", b"+4G", b"+ab", b"+4+41", b"++41", b"a=b", b"a b", b"a\tb", b"a\n",
    b"\x7f", b"a\x80", b"\xc3\xa9", b"+ 4", b"+-1", b"+0x"], ids=repr)
def test_what_is_not_xtext_is_a_value_error(vm, text):
    assert vm.eval(f"decoded({text!r})") is None


@pytest.mark.parametrize("text, octets", [
    (b"", b""), (b"QQ314159", b"QQ314159"), (b"a+2Bb", b"a+b"), (b"+3D", b"="),
    (b"+0D+0A", b"\r\n"), (b"girl@abc.com", b"girl@abc.com")])
def test_xtext(vm, text, octets):
    assert vm.eval(f"decoded({text!r})") == octets
