"""Bring a version of the firmware onto a board, whose old one starts until the last step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from host_tools.deploy.version import FOLDER, LIST, Version, listed
from host_tools.device.prompt import Prompt
from host_tools.errors import UserError

MAIN = "main.py"
FAULT = "fault.txt"
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
    _make_room(prompt, sent, missing, there, old_list)
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
        # Starts of another version that failed say nothing of this one.
        if prompt.read(FAULT) is not None:
            prompt.remove(FAULT)
    wanted = version.contents
    # Looked up anew: what a transfer that broke off has left has been written over.
    for name in prompt.value(f"_names({FOLDER!r})", "its flash could not be looked at"):
        if name not in wanted:
            prompt.remove(f"{FOLDER}/{name}")
            sent.removed += 1
    return sent


def _make_room(prompt: Prompt, sent: Sent, missing: dict[str, bytes], there: list[str],
               old_list: bytes) -> None:
    """What was left of a transfer that broke off goes, if room is wanted for this one."""
    if not missing:
        return
    needed = sum(-(-len(content) // _BLOCK) * _BLOCK for content in missing.values()) + _SPARE
    if _free(prompt) >= needed:
        return
    in_force = set(listed(old_list).values())
    for name in list(there):
        if name not in in_force:
            prompt.remove(f"{FOLDER}/{name}")
            there.remove(name)
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
