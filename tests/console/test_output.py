"""An answer on its way out, and what it takes of the heap."""

from __future__ import annotations

import base64

import pytest

from tests.support.vm import Vm

_READER = """
import asyncio, gc, io
from picopost import limits
from picopost.console import attachment, heading, letter

class Office:
    async def ready(self):
        pass

class Out:
    # The heap is looked at wherever others would have their turn.
    def __init__(self):
        self.peak = 0
        gc.collect()
        self.idle = gc.mem_alloc()

    async def wait(self):
        gc.collect()
        self.peak = max(self.peak, gc.mem_alloc() - self.idle)

    async def octets(self, line):
        await self.wait()

    async def text(self, line):
        assert len(line) <= 80
        await self.wait()

    async def event(self, event, **fields):
        await self.wait()

def read(make, *more):
    text = made()
    out = Out()
    asyncio.run(make(out, Office(), (io.BytesIO(text), len(text)), *more))
    return out.peak
"""
HEAP = 14 * 1024  # in the VM, about half of it on a board


def letter(lines: int) -> bytes:
    picture = base64.encodebytes(bytes(range(256)) * lines)
    return (b"From: =?utf-8?q?Andr=C3=A9?= <a@b.c>\nSubject: x\n"
            b"Content-Type: multipart/mixed; boundary=x\n\n--x\n"
            b"Content-Type: text/html; charset=utf-8\n\n<p>" + b"word \xc3\xa9t\xc3\xa9 " * lines
            + b"\n--x\nContent-Type: image/png; name=p.png\nContent-Transfer-Encoding: base64\n\n"
            + picture + b"--x--\n")


@pytest.mark.parametrize("make", ["letter.show", "heading.read", "attachment.save"])
def test_a_letter_of_any_size_takes_the_same(make):
    more = ", 1" if make == "attachment.save" else ""
    peaks = []
    with Vm(heap_kib=2000) as vm:
        vm.exec(_READER)
        for lines in (1, 1000, 2000):
            # What the collector takes for a pointer may hold a piece that is garbage, at one size
            # or another: that only adds.
            of_size = []
            for more_lines in range(3):
                vm.exec(f"text = {letter(lines + more_lines)!r}\ndef made(): return text")
                vm.eval(f"read({make}{more})")  # what is loaded is loaded
                of_size.append(vm.eval(f"read({make}{more})"))
            assert max(of_size) < HEAP, of_size
            peaks.append(min(of_size))
    print(make, peaks)
    assert peaks[2] - peaks[1] < 600, peaks
