"""A board at an emulated USB that has picopost, and the commands for its care."""

from __future__ import annotations

import json
import queue
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from host_tools import boards, events
from host_tools.card.source import open_card
from host_tools.emulator import littlefs_image
from host_tools.emulator.board import EmulatedBoard
from host_tools.emulator.card_image import CardImage
from host_tools.emulator.usb import UsbFolder
from tests.rp2040 import images
from tests.support.appliance import ROOT
from tests.support.ports import free_port_offset

PATIENCE = 60
USER, PASSWORD = "girl", "s3cret word"
ANSWERS = {"hostname": "xyz.com", "wifi": {"ssid": "home", "password": "wpa secret"},
           "user": {"name": USER, "password": PASSWORD}}


def command(*words: str) -> list[str]:
    """The command line of a host tool."""
    return [sys.executable, "-m", "host_tools", *map(str, words)]


def tool(*words: str, stdin: str = "") -> subprocess.CompletedProcess:
    """Run a host tool, away from any terminal."""
    return subprocess.run(command(*words), cwd=ROOT, input=stdin, text=True, capture_output=True,
                          timeout=PATIENCE)


def done(*words: str, stdin: str = "") -> str:
    """The same; what it prints, once it has done what it shall."""
    result = tool(*words, stdin=stdin)
    assert result.returncode == 0, result.stderr
    return result.stdout


def refused(*words: str, stdin: str = "") -> str:
    """The same; the one line of a tool that cannot."""
    result = tool(*words, stdin=stdin)
    assert result.returncode == 1, (result.stdout, result.stderr)
    lines = result.stderr.splitlines()
    assert len(lines) == 1 and lines[0].startswith("python -m host_tools "), result.stderr
    return lines[0]


def image(folder: Path) -> Path:
    """A UF2 file that is taken for MicroPython."""
    path = folder / "image.uf2"
    if not path.exists():
        images.uf2(path, images.program([]))
    return path


class Console:
    """`seen` are a board's events, `wait_for` waits for the next one of a name."""

    def __init__(self):
        self.seen: list[dict] = []
        self._arrived: queue.Queue = queue.Queue()

    def put(self, event: dict) -> None:
        self.seen.append(event)
        self._arrived.put(event)

    def wait_for(self, name: str) -> dict:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                event = self._arrived.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no {name}; {self.seen[-8:]}") from None
            if event["event"] == name:
                return event


class Board:
    """`run --usb` in a process of its own. `folder` has its flash and its card, which stay."""

    def __init__(self, folder: Path, name: str = "pico_w"):
        self.folder = folder
        self.usb = folder / "usb"
        self.card = folder / "card.img"
        self.offset = free_port_offset()
        self.console = Console()
        self.process = subprocess.Popen(
            command("run", "--json", "--board", name, "--card", self.card, "--port-offset",
                    self.offset, "--usb", self.usb),
            cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.process.stdout:
            if line.startswith("{"):
                self.console.put(json.loads(line))

    @property
    def at(self) -> tuple[str, str]:
        """The option that says which board."""
        return "--usb", str(self.usb)

    def ready(self) -> None:
        """Wait for its firmware to serve."""
        self.console.wait_for("ready")

    def waits(self) -> None:
        """Wait for it to wait for an image."""
        deadline = time.monotonic() + PATIENCE
        while not (self.usb / "RPI-RP2" / "INFO_UF2.TXT").exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def kill(self) -> None:
        """Without a word, as a cable is pulled."""
        self.process.kill()
        self.process.wait()

    def __enter__(self) -> Board:
        return self

    def __exit__(self, *_) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(PATIENCE)
            finally:
                self.process.kill()


class BoardHere:
    """The same in this process, with a hand on its card and its Wi-Fi."""

    def __init__(self, folder: Path):
        self.usb = folder / "usb"
        self.image = CardImage(folder / "card.img")
        self.console = Console()
        usb = UsbFolder(self.usb)
        self._board = EmulatedBoard(boards.load("pico_w"), self.image, self.usb / "flash.img",
                                    free_port_offset(), usb=usb)
        self.sd_card = self._board.sd_card
        self.radio = self._board.radio
        self._thread = threading.Thread(target=self._board.run, args=(self._line,), daemon=True)

    def _line(self, text: str) -> None:
        self.console.put(events.parse(text) or {"event": "console", "text": text})

    at = Board.at
    ready = Board.ready

    def __enter__(self) -> BoardHere:
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._board.stop()
        self._thread.join(PATIENCE)
        self.image.close()


def copy(source: Path, target: Path) -> Path:
    """Of a board's folder, whose card is a sparse file."""
    subprocess.run(["cp", "-r", "--sparse=always", source, target], check=True)
    return target


def tree(folder: Path) -> dict[str, bytes]:
    """{path: content} of all files."""
    return {path.relative_to(folder).as_posix(): path.read_bytes()
            for path in folder.rglob("*") if path.is_file()}


def on_card(path: Path) -> dict[str, bytes]:
    """The same of a card image, as another reader of FAT has it."""
    files = {}
    with open_card(path) as card:
        left = [(None, "")]
        while left:
            directory, inside = left.pop()
            for entry in card.listing(directory).values():
                if entry.is_directory:
                    left.append((entry, f"{inside}{entry.name}/"))
                else:
                    files[inside + entry.name] = card.read(entry, 0, entry.size)
    return files


def mail_on(path: Path) -> dict[str, bytes]:
    """Of a card image, what is in `mail`."""
    return {name: octets for name, octets in on_card(path).items() if name.startswith("mail/")}


def on_flash(folder: Path) -> dict[str, bytes]:
    """The same of a board's flash."""
    return littlefs_image.read((folder / "usb" / "flash.img").read_bytes())
