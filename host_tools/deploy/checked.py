"""Settings as the firmware itself will judge them, before they are on the board."""

from __future__ import annotations

from host_tools import firmware_modules  # noqa: F401  makes picopost importable
from host_tools.errors import UserError

from picopost import settings as firmware_settings  # isort: skip


def merged(has: dict, given: dict) -> tuple[dict, list[str]]:
    """(`given` over what the board `has`, why something that it had is left out).

    What a board cannot start with is not kept: it is in safe mode for that. Raises UserError for
    what is wrong in `given`.
    """
    _check(given)
    kept, refused = {}, []
    for key, value in has.items():
        if key in given:
            continue
        try:
            _check({key: value})
            kept[key] = value
        except UserError as error:
            refused.append(str(error))
    together = {**kept, **given}
    _check(together)
    return together, refused


def _check(settings: dict) -> None:
    try:
        firmware_settings.check(settings, "settings")
    except firmware_settings.SettingsError as error:
        raise UserError(str(error)) from error
