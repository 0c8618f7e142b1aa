"""Which certificates were accepted on this computer: SHA-256 in hex digits, a line each."""

from __future__ import annotations

from pathlib import Path

import platformdirs

from host_tools.errors import UserError


def is_known(fingerprint: str) -> bool:
    """Whether somebody has accepted it here."""
    try:
        return fingerprint in _file().read_text().split()
    except OSError:
        return False


def remember(fingerprint: str) -> None:
    """It is accepted. Raises UserError."""
    if is_known(fingerprint):
        return
    try:
        _file().parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(_file(), "a") as file:
            file.write(fingerprint + "\n")
    except OSError as error:
        raise UserError(f"{_file()}: {error.strerror}") from error


def _file() -> Path:
    return platformdirs.user_data_path("picopost") / "certificates.txt"
