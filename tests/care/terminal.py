"""A host tool at a terminal, with somebody who types."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import time

from tests.care.boards import PATIENCE, command
from tests.support.appliance import ROOT


class Terminal:
    """Runs the tool; `shown` is all that it has written."""

    def __init__(self, *words: str):
        self._ours, theirs = pty.openpty()
        self.process = subprocess.Popen(command(*words), cwd=ROOT, stdin=theirs, stdout=theirs,
                                        stderr=theirs, start_new_session=True)
        os.close(theirs)
        self.shown = b""
        self._at = 0

    def type(self, text: bytes) -> None:
        """At the keyboard."""
        os.write(self._ours, text)

    def type_until(self, keys: bytes, text: bytes) -> None:
        """Again and again, until `text` is shown."""
        deadline = time.monotonic() + PATIENCE
        while True:
            self.type(keys)
            try:
                return self.wait_for(text, 0.5)
            except AssertionError:
                if time.monotonic() > deadline:
                    raise

    def wait_for(self, text: bytes, patience: float = PATIENCE) -> None:
        """Until it is shown, after what was waited for before."""
        deadline = time.monotonic() + patience
        while (found := self.shown.find(text, self._at)) < 0:
            assert time.monotonic() < deadline, (text, self.shown[-500:])
            if select.select([self._ours], [], [], 0.1)[0]:
                try:
                    self.shown += os.read(self._ours, 4096)
                except OSError:  # it has ended
                    raise AssertionError((text, self.shown[-500:])) from None
        self._at = found + len(text)

    def end(self) -> int:
        """Its exit status; the rest of what it shows is in `shown`."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                if select.select([self._ours], [], [], 0.1)[0]:
                    self.shown += os.read(self._ours, 4096)
                elif self.process.poll() is not None:
                    break
            except OSError:
                break
        return self.process.wait(PATIENCE)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)
