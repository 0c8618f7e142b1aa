"""A board's prompt at a serial port, through MicroPython's raw REPL (mpremote)."""

from __future__ import annotations

import ast
import contextlib
import hashlib
import io
import os
import struct
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import serial
from mpremote.transport import TransportError
from mpremote.transport_serial import SerialTransport

from host_tools.errors import UserError

_PATIENCE = 5  # s for one answer
_LOOK = 0.1  # s between two tries
_GOING = 1  # s for a board that resets to leave its port
_FOLDER = 0x4000  # how MicroPython's ilistdir calls one
_CHUNK = 512  # octets of a file that go in one command
# A board that is left alone at its prompt, its host gone, its power not, starts again after 20
# minutes: mail shall go on. Whoever is there puts it off.
_STILL_HERE = 300  # s
_ALONE = """
import machine
try:
    _alone.deinit()
except NameError:
    pass
_alone = machine.Timer(period=1200000, mode=machine.Timer.ONE_SHOT,
                       callback=lambda timer: machine.reset())
"""
# What was written, from the flash and not from memory.
_HASH = """
import hashlib
def _hash(path):
    h = hashlib.sha256()
    b = bytearray(512)
    with open(path, "rb") as f:
        while True:
            n = f.readinto(b)
            if not n:
                return h.digest()
            h.update(b if n == 512 else b[:n])
"""


class Name(NamedTuple):
    """What a folder has under a name; `size` in octets."""

    name: str
    is_folder: bool
    size: int


class Refused(Exception):
    """The board said that it cannot."""


class Talk:
    """Octets to and from what runs on the board."""

    REFUSED = b"!"

    def __init__(self, port: serial.Serial):
        self._port = port
        self.refused = False

    def send(self, octets: bytes) -> None:
        """All of them. 3, Ctrl-C, must not be among them."""
        self._port.write(octets)

    def receive(self, count: int) -> bytes:
        """That many."""
        octets = self._port.read(count)
        if len(octets) < count:
            raise TransportError("no answer")
        return octets

    def answer(self) -> bytes:
        """One octet. Raises Refused for REFUSED."""
        octet = self.receive(1)
        if octet == self.REFUSED:
            self.refuse()
        return octet

    def refuse(self) -> None:
        """It has said that it cannot, in a way of its own. Raises Refused."""
        self.refused = True
        raise Refused


class _NotYet(UserError):
    """The port is not there, or not ours, yet."""


class Prompt:
    """Entered, it ends what runs by Ctrl-C, which the firmware obeys after all that is to be done,
    and has the port for itself. Left, it resets the board, so that it runs again: also after an
    error, which says so where that failed too. All methods raise UserError.
    """

    def __init__(self, device: str):
        self.device = device
        if not os.path.exists(device):
            raise UserError(f"there is no port {device}")
        self._hashes = False
        self._left = False
        self._alone_from = 0.0
        self._stopped = ""  # what is to be said where it ends before it has begun

    def __enter__(self) -> Prompt:
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                self._open()
                return self
            except _NotYet as error:
                # A board that is just starting again takes its port away and brings it back, and
                # the system lets only root at it at first.
                if time.monotonic() > deadline:
                    raise UserError(f"{error}{self._stopped}") from error.__cause__
            time.sleep(_LOOK)

    def _open(self) -> None:
        try:
            self._transport = SerialTransport(os.path.realpath(self.device), timeout=_PATIENCE)
        except (TransportError, OSError) as error:
            raise _NotYet(f"port {self.device} cannot be opened: another program has it, or it "
                          "is not yours") from error
        try:
            with self._failures("no MicroPython answers"):
                self._transport.enter_raw_repl(soft_reset=False)
            self._stopped = "; mail is down: unplug it and plug it in again"
            self._still_here()
        except BaseException as error:
            self._hang_up()
            if isinstance(error.__cause__, OSError):
                raise _NotYet(str(error)) from error.__cause__
            raise

    def _still_here(self) -> None:
        """Put off what happens to a board whose host is gone."""
        now = time.monotonic()
        if now > self._alone_from:
            self._alone_from = now + _STILL_HERE
            with self._failures("no MicroPython answers"):
                self._transport.exec(_ALONE)

    def __exit__(self, kind, error, _) -> None:
        try:
            if not self._left:
                self._reset()
        except UserError as stopped:
            if isinstance(error, UserError):
                raise UserError(f"{error}; {stopped}") from error
            if not error:
                raise
        finally:
            self._hang_up()

    def run(self, code: str, what: str) -> str:
        """Execute `code`; what it prints. `what` could not be done, if it fails."""
        self._still_here()
        with self._failures(what):
            return self._transport.exec(code).decode(errors="replace")

    def value(self, expression: str, what: str) -> object:
        """Of a Python expression on the board: a literal."""
        with self._failures(what):
            answer = self._transport.exec(f"print(repr({expression}))").decode()
            try:
                return ast.literal_eval(answer.strip())
            except (SyntaxError, ValueError) as error:
                raise TransportError(f"it says {answer[:80]!r}") from error

    def read(self, path: str) -> bytes | None:
        """What is in a file of the flash, None where there is none."""
        self._still_here()
        with self._failures(f"{path} could not be read"):
            try:
                return bytes(self._transport.fs_readfile(path))
            except FileNotFoundError:
                return None

    def put(self, path: str, content: bytes, new: str,
            progress: Callable[[int], None] | None = None,
            what: str = "could not be written") -> None:
        """Make `content` the file `path`, all of it or not at all: it goes to the file `new`, is
        read back there, and renamed. `progress` is told how many octets are out.
        """
        self._still_here()
        with self._failures(f"{path} {what}"):
            self._transport.fs_writefile(
                new, content, _CHUNK, progress and (lambda written, of: progress(written)))
            if not self._hashes:
                self._transport.exec(_HASH)
                self._hashes = True
            if self._transport.eval(f"_hash({new!r})") != hashlib.sha256(content).digest():
                raise TransportError("what was written reads back differently")
            self._transport.exec(f"import os\nos.rename({new!r}, {path!r})")

    def put_together(self, files: dict[str, bytes]) -> None:
        """Make these the files of those names, all of them in one step as far as a flash has any:
        each is written and read back as `path.new` first.
        """
        for path, content in files.items():
            self.put(path + ".new", content, path + ".part")
        with self._failures(f"{' and '.join(files)} could not be written"):
            self._transport.exec("import os\n" + "\n".join(
                f"os.rename({path + '.new'!r}, {path!r})" for path in files))

    def remove(self, path: str) -> None:
        """A file that is there."""
        with self._failures(f"{path} could not be removed"):
            self._transport.fs_rmfile(path)

    def names(self, folder: str) -> list[Name] | None:
        """What is in a folder, None where there is none."""
        with self._failures(f"{folder} could not be read"):
            try:
                return [Name(found.name, found.st_mode == _FOLDER, found.st_size)
                        for found in self._transport.fs_listdir(folder)]
            except FileNotFoundError:
                return None

    @contextlib.contextmanager
    def talk(self, code: str, what: str) -> Iterator[Talk]:
        """While `code` runs, which talks with who started it. At the end it has to end too."""
        with self._failures(what):
            self._transport.exec_raw_no_follow(code)
            talk = Talk(self._transport.serial)
            try:
                yield talk
            except Refused:
                pass  # and now it says why
            _, error = self._transport.follow(_PATIENCE)
            if error or talk.refused:
                raise TransportError(error.decode(errors="replace") or "it did not say why")

    def bootloader(self) -> None:
        """Leave it waiting for an image, as with BOOTSEL held down. It has no port then."""
        with self._failures("cannot be sent to its bootloader: hold down BOOTSEL while you plug it "
                            "in"):
            self._transport.exec_raw_no_follow(
                "import machine, time\ntime.sleep_ms(100)\nmachine.bootloader()")
        self._left = True
        self._wait_gone()

    def _hang_up(self) -> None:
        with contextlib.suppress(OSError):  # the port may be gone with the board
            self._transport.close()

    def _reset(self) -> None:
        """From whatever state an error has left its prompt in."""
        with self._failures("cannot be reset, mail is down: unplug it and plug it in again"):
            self._transport.enter_raw_repl(soft_reset=False)
            # Not before its last answer has come over.
            self._transport.exec_raw_no_follow(
                "import machine, time\ntime.sleep_ms(100)\nmachine.reset()")
        self._wait_gone()

    def _wait_gone(self) -> None:
        """Until the port goes with the board, lest the next one to look takes it for the new one.
        What is still said there is nobody's."""
        deadline = time.monotonic() + _GOING
        with contextlib.suppress(OSError):
            self._transport.serial.timeout = _LOOK
            while time.monotonic() < deadline:
                self._transport.serial.read(4096)

    @contextlib.contextmanager
    def _failures(self, what: str) -> Iterator[None]:
        """Failures of the line or the board as one UserError; mpremote prints what it did not
        expect, and unpacks what has not come."""
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                yield
        except (SyntaxError, ValueError):
            # mpremote reads what the board shows of a file as Python: no word of it in an error.
            raise UserError(f"{self.device}: {what} (its answer is garbled)") from None
        except (TransportError, OSError, struct.error) as error:
            reason = str(error).strip().splitlines()
            raise UserError(f"{self.device}: {what} ({reason[-1] if reason else error!r})"
                            ) from error
