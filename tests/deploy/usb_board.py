"""A board as it is bought, at an emulated USB, and what is done to it there."""

from __future__ import annotations

import argparse
import json
import signal
from pathlib import Path

from host_tools import boards, deploy_command
from host_tools.device.prompt import Prompt
from tests.rp2040 import images
from tests.support.appliance import Appliance

ANSWERS = {"hostname": "xyz.com", "wifi": {"ssid": "home", "password": "wpa secret"},
           "user": {"name": "girl", "password": "s3cret word"}}


class UsbBoard(Appliance):
    """`run --usb` in a process of its own; its flash and card outlive it, in `folder`."""

    def __init__(self, folder: Path, board: str = "pico_w", unplug_after: int | None = None,
                 more: tuple[str, ...] = ()):
        self.board = board
        self.folder = folder
        self.usb = folder / "usb"
        self.hostname = ANSWERS["hostname"]
        self.users = {ANSWERS["user"]["name"]: ANSWERS["user"]["password"]}
        if unplug_after is not None:
            more += ("--unplug-after", str(unplug_after))
        self._start(["--board", board, "--card", str(folder / "card.img"),
                     "--usb", str(self.usb), *more])

    def stop(self) -> None:
        """Ctrl-C to the command, which unplugs the board once its firmware has ended."""
        self.process.send_signal(signal.SIGINT)
        status = self.process.wait(self._patience)
        self._reader.join(self._patience)
        assert status == 0, self.process.stderr.read()

    def options(self, **more) -> argparse.Namespace:
        """Of `deploy` for this board."""
        answers = self.folder / "answers.json"
        answers.write_text(json.dumps(ANSWERS))
        image = self.folder / "image.uf2"
        if not image.exists():
            flash = bytearray(b"\xff" * 0x1000)
            images.binary_info(flash)
            images.uf2(image, bytes(flash), family=boards.chip_of(boards.load(self.board)).family)
        given = {"board": self.board, "port": None, "uf2": image, "answers": answers,
                 "settings": [], "user": None, "yes": False, "usb": self.usb,
                 "reach": f"127.0.0.1:{self.offset}"}
        return argparse.Namespace(**{**given, **more})

    def deploy(self, **more) -> None:
        """Raises UserError, as the command does."""
        deploy_command.run(self.options(**more))

    @property
    def port(self) -> str:
        """Of its serial port."""
        return str(self.usb / "serial")

    def prompt(self) -> Prompt:
        """To be entered; left, it resets the board."""
        return Prompt(self.port)
