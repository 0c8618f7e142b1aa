"""The appliance as its users meet it: `python -m host_tools run --json` in a process of its own."""

from __future__ import annotations

import json
import queue
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from tests.support.ports import free_port_offset

ROOT = Path(__file__).parents[2]
# The tests' patience, generous because it is never spent: who waits, waits for an event.
_PATIENCE = 60
# All of a test's clients have one address, 127.0.0.1.
CROWDED = {"sessions_per_address": 8}
USERS = {"girl": "s3cret word", "boy": "pa55"}


class Appliance:
    """A running appliance; `events` grows as it reports. Use as a context manager.

    `more` are other options of the command. `patience`, in seconds, is how long it waits for what
    has to come. `offset`: of its ports, where the test has chosen them.
    """

    def __init__(self, card: Path, board: str = "pico_w", users: dict[str, str] = USERS,
                 settings: dict | None = None, heap: str | None = None, main: Path | None = None,
                 hostname: str = "xyz.com", more: tuple[str, ...] = (),
                 patience: float = _PATIENCE, offset: int | None = None):
        self.users = users
        self.hostname = hostname
        self._card = card
        options = ["--board", board, "--card", str(card), *more]
        for name, password in users.items():
            options += ["--user", f"{name}:{password}"]
        for key, value in {"hostname": hostname, **CROWDED, **(settings or {})}.items():
            options += ["--set", f"{key}={json.dumps(value)}"]
        if heap:
            options += ["--heap", heap]
        if main:
            options += ["--main", str(main)]
        self._start(options, patience, offset)
        try:
            self.wait_ready()
        except BaseException:
            self.kill()
            raise

    def _start(self, options: list[str], patience: float = _PATIENCE,
               offset: int | None = None) -> None:
        self._patience = patience
        self.offset = offset or free_port_offset()
        command = [sys.executable, "-m", "host_tools", "run", "--json",
                   "--port-offset", str(self.offset), *options]
        self.process = subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE)
        self.events: list[dict] = []
        self._arrived: queue.Queue = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_ready(self) -> None:
        """From now on `ready` is the event, and `ports`, `smtp` and `pop3` are known."""
        self.ready = self.wait_for("ready")
        # The outside port of each port of the board.
        self.ports = {port - self.offset: port for port in self.ready["ports"].values()}
        self.smtp = self.ports.get(25)
        self.pop3 = self.ready["ports"]["pop3"]

    def _read(self) -> None:
        for line in self.process.stdout:
            event = json.loads(line)
            self.events.append(event)
            self._arrived.put(event)
        self._arrived.put(None)

    def wait_for(self, name: str, **fields) -> dict:
        """The next event of that name with those fields; what comes before it is passed over."""
        deadline = time.monotonic() + self._patience
        while True:
            try:
                event = self._arrived.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no {name} {fields} within {self._patience} s; "
                                     f"last: {self.events[-5:]}") from None
            if event is None:
                raise AssertionError(f"the appliance ended before {name} {fields}; last: "
                                     f"{self.events[-25:]} {self.process.stderr.read()}")
            if event["event"] == name and all(event.get(k) == v for k, v in fields.items()):
                return event

    def stop(self) -> None:
        """Ctrl-C; AssertionError unless it ends cleanly."""
        self.process.send_signal(signal.SIGINT)
        status = self.process.wait(self._patience)
        self._reader.join(self._patience)
        assert status == 0, self.process.stderr.read()
        assert self.events[-1]["event"] == "stopped", self.events[-5:]

    def kill(self) -> None:
        """End it without ceremony."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def certificate(self) -> bytes:
        """Its TLS certificate, DER, from where its owner finds it: beside the card."""
        return (self._card.with_suffix(".tls") / "tls_cert.der").read_bytes()

    def faults(self) -> list[dict]:
        """The events that say something went wrong inside."""
        return [event for event in self.events
                if event["event"] in ("fault", "card_fault", "card_full", "console")]

    def __enter__(self) -> Appliance:
        return self

    def __exit__(self, kind, *_) -> None:
        if kind is None and self.process.poll() is None:
            self.stop()
        else:
            self.kill()
