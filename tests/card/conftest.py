"""Cards that the firmware itself has written, and what was delivered to them."""

from __future__ import annotations

import os
import resource
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from host_tools.card.check import Check
from host_tools.card.fat import Entry
from host_tools.card.finding import Finding
from host_tools.card.source import ImageCard, open_card
from host_tools.emulator.card_image import CardImage
from host_tools.firmware_build import ROOT
from tests.support.vm import Vm

_VM_MODULES = (Path(__file__).parent, ROOT / "host_tools" / "card")
_DATE = 1_700_000_000  # 2023-11-14 22:13:20 UTC; each letter a minute later

# Contents on the wire, before dot-stuffing.
LETTERS = [
    b"Subject: dots\r\n\r\n.\r\n..\r\n...\r\n.hidden\r\n",
    b"Subject: From_ lines\r\n\r\nFrom me\r\n>From you\r\n>>From them\r\nFrom: x\r\n>Fr\r\n"
    b">From a\r\n>From b\r\nFrom \r\n> From no\r\nx >From no\r\n",
    b"From: =?utf-8?q?Andr=C3=A9?= <andre@abc.com>\r\n"
    b"Subject: =?utf-8?b?w6l0w6k=?=\r\n =?iso-8859-1?q?_=E9?=\r\n\r\nJ'ai \xc3\xa9t\xe9.\r\n",
    b"Subject: long lines\r\n\r\n" + b"x" * 9000 + b"\r\n" + b"y" * 3000 + b"\r\n",
    b"From the header on\r\n",
    b"",
    b"Subject: large\r\n\r\n" + b"From home\r\n.\r\n>From home\r\nz\r\n" * 4000,
    b"Subject: \x1b[2J\xe9 raw\r\n\r\n\r\n\r\n",
]


def wire(content: bytes) -> bytes:
    """How a client sends it (RFC 5321 4.5.2)."""
    return (b"\r\n" + content).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n"


@dataclass
class Card:
    """An image and what is in it: (unique-id, content) by mailbox, deleted ones included."""

    path: Path
    letters: dict[str, list[tuple[str, bytes]]]

    @contextmanager
    def firmware(self, *names: str, cut: bool = False) -> Iterator[Vm]:
        """The VM with the image mounted and these mailboxes open.

        Everything is closed in order after, unless the power is `cut`.
        """
        with Vm(heap_kib=1000, extra_path=_VM_MODULES) as vm:
            vm.exec(f"from vm_card import *; start({str(self.path)!r}, {names!r})")
            yield vm
            if cut:
                vm.process.kill()  # an orderly end would close files
            else:
                vm.exec("stop()")

    def deliver(self, vm: Vm, name: str, content: bytes) -> None:
        letters = self.letters.setdefault(name, [])
        date = _DATE + 60 * len(letters)
        letters.append((vm.eval(f"deliver([{name!r}], {wire(content)!r}, {date})"), content))

    def copy(self, path: Path) -> Card:
        with CardImage(self.path) as image:
            image.copy(path).close()
        return Card(path, {name: list(letters) for name, letters in self.letters.items()})

    def check(self) -> list[Finding]:
        return findings(self.path)

    # --- damage -------------------------------------------------------------------------------

    def entry(self, path: str) -> Entry:
        """The directory entry of a file."""
        with ImageCard(self.path) as card:
            entry = None
            for name in path.upper().split("/"):
                entry = card.listing(entry)[name]
            return entry

    def peek(self, at: int, length: int) -> bytes:
        with open(self.path, "rb") as file:
            file.seek(at)
            return file.read(length)

    def patch(self, at: int, data: bytes) -> None:
        with open(self.path, "r+b") as file:
            file.seek(at)
            file.write(data)

    def place(self, path: str, offset: int = 0) -> int:
        """Where in the image an octet of a file's first cluster is."""
        with ImageCard(self.path) as card:
            return card.volume._offset_of(self.entry(path).cluster) + offset

    def directory_slot(self, path: str) -> int:
        """Where in the image a file's 32-octet directory entry is."""
        entry = self.entry(path)
        name, _, extension = entry.name.upper().partition(".")
        wanted = name.ljust(8).encode() + extension.ljust(3).encode()
        data = self.path.read_bytes()
        at = data.find(wanted)
        while struct.unpack_from("<H", data, at + 26)[0] != entry.cluster & 0xFFFF:
            at = data.index(wanted, at + 1)
        return at

    def fat_slot(self, cluster: int, copy: int = 0) -> int:
        """Where in the image FAT16's entry of a cluster is."""
        with ImageCard(self.path) as card:
            volume = card.volume
            assert volume.bits == 16
            return volume._fat_start + copy * volume.fat_sectors * 512 + 2 * cluster

    def set_fat(self, cluster: int, value: int) -> None:
        """Change both copies."""
        for copy in range(2):
            self.patch(self.fat_slot(cluster, copy), struct.pack("<H", value))


def findings(path: Path) -> list[Finding]:
    with open_card(path) as card:
        return list(Check(card).run())


def new_image(path: Path, kind: str) -> Card:
    """An empty card: FAT12 as MicroPython formats it, FAT16 or FAT32 as sold."""
    if kind == "fat12":
        CardImage.create(path, 2 * 1024**2, formatted=False).close()
        with Vm(heap_kib=1000, extra_path=_VM_MODULES) as vm:
            vm.exec(f"import vfs, vm_repair; "
                    f"vfs.VfsFat.mkfs(vm_repair.ImageDevice({str(path)!r}))")
    else:
        CardImage.create(path, 2 * 1024**3 if kind == "fat32" else 32 * 1024**2).close()
    return Card(path, {})


def run_card(*arguments: str | Path,
             largest_file: int | None = None) -> subprocess.CompletedProcess:
    """`python -m host_tools card ...`; no file that it writes may be larger than `largest_file`."""
    def bounded():
        most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, most))

    return subprocess.run([sys.executable, "-m", "host_tools", "card", *map(str, arguments)],
                          cwd=ROOT, capture_output=True, text=True, timeout=60,
                          env={**os.environ, "PYTHONUTF8": "1"},
                          preexec_fn=bounded if largest_file else None)


def fill(card: Card) -> None:
    """All letters to two mailboxes, a hundred small ones to the second; some deleted there."""
    with card.firmware("girl", "long-name.of_a-boy") as vm:
        for content in LETTERS:
            card.deliver(vm, "girl", content)
            card.deliver(vm, "long-name.of_a-boy", content)
        for number in range(100):
            card.deliver(vm, "long-name.of_a-boy", b"Subject: %d\r\n\r\n" % number + b"a\r\n" * 900)
        vm.eval("delete('long-name.of_a-boy', [2, 3, 20, 108])")


@pytest.fixture(scope="session")
def filled(tmp_path_factory) -> Card:
    """A FAT16 card with mail; tests copy it."""
    card = new_image(tmp_path_factory.mktemp("card") / "card.img", "fat16")
    fill(card)
    return card


@pytest.fixture
def card(filled, tmp_path) -> Card:
    """A card with mail to be damaged."""
    return filled.copy(tmp_path / "card.img")
