"""Bring a version of the firmware onto a board, whose old one starts until the last step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from host_tools.deploy.version import Version
from host_tools.device.flash_files import BOARD, FAULT, FOLDER, LIST, MAIN, listed
from host_tools.device.prompt import Prompt
from host_tools.errors import UserError

# What a file takes of the flash, where littlefs has blocks of 4 KB.
_BLOCK = 4096
# Two directories, and the free blocks that littlefs moves on with.
_SPARE = 6 * _BLOCK

_LOOK = """
import os
def _names(folder):
    try:
        return os.listdir(folder)
    except OSError:
        return None
"""


@dataclass
class Sent:
    """What a transfer did: files and octets that went over the wire, and files that went away."""

    files: int = 0
    octets: int = 0
    removed: int = 0


def send(prompt: Prompt, version: Version, progress: Callable[[int, int], None]) -> Sent:
    """Make `version` what the board starts; `progress` is told octets out, and of how many.

    Until its list takes the place of the old one nothing that the old one needs is touched. What
    only that needed goes afterwards. Raises UserError.
    """
    prompt.run(_LOOK, "its flash could not be looked at")
    there = prompt.value(f"_names({FOLDER!r})", "its flash could not be looked at")
    if there is None:
        prompt.run(f"os.mkdir({FOLDER!r})", "its flash could not be written")
        there = []
    missing = {name: content for name, content in version.contents.items() if name not in there}
    old_list = prompt.read(LIST) or b""
    new_main = prompt.read(MAIN) != version.main
    sent = Sent()
    if missing or new_main or old_list != version.list:
        _make_room(prompt, sent, [*missing.values(), version.main, version.list],
                   set(there) - set(version.contents) - set(listed(old_list).values()))
    total = sum(map(len, missing.values()))
    for name, content in missing.items():
        before = sent.octets
        prompt.put(f"{FOLDER}/{name}", content, f"{FOLDER}/new",
                   lambda out, before=before: progress(before + out, total))
        sent.files += 1
        sent.octets += len(content)
    if new_main:
        prompt.put(MAIN, version.main, "main.new")
        sent.files += 1
        sent.octets += len(version.main)
    if old_list != version.list:
        prompt.put(LIST, version.list, "files.new")
        sent.files += 1
        sent.octets += len(version.list)
    # Starts that failed before say nothing of the next one.
    if prompt.read(FAULT) is not None:
        prompt.remove(FAULT)
    wanted = version.contents
    # Looked up anew: what a transfer that broke off has left has been written over.
    for name in prompt.value(f"_names({FOLDER!r})", "its flash could not be looked at"):
        if name not in wanted:
            prompt.remove(f"{FOLDER}/{name}")
            sent.removed += 1
    return sent


def use_image(prompt: Prompt, version: Version) -> Sent:
    """Make the firmware in the board's image what it starts: only `main.py` and the board's
    definition are beside it. Files of a version by content would come before it, and go. Raises
    UserError.
    """
    sent = Sent()
    for path, content in ((BOARD, version.files[BOARD]), (MAIN, version.main)):
        if prompt.read(path) != content:
            prompt.put(path, content, path + ".new")
            sent.files += 1
            sent.octets += len(content)
    prompt.run(_LOOK, "its flash could not be looked at")
    for path in (LIST, FAULT):
        if prompt.read(path) is not None:
            prompt.remove(path)
    for name in prompt.value(f"_names({FOLDER!r})", "its flash could not be looked at") or ():
        prompt.remove(f"{FOLDER}/{name}")
        sent.removed += 1
    return sent


def _make_room(prompt: Prompt, sent: Sent, contents: list[bytes], leftovers: set[str]) -> None:
    """Room for `contents`. What a transfer that broke off has left, and nobody needs, goes if there
    is too little.
    """
    needed = sum(-(-len(content) // _BLOCK) * _BLOCK for content in contents) + _SPARE
    if _free(prompt) >= needed:
        return
    for name in leftovers:
        prompt.remove(f"{FOLDER}/{name}")
        sent.removed += 1
    free = _free(prompt)
    if free < needed:
        raise UserError(f"{prompt.device}: {needed >> 10} KB are wanted on its flash beside the "
                        f"version that it has, and {free >> 10} KB are free: `make wipe` first "
                        "(mail is on the card and stays)")


def _free(prompt: Prompt) -> int:
    size, free = prompt.value("(lambda s: (s[0], s[3]))(os.statvfs(os.getcwd()))",
                              "its flash could not be looked at")
    return size * free
