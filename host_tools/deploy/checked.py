"""Settings as the firmware itself will judge them, before they are on the board."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from host_tools import accounts, firmware_modules  # noqa: F401  makes picopost importable
from host_tools.errors import UserError

from picopost import accounts_file, settings as firmware_settings  # isort: skip


def merged(has: dict, given: dict) -> tuple[dict, list[str]]:
    """(`given` over what the board `has`; why something that it had is left out, which the owner
    has to agree to: it may be a restriction).

    Only what a board cannot start with is left out: it is in safe mode for that. Raises UserError
    for what is wrong in `given`.
    """
    together = {**has, **given}
    try:
        _check(together)
        return together, []
    except UserError:
        pass  # whose fault it is comes next
    kept, refused = dict(given), []
    _check(kept)
    for key, value in has.items():
        if key in given:
            continue
        try:
            _check({**kept, key: value})
            kept[key] = value
        except UserError as error:
            refused.append(str(error))
    return kept, refused


def check_given(given: dict, where: str, names: list[str] | None = None) -> None:
    """Raise UserError, which names `where` they were given, for settings that no board starts with,
    whatever else it has. `names`: of its accounts, where they are known.
    """
    # Of these, which must not share a port, the board may have its own: at ports that nobody gives.
    apart = {"listeners": {"65535": {}}, "pop3_listeners": {"65534": {}}}
    try:
        settings = firmware_settings.check({**apart, **given}, where)
        if names is not None:
            firmware_settings.check_accounts(settings, names)
    except firmware_settings.SettingsError as error:
        raise UserError(f"{where}: {str(error).removeprefix(where + ': ')}") from error


def check_accounts(settings: dict, names: list[str]) -> None:
    """Raise UserError where a setting names an account that is not there, or there are too many."""
    if len(names) > accounts.MAX_ACCOUNTS:
        raise UserError(f"no board has room for more than {accounts.MAX_ACCOUNTS} accounts")
    try:
        firmware_settings.check_accounts(firmware_settings.check(settings), names)
    except firmware_settings.SettingsError as error:
        raise UserError(str(error)) from error


def check_accounts_file(content: bytes, name: str) -> None:
    """Raise UserError for accounts that a board would not start with; `name` is said to be wrong.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        try:
            accounts_file.read(str(path))
        except accounts_file.AccountsError as error:
            raise UserError(str(error).replace(folder + os.sep, "")) from error


def _check(settings: dict) -> None:
    try:
        firmware_settings.check(settings, "settings")
    except firmware_settings.SettingsError as error:
        raise UserError(str(error)) from error
