"""All that is picopost's on a board's flash, removed."""

from __future__ import annotations

from host_tools import tls_identity
from host_tools.device import flash_files
from host_tools.device.prompt import Prompt
from host_tools.errors import UserError

# In this order: without main.py a board is at its prompt, whatever is left; then what is secret.
_WHOLE = (flash_files.MAIN, "accounts.txt", "accounts.bad", tls_identity.KEY, "settings.json",
          "settings.bad", tls_identity.CERTIFICATE, flash_files.LIST, flash_files.FAULT,
          flash_files.BOARD)
# And what a pulled cable has left of one, under the names that it had meanwhile; each name once.
_FILES = tuple(dict.fromkeys(name for whole in _WHOLE for name in (
    whole, whole + ".new", whole + ".part", whole.rpartition(".")[0] + ".new"))) + ("tls.new",)
# The firmware by content, or as loose files.
_FOLDERS = (flash_files.FOLDER, "picopost", "lib/adafruit_wiznet5k")
_LOOSE = ("lib/__future__.mpy", "lib/__future__.py")


def wipe(prompt: Prompt) -> int:
    """How many files went. What else is on the flash stays. Raises UserError."""
    there = {found.name for found in prompt.names("") or []}
    gone = 0
    for name in _FILES:
        if name in there:
            prompt.remove(name)
            gone += 1
    for folder in _FOLDERS:
        gone += _remove_tree(prompt, folder)
    if prompt.names("lib") is not None:
        for name in _LOOSE:
            if prompt.read(name) is not None:
                prompt.remove(name)
                gone += 1
    left = {found.name for found in prompt.names("") or []} & {*_FILES, *_FOLDERS}
    if left:
        raise UserError(f"{prompt.device}: still there: {', '.join(sorted(left))}")
    return gone


def _remove_tree(prompt: Prompt, folder: str) -> int:
    names = prompt.names(folder)
    if names is None:
        return 0
    gone = 0
    for found in names:
        path = f"{folder}/{found.name}"
        if found.is_folder:
            gone += _remove_tree(prompt, path)
        else:
            prompt.remove(path)
            gone += 1
    prompt.run(f"import os\nos.rmdir({folder!r})", f"{folder} could not be removed")
    return gone
