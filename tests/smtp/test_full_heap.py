"""Whole sessions inside the VM, with a heap that is full at one place after the other: no 250
without its letter, and no seat, connection or segment stays.
"""

from pathlib import Path

import pytest

from tests.support.vm import Vm

HERE = Path(__file__).parent
HEAD = (b"EHLO x\r\nMAIL FROM:<a@xyz.com>\r\nRCPT TO:<a@xyz.com> NOTIFY=SUCCESS\r\n"
        b"RCPT TO:<b@xyz.com>\r\n")


def letter(octets):
    return b"Subject: x\r\n\r\n" + (b"y" * 60 + b"\r\n") * (octets // 62)


def data(octets):
    return b"DATA\r\n" + letter(octets) + b".\r\n"


def chunks(octets):
    text = letter(octets)
    half = len(text) // 2
    return b"BDAT %d\r\n%sBDAT %d LAST\r\n%s" % (half, text[:half], len(text) - half, text[half:])


@pytest.fixture(scope="module")
def vm():
    with Vm(heap_kib=7000, extra_path=(HERE, HERE.parent / "store")) as machine:
        machine.exec("from vm_full_heap import deliver, letter\nfrom vm_full_heap_session import *")
        machine.exec("fresh(['a', 'b'])\ndeliver(['a', 'b'], letter(300))\nsave()")
        yield machine


@pytest.mark.parametrize("mail", [data(300), data(9000), chunks(9000)],
                         ids=["small", "large", "chunks"])
def test_no_250_without_its_letter(vm, mail):
    tried, findings = vm.eval(f"sessions({HEAD + mail + b'QUIT' + bytes((13, 10))!r}, 11)")
    assert tried > 10, "it came to its end at once"
    assert not findings
