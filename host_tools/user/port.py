"""The accounts of a board at a serial port, through MicroPython's raw REPL (mpremote)."""

from __future__ import annotations

import contextlib
import io
import os
import struct

from mpremote.transport import TransportError
from mpremote.transport_serial import SerialTransport

from host_tools import accounts
from host_tools.errors import UserError
from host_tools.user.place import Place, parse, parse_settings

_ACCOUNTS = "accounts.txt"  # as firmware/picopost/accounts_file.py has them
_NEW = "accounts.new"
_PATIENCE = 5  # s for one answer


class Board(Place):
    """Entered, it ends the firmware by Ctrl-C, which leaves the card in order, or raises UserError
    for a port without a picopost; `close` resets the board, so that it runs again. Nobody else has
    the port in between.
    """

    effect = "the board starts again"

    def __init__(self, device: str):
        self._device = device
        if not os.path.exists(device):
            raise UserError(f"there is no port {device}")

    def __enter__(self) -> Board:
        device = self._device
        try:
            self._transport = SerialTransport(device, timeout=_PATIENCE)
        except (TransportError, OSError) as error:
            raise UserError(f"port {device} cannot be opened: another program has it, or it is "
                            "not yours") from error
        try:
            with self._failures("no MicroPython answers"):
                self._transport.enter_raw_repl(soft_reset=False)
        except BaseException:
            self._hang_up()
            raise
        with self._ended_by_errors():
            if self._file("board.json") is None:
                raise UserError(f"{device}: the board there has no picopost on it")
        return self

    def read(self) -> dict[str, str]:
        return parse(self._file(_ACCOUNTS) or b"", f"{self._device}: {_ACCOUNTS}")

    def write(self, lines: dict[str, str]) -> None:
        content = accounts.text(lines).encode()
        with self._failures("could not be written, the accounts are as they were"):
            self._transport.fs_writefile(_NEW, content)
            if self._transport.fs_readfile(_NEW) != content:
                raise TransportError("what was written reads back differently")
            self._transport.exec(f"import os\nos.rename({_NEW!r}, {_ACCOUNTS!r})")

    def settings(self) -> dict:
        return parse_settings(self._file("settings.json") or b"{}",
                              f"{self._device}: settings.json")

    def close(self) -> None:
        try:
            self._reset()
        finally:
            self._hang_up()

    def __exit__(self, kind, error, _) -> None:
        if error:
            with self._ended_by_errors():
                raise error
        self.close()

    @contextlib.contextmanager
    def _ended_by_errors(self):
        """Whatever fails inside, the board runs again; or the error says that it does not."""
        try:
            yield
        except BaseException as error:
            try:
                self.close()
            except UserError as stopped:
                if isinstance(error, UserError):
                    raise UserError(f"{error}; {stopped}") from error
                raise
            raise

    def _hang_up(self) -> None:
        with contextlib.suppress(OSError):  # the port may be gone with the board
            self._transport.close()

    def _reset(self) -> None:
        """From whatever state an error has left its prompt in."""
        with self._failures("cannot be reset, mail is down: unplug it and plug it in again"):
            self._transport.enter_raw_repl(soft_reset=False)
            self._transport.exec_raw_no_follow("import machine\nmachine.reset()")

    def _file(self, path: str) -> bytes | None:
        """What is in a file of the flash, None where there is none."""
        with self._failures(f"{path} could not be read"):
            try:
                return bytes(self._transport.fs_readfile(path))
            except FileNotFoundError:
                return None

    @contextlib.contextmanager
    def _failures(self, what: str):
        """Failures of the line or the board as one UserError; mpremote prints what it did not
        expect, and unpacks what has not come."""
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                yield
        except (TransportError, OSError, struct.error) as error:
            reason = str(error).strip().splitlines()
            raise UserError(f"{self._device}: {what} ({reason[-1] if reason else error!r})"
                            ) from error
