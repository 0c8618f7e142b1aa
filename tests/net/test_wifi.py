"""The Pico W's link: what happens when the access point goes away and comes back."""

import queue
import threading

from host_tools import accounts, boards, events
from host_tools.emulator.board import EmulatedBoard, prepare_flash
from host_tools.emulator.card_image import CardImage
from tests.support.appliance import free_port_offset
from tests.support.wire import send

_PATIENCE = 60


class Running:
    """A board in this process, so that a test has its hands on the emulated radio."""

    def __init__(self, folder, settings=None):
        self.definition = boards.load("pico_w")
        self.card = CardImage.create(folder / "card.img")
        flash = folder / "flash"
        prepare_flash(flash, self.definition, {"hostname": "xyz.com", **(settings or {})},
                      [accounts.line("girl", "pw")])
        self.board = EmulatedBoard(self.definition, self.card, flash, free_port_offset())
        self.events = queue.Queue()
        self.thread = threading.Thread(target=self.board.run, args=(self._line,), daemon=True)

    def _line(self, text):
        self.events.put(events.parse(text) or {"event": "console", "text": text})

    def wait_for(self, name):
        passed = []
        while True:
            try:
                event = self.events.get(timeout=_PATIENCE)
            except queue.Empty:
                raise AssertionError(f"no {name}; there were {passed}") from None
            if event["event"] == name:
                return event
            passed.append(event)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.board.stop()
        self.thread.join(_PATIENCE)
        self.card.close()
        assert not self.thread.is_alive()


def test_link_lost_and_found(tmp_path):
    with Running(tmp_path) as running:
        smtp = running.board.port_offset + running.wait_for("ready")["smtp"]
        assert send(smtp, b"Subject: x\r\n").startswith(b"250")
        running.board.radio.access_point = False
        running.wait_for("link_down")
        running.board.radio.access_point = True
        running.wait_for("link_up")
        assert send(smtp, b"Subject: y\r\n").startswith(b"250")


def test_no_access_point_at_first(tmp_path):
    """It tells, and serves as soon as the network is there."""
    running = Running(tmp_path, {"wifi": {"ssid": "home", "password": "very secret"}})
    running.board.radio.access_point = False
    with running:
        event = running.wait_for("link_failed")
        assert "home" in event["error"] and "secret" not in event["error"]
        running.board.radio.access_point = True
        smtp = running.board.port_offset + running.wait_for("ready")["smtp"]
        assert send(smtp, b"Subject: x\r\n").startswith(b"250")
