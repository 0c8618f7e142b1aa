"""The files of the card in a board, over its prompt: the firmware's driver reads and writes them.

What runs on the board is here as text. It frees what the firmware had loaded, so that there is room
for its buffer, whatever the board.
"""

from __future__ import annotations

import binascii
import hashlib
import struct
from collections.abc import Callable, Iterable, Iterator

from host_tools.device import flash_files, kind
from host_tools.device.prompt import Name, Prompt
from host_tools.errors import UserError

ROOT = "/sd"
# A file comes in pieces of 4 KB. It goes in pieces of 3 KB, which base64 makes 4 of: whole blocks,
# and no octet of it is Ctrl-C.
_PIECE = 4096
_PIECE_OUT = 3072
_FAILED = 0xFFFF
_HASHED = b"="

_CODE = f"""
import gc, sys
for _name in [name for name in sys.modules if name.startswith("picopost")]:
    del sys.modules[_name]
appliance = None
gc.collect()
import binascii, hashlib, json, machine, os, select, struct, vfs
from picopost.store.sd_card import SdCard
_buffer = bytearray({_PIECE})
_view = memoryview(_buffer)
_in, _out = sys.stdin.buffer, sys.stdout.buffer
_typed = select.poll()
_typed.register(sys.stdin, 1)
_volume = None

def _card():
    for folder in ("/fw/", ""):
        try:
            with open(folder + "board.json") as file:
                pins = json.load(file)["sd_card"]
            break
        except OSError:
            pass
    try:
        vfs.umount("{ROOT}")
    except OSError:
        pass
    spi = machine.SPI(pins["spi"], 400_000, sck=machine.Pin(pins["sck"]),
                      mosi=machine.Pin(pins["mosi"]), miso=machine.Pin(pins["miso"]))
    return SdCard(spi, machine.Pin(pins["cs"], machine.Pin.OUT, value=1),
                  baudrate=pins["baudrate"])

def _mount():
    vfs.mount(vfs.VfsFat(_card()), "{ROOT}", readonly=True)

def _mount_to_write():
    # As the firmware does, with all that it takes care of.
    global _volume
    from picopost.store.volume import Volume
    card = _card()
    card.open()
    _volume = Volume(card)
    _volume.mount("{ROOT}")
    _volume.structural += 1

def _wait():
    # Whom this is for may be gone: mail shall go on.
    if not _typed.poll(60_000):
        machine.reset()

def _fetch(path):
    try:
        with open(path, "rb") as file:
            total = hashlib.sha256()
            while True:
                n = file.readinto(_buffer)
                total.update(_view[:n])
                _wait()
                if _in.read(1) != b"+":
                    return
                _out.write(struct.pack("<H", n))
                if not n:
                    _out.write(total.digest())
                    return
                _out.write(_view[:n])
    except OSError:
        _wait()
        _in.read(1)
        _out.write(struct.pack("<H", {_FAILED}))
        raise

def _store(path):
    try:
        with open(path, "wb") as file:
            while True:
                _out.write(b"+")
                _wait()
                size = int(_in.read(4))
                if not size:
                    break
                at = 0
                while at < size:
                    got = _in.readinto(_view[at:size])
                    if not got:
                        return
                    at += got
                file.write(binascii.a2b_base64(_view[:size]))
        _out.write(b"+")
    except (OSError, ValueError):
        _out.write(b"!")
        raise

def _hash_of(path):
    try:
        total = hashlib.sha256()
        with open(path, "rb") as file:
            at = 0
            while True:
                n = file.readinto(_buffer)
                if not n:
                    break
                total.update(_view[:n])
                at += 1
                if not at & 15:
                    _out.write(b".")
        _out.write(b"{_HASHED.decode()}" + total.digest())
    except OSError:
        _out.write(b"!")
        raise
"""
_HASH_STEP = 16 * _PIECE


class CardFiles:
    """Of the card in the board at `prompt`, mounted at ROOT: to be read, or with `write` to be
    written too. Paths are the board's. Raises UserError, as all methods do.
    """

    def __init__(self, prompt: Prompt, write: bool = False):
        self._prompt = prompt
        if (prompt.read(flash_files.LIST) is None and prompt.names("picopost") is None
                and not kind.frozen(prompt)):
            raise UserError(f"{prompt.device}: the board there has no picopost on it, which reads "
                            "the card: `make deploy` first")
        prompt.run(_CODE, "its firmware does not load")
        prompt.run("_mount_to_write()" if write else "_mount()", "its card cannot be read")

    def names(self, folder: str) -> list[Name] | None:
        """What is in a folder, None where there is none."""
        return self._prompt.names(folder)

    def fetch(self, path: str, sink: Callable[[bytes], None]) -> None:
        """Hand the octets of a file to `sink`, which raises UserError if it cannot take them. Their
        SHA-256 is the board's when this returns.
        """
        total = hashlib.sha256()
        what = f"{path} could not be read"
        with self._prompt.talk(f"_fetch({path!r})", what) as talk:
            while True:
                talk.send(b"+")
                size = struct.unpack("<H", talk.receive(2))[0]
                if size == _FAILED:
                    talk.refuse()
                if not size:
                    right = talk.receive(total.digest_size) == total.digest()
                    break
                octets = talk.receive(size)
                total.update(octets)
                sink(octets)
        if not right:
            raise UserError(f"{self._prompt.device}: {what} (what came has another SHA-256 than the"
                            " board's)")

    # --- with `write` -------------------------------------------------------------------------

    def store(self, path: str, content: Iterable[bytes], progress: Callable[[int], None]) -> bytes:
        """Make a file of octets that come in any pieces; their SHA-256. `progress` is told how many
        octets have gone.
        """
        total = hashlib.sha256()
        with self._prompt.talk(f"_store({path!r})", f"{path} could not be written") as talk:
            for octets in _pieces(content):
                talk.answer()
                coded = binascii.b2a_base64(octets, newline=False)
                talk.send(b"%04d" % len(coded) + coded)
                total.update(octets)
                progress(len(octets))
            talk.answer()
            talk.send(b"0000")
            talk.answer()
        return total.digest()

    def hash_of(self, path: str, progress: Callable[[int], None]) -> bytes:
        """SHA-256 of a file as it is on the card. `progress` is told how many octets more are read.
        """
        with self._prompt.talk(f"_hash_of({path!r})", f"{path} could not be read back") as talk:
            while talk.answer() != _HASHED:
                progress(_HASH_STEP)
            return talk.receive(hashlib.sha256().digest_size)

    def make_folder(self, path: str) -> None:
        """A new one."""
        self._prompt.run(f"os.mkdir({path!r})", f"{path} could not be made")

    def remove(self, path: str, is_folder: bool) -> None:
        """A file, or an empty folder."""
        self._prompt.run(f"os.{'rmdir' if is_folder else 'remove'}({path!r})",
                         f"{path} could not be removed")

    def rename(self, old: str, new: str) -> None:
        """A file or a folder."""
        self._prompt.run(f"os.rename({old!r}, {new!r})", f"{old} could not be renamed")

    def free(self) -> int:
        """Octets."""
        size, free = self._prompt.value(f"(lambda s: (s[0], s[3]))(os.statvfs({ROOT!r}))",
                                        "its card could not be looked at")
        return size * free

    def sync(self) -> None:
        """All that was written is on the card for good when this returns."""
        self._prompt.run("_volume.sync()", "its card could not be written")

    def close(self) -> None:
        """Sync, and let the card go."""
        self._prompt.run("_volume.structural -= 1\n_volume.sync()\n_volume.unmount()",
                         "its card could not be written")


def _pieces(content: Iterable[bytes]) -> Iterator[bytes]:
    pending = b""
    for octets in content:
        pending += octets
        while len(pending) >= _PIECE_OUT:
            yield pending[:_PIECE_OUT]
            pending = pending[_PIECE_OUT:]
    if pending:
        yield pending
