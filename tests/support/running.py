"""An emulated board in this process, so that a test has its hands on chips, radio and card."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path

from host_tools import accounts, boards, events, tls_identity
from host_tools.emulator.board import EmulatedBoard, prepare_flash
from host_tools.emulator.card_image import CardImage
from tests.support.appliance import CROWDED
from tests.support.ports import free_port_offset

_PATIENCE = 60


class Running:
    """The appliance as a thread of this process; as a context manager it is started and stopped.

    One account, `girl` with password `pw`. `board` has the models; `smtp` and `pop3` are the
    outside ports; `passed` are the events that `wait_for` went by. `main` replaces
    the firmware's main.py. `offset`: of its ports, where the test has chosen them.
    """

    def __init__(self, folder: Path, settings: dict | None = None, board: str = "pico_w",
                 main: Path | None = None, offset: int | None = None):
        definition = boards.load(board)
        path = folder / "card.img"
        self.card = CardImage(path) if path.exists() else CardImage.create(path)
        prepare_flash(folder / "flash", definition,
                      {"hostname": "xyz.com", **CROWDED, **(settings or {})},
                      [accounts.line("girl", "pw")], tls_identity.keep(folder / "tls", "xyz.com"))
        offset = offset or free_port_offset()
        self.smtp, self.pop3 = offset + 25, offset + 110
        self.board = EmulatedBoard(definition, self.card, folder / "flash", offset, main=main,
                                   in_place=True)
        self.passed: list[dict] = []
        self._events: queue.Queue = queue.Queue()
        self.status: int | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        self.status = self.board.run(self._line)

    def _line(self, text: str) -> None:
        self._events.put(events.parse(text) or {"event": "console", "text": text})

    def wait_for(self, name: str, again: Callable[[], None] | None = None, **fields) -> dict:
        """The next event of that name with those fields; `again` is done each second until then."""
        end = time.monotonic() + _PATIENCE
        while True:
            try:
                event = self._events.get(timeout=1 if again else _PATIENCE)
            except queue.Empty:
                if again and time.monotonic() < end:
                    again()
                    continue
                raise AssertionError(f"no {name} {fields}; {self.passed[-10:]}") from None
            self.passed.append(event)
            if event["event"] == name and all(event.get(k) == v for k, v in fields.items()):
                return event

    def ended(self) -> None:
        """Wait until the firmware has ended by itself, or with the power."""
        self._thread.join(_PATIENCE)
        assert not self._thread.is_alive()

    def __enter__(self) -> Running:
        self._thread.start()
        return self

    def __exit__(self, kind, *_) -> None:
        self.board.stop()
        self._thread.join(_PATIENCE)
        self.card.close()
        assert not self._thread.is_alive()
        if kind is None:
            assert self.status == 0, "the firmware had to be killed"
