"""The console while the card fails, is gone, and comes back."""

from __future__ import annotations

import json
import threading

import pytest

from host_tools import boards, events
from host_tools.emulator.board import EmulatedBoard
from host_tools.emulator.card_image import CardImage
from host_tools.emulator.usb import UsbFolder
from tests.care.boards import Console, done
from tests.console.typist import Typist
from tests.support.ports import free_port_offset
from tests.support.wire import send


@pytest.fixture
def here(folder):
    """The board in this process, with a hand on its card."""
    image = CardImage(folder / "card.img")
    console = Console()
    offset = free_port_offset()
    board = EmulatedBoard(boards.load("pico_w"), image, folder / "usb" / "flash.img", offset,
                          usb=UsbFolder(folder / "usb"), in_place=True)
    thread = threading.Thread(
        target=board.run, daemon=True,
        args=(lambda text: console.put(events.parse(text) or {"event": "console"}),))
    thread.start()
    try:
        console.wait_for("ready")
        yield board, console, offset, str(folder / "usb")
    finally:
        board.stop()
        thread.join(60)
        image.close()


def card(typist) -> dict:
    return next(part for part in typist.said("status") if part["part"] == "card")


def test_a_card_that_is_pulled_while_somebody_reads(here):
    board, console, offset, usb = here
    assert send(offset + 25, b"Subject: long\r\n\r\n" + b"It goes on.\r\n" * 100_000).startswith(
        b"250")
    with Typist(f"{usb}/serial") as typist:
        typist.type(b"mail girl 1\r")
        typist.wait_for(b"| It goes on.")
        board.sd_card.remove()
        typist.wait_for(b' answered command="mail girl 1" why=')
        console.wait_for("no_card")
        found = card(typist)
        assert found["state"] == "lost" and found["why"] and "free" not in found
        assert "no card" in typist.why("mail girl")
        assert typist.why("status card")
        board.sd_card.insert()
        console.wait_for("card_back")
        assert card(typist)["state"] == "ok"
        assert typist.text("mail girl")[-1].startswith("1 of 1 messages")
    assert "fault" not in [event["event"] for event in console.seen]


def test_errors_that_the_driver_healed_are_counted(here):
    board, _, _, usb = here
    before = json.loads(done("status", "card", "--usb", usb, "--json").splitlines()[0])
    board.sd_card.faults.corrupt_read(20)
    parts = [json.loads(line) for line in
             done("status", "card", "--usb", usb, "--json").splitlines()]
    assert before["errors"] == before["healed"] == 0
    assert parts[1]["healed"] == 1 and parts[1]["crc"] == "right"
    assert json.loads(done("status", "card", "--usb", usb, "--json").splitlines()[0])["errors"] == 1
