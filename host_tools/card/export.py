"""Take a mailbox's messages off the card, into what other programs read."""

from __future__ import annotations

import errno
import mailbox as mailbox_formats
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from host_tools.card import store
from host_tools.card.source import FolderCard, ImageCard
from host_tools.card.store import Mailbox, Record


class Export:
    """One export into a new file or folder.

    written   messages
    gone      deleted ones whose segments have been freed
    damaged   a line for each message that is not what its record promises: written all the
              same, unless the line says that it was skipped
    """

    def __init__(self, card: ImageCard | FolderCard, mailbox: Mailbox, deleted: bool):
        self._card = card
        self._mailbox = mailbox
        self._deleted = deleted
        self.written = 0
        self.gone = 0
        self.damaged: list[str] = []

    def to(self, path: Path, form: str) -> None:
        """Write all messages, by UID. Raises FileExistsError when `path` exists, OSError."""
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
        FORMATS[form](path, self._messages())

    def _messages(self) -> Iterator[tuple[Record, bytes]]:
        for record in self._mailbox.index.sound_records():
            if record.deleted and not self._deleted:
                continue
            try:
                raw = store.read_message(self._card, self._mailbox, record)
            except OSError as error:
                if record.deleted:
                    self.gone += 1
                else:
                    self.damaged.append(f"uid {record.uid} skipped: {error.strerror or error}")
                continue
            fault = store.fault(raw, record)
            if record.deleted and (fault or not store.is_own(raw, self._mailbox, record)):
                self.gone += 1
                continue
            if fault:
                if not raw.startswith(b"From "):
                    self.damaged.append(f"uid {record.uid} skipped: {fault}")
                    continue
                self.damaged.append(f"uid {record.uid}: {fault}")
            while not raw.endswith(b"\n\n"):  # a PC's letter, or one cut short
                raw += b"\n"
            yield record, raw
            self.written += 1


def _to_mbox(path: Path, messages: Iterator[tuple[Record, bytes]]) -> None:
    """mboxrd, as it stands on the card."""
    with open(path, "xb") as file:
        for _, raw in messages:
            file.write(raw)


def _to_maildir(path: Path, messages: Iterator[tuple[Record, bytes]]) -> None:
    """Files in `new`, LF line ends, their times the dates of arrival."""
    maildir = mailbox_formats.Maildir(path, create=True)
    for record, raw in messages:
        key = maildir.add(store.text_of(raw, record))
        if record.date:
            os.utime(path / "new" / key, (record.date, record.date))


def _to_eml(path: Path, messages: Iterator[tuple[Record, bytes]]) -> None:
    """A file a message, named by its UID, with CRLF line ends: what POP3's RETR sends."""
    path.mkdir()
    for record, raw in messages:
        with open(path / f"{record.uid:08x}.eml", "xb") as file:
            file.write(store.text_of(raw, record).replace(b"\n", b"\r\n"))


FORMATS: dict[str, Callable[[Path, Iterator[tuple[Record, bytes]]], None]] = {
    "mbox": _to_mbox, "maildir": _to_maildir, "eml": _to_eml}
