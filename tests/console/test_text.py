"""The console reads a letter from the card: mboxrd's quotes are undone, wherever a block ends."""

from __future__ import annotations

import re

import pytest

from host_tools import firmware_modules  # noqa: F401  makes picopost importable
from tests.support.vm import Vm

from picopost import limits  # isort: skip

_READER = """
import asyncio, io
from picopost.console.text import Text
from picopost.mime import parts

class Others:
    async def wait(self):
        pass
    ready = wait

async def whole(octets):
    text = Text(Others(), Others(), (io.BytesIO(octets + b"the next message"), len(octets)))
    found = b""
    while True:
        event = await text.next()
        if event == parts.DATA:
            found += bytes(text.parser.data)
        elif event == parts.DONE:
            return found

def read(octets):
    return asyncio.run(whole(octets))
"""
LINES = (b">From a\n>>From b\n>Fr\n>\n>>>>>\n>From\nx >From c\n" + b">" * 70 + b"From d\n",
         b">From a", b">>", b">From ", b">From \n>From \n")


@pytest.fixture(scope="module")
def vm():
    with Vm() as vm:
        vm.exec(_READER)
        yield vm


@pytest.mark.parametrize("lines", LINES, ids=range(len(LINES)))
def test_wherever_a_block_ends(vm, lines):
    head = b"Subject: x\n\n"
    for place in range(limits.CONSOLE_BUFFER - len(lines) - 4, limits.CONSOLE_BUFFER + 4):
        body = b"y" * (place - len(head) - 1) + b"\n" + lines
        expected = re.sub(rb"(?m)^>(>*From )", rb"\1", body)
        assert vm.eval(f"read({head + body!r})") == expected, place


def test_a_message_that_is_cut_on_the_card(vm):
    vm.exec("async def cut():\n"
            "    text = Text(Others(), Others(), (io.BytesIO(b'Subject: x'), 100))\n"
            "    try:\n"
            "        while await text.next() != parts.DONE: pass\n"
            "    except OSError as error:\n"
            "        return str(error)")
    assert "cut" in vm.eval("asyncio.run(cut())")
