"""`logs`: the lines of a board that goes on."""

from __future__ import annotations

import json
import queue
import re
import signal
import subprocess
import threading

from tests.care.boards import PATIENCE, Board, command
from tests.support.appliance import ROOT
from tests.support.wire import send


class Logs:
    """The command, and its lines as they come: "out" and "err"."""

    def __init__(self, *words: str):
        self.process = subprocess.Popen(command("logs", *words), cwd=ROOT, text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.lines: queue.Queue = queue.Queue()
        for stream in (self.process.stdout, self.process.stderr):
            threading.Thread(target=self._read, args=(stream,), daemon=True).start()

    def _read(self, stream) -> None:
        for line in stream:
            self.lines.put(("out" if stream is self.process.stdout else "err", line.rstrip("\n")))

    def wait_for(self, where: str, text: str) -> str:
        passed = []
        while True:
            try:
                found, line = self.lines.get(timeout=PATIENCE)
            except queue.Empty:
                raise AssertionError((text, passed)) from None
            if found == where and text in line:
                return line
            passed.append(line)

    def end(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(PATIENCE)

    def __enter__(self) -> Logs:
        return self

    def __exit__(self, *_) -> None:
        self.process.kill()


def letters(board: Board, logs: Logs, text: str) -> str:
    """Send letters until one shows: when the command is at the port it does not say."""
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            send(board.offset + 25, b"Subject: hello\r\n\r\nIt works.\r\n")
            stop.wait(0.3)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        return logs.wait_for("out", text)
    finally:
        stop.set()
        thread.join()


def test_lines_as_they_come(folder):
    with Board(folder) as board:
        board.ready()
        watch(board, folder)


def watch(board: Board, folder) -> None:
    with Logs(*board.at) as logs:
        line = letters(board, logs, "  accepted ")
        assert re.match(r"\d\d:\d\d:\d\d  accepted   ", line), line
        # The port goes and comes.
        board.process.send_signal(signal.SIGINT)
        logs.wait_for("err", "is gone")
        board.process.wait(PATIENCE)
        with Board(folder) as again:
            logs.wait_for("err", "is back")
            logs.wait_for("out", "  ready ")
            letters(again, logs, "  accepted ")
            assert logs.end() == 0
            assert "stopped" not in [event["event"] for event in again.console.seen]


def test_json(board):
    with Logs("--json", *board.at) as logs:
        event = json.loads(letters(board, logs, '"accepted"'))
        assert event["event"] == "accepted" and isinstance(event["time"], int)
        assert logs.end() == 0
        while not logs.lines.empty():
            where, line = logs.lines.get()
            assert where == "out" and json.loads(line)["event"]
