"""List what is attached to a mailbox's messages, and save it."""

from __future__ import annotations

import io
import mimetypes
import os
import re
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

from host_tools import firmware_modules  # noqa: F401  makes picopost importable
from host_tools.card import store
from host_tools.card.finding import printable
from host_tools.card.source import FolderCard, ImageCard
from host_tools.card.store import Mailbox
from host_tools.new_file import new_file

from picopost.mime.attachments import Attachments  # isort: skip

_BUFFER = 64 * 1024
# Of a file's name: file systems take 255, and the message's UID and a number stand before it.
_MAX_NAME = 200


class Attachment(NamedTuple):
    """One of message `unique_id`: its number in it, its size, and where it was saved."""

    unique_id: str
    number: int
    octets: int
    content_type: str
    name: str
    saved: Path | None


class Damaged(NamedTuple):
    """A message that could not be read, or is not the one that was written."""

    unique_id: str
    why: str


def attachments(card: ImageCard | FolderCard, mailbox: Mailbox, wanted: list[str],
                folder: Path | None) -> Iterator[Attachment | Damaged]:
    """Those of the messages whose unique-ids are `wanted`, of all that are not deleted if none is.

    With `folder`, which is there, each is written to a new file in it. Raises UserError when that
    fails. What is attached to a damaged message is behind it, as far as there is any.
    """
    buffer, target = bytearray(_BUFFER), bytearray(_BUFFER)
    for record in mailbox.index.sound_records():
        unique_id = mailbox.index.unique_id(record)
        if record.deleted or wanted and unique_id not in wanted:
            continue
        try:
            raw = store.read_message(card, mailbox, record)
        except OSError as error:
            yield Damaged(unique_id, error.strerror or str(error))
            continue
        fault = store.fault(raw, record)
        if fault:
            yield Damaged(unique_id, fault)
            if not raw.startswith(b"From "):
                continue  # somebody else's octets
        found = Attachments(io.BytesIO(store.text_of(raw, record)), buffer)
        while found.next():
            path = folder and folder / (
                f"{record.uid:08x}-{found.number}-{file_name(found.name, found.content_type)}")
            with new_file(path) if path else nullcontext() as file:
                while octets := found.readinto(target):
                    if file:
                        file.write(memoryview(target)[:octets])
            yield Attachment(unique_id, found.number, found.octets, found.content_type,
                             found.name, path)


def file_name(name: str, content_type: str) -> str:
    """A name for a file from one that a stranger chose: no path, nothing hidden, nothing that a
    shell or Windows takes for something else.
    """
    name = re.split(r"[\\/]", printable(name))[-1]
    name = re.sub(r'[<>:"|?*]', "_", name).strip(". ")
    if len(name.encode()) > _MAX_NAME:
        ending = os.path.splitext(name)[1].encode()[:20]
        name = (name.encode()[:_MAX_NAME - len(ending)] + ending).decode(errors="ignore")
    return name or "attachment" + (mimetypes.guess_extension(content_type, strict=False) or "")
