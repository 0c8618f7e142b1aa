"""The accounts of a board at a serial port."""

from __future__ import annotations

from host_tools import accounts
from host_tools.device import flash_files
from host_tools.device.prompt import Prompt
from host_tools.errors import UserError
from host_tools.user.place import Place, parse, parse_settings

_ACCOUNTS = "accounts.txt"  # as firmware/picopost/accounts_file.py has them
_NEW = "accounts.new"
# Either is there on a board that has a picopost: files by content, or loose ones.
_SIGNS = (flash_files.LIST, flash_files.BOARD)


class Board(Place):
    """Entered, it ends the firmware, or raises UserError for a port without a picopost; `close`
    resets the board, so that it runs again. Nobody else has the port in between.
    """

    effect = "the board starts again"

    def __init__(self, device: str):
        self._prompt = Prompt(device)

    def __enter__(self) -> Board:
        prompt = self._prompt.__enter__()
        try:
            if all(prompt.read(sign) is None for sign in _SIGNS):
                raise UserError(f"{prompt.device}: the board there has no picopost on it")
        except BaseException as error:
            prompt.__exit__(type(error), error, None)
            raise
        return self

    def read(self) -> dict[str, str]:
        return parse(self._prompt.read(_ACCOUNTS) or b"", f"{self._prompt.device}: {_ACCOUNTS}")

    def write(self, lines: dict[str, str]) -> None:
        self._prompt.put(_ACCOUNTS, accounts.text(lines).encode(), _NEW,
                         what="could not be written, the accounts are as they were")

    def settings(self) -> dict:
        return parse_settings(self._prompt.read("settings.json") or b"{}",
                              f"{self._prompt.device}: settings.json")

    def __exit__(self, kind, error, trace) -> None:
        self._prompt.__exit__(kind, error, trace)
