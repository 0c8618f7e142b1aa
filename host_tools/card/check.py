"""Check the mail on a card: what the records promise against what lies there.

An error is a letter that is lost, damaged or about to be, or a structure that the firmware takes
for damaged. A note is what a power cut leaves by design and the next start clears up.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from host_tools.card import devices, fat_check, store
from host_tools.card.fat import Entry
from host_tools.card.finding import ERROR, NOTE, Finding
from host_tools.card.source import FolderCard, ImageCard
from host_tools.card.store import Mailbox, Record


class Check:
    """One check: iterate `run()`, then read the counters.

    mailboxes, messages, deleted, octets    what the sound records tell of
    """

    def __init__(self, card: ImageCard | FolderCard):
        self._card = card
        self.mailboxes = 0
        self.messages = 0
        self.deleted = 0
        self.octets = 0

    def run(self) -> Iterator[Finding]:
        """All findings, the file system's first (an image's)."""
        if self._card.volume:
            yield from fat_check.check(self._card.volume)
        yield from devices.check(self._card)
        try:
            folders = store.mailboxes(self._card)
        except OSError as error:
            yield _unreadable("mail", error)
            return
        if not folders:
            yield Finding(NOTE, "mail", "no mailbox on this card")
        for folder in folders.values():
            self.mailboxes += 1
            yield from self._mailbox(folder)

    def _mailbox(self, folder: Entry) -> Iterator[Finding]:
        try:
            mailbox = store.read_mailbox(self._card, folder)
        except OSError as error:
            yield _unreadable(folder.path, error)
            return
        for entry in mailbox.misplaced:
            yield Finding(ERROR, entry.path, "a segment where none of that number belongs")
        if mailbox.index is None:
            yield (Finding(ERROR, mailbox.path, f"no index, {len(mailbox.segments)} segments")
                   if mailbox.segments else Finding(NOTE, mailbox.path, "no index, no mail"))
            return
        for index in mailbox.others:
            yield Finding(NOTE, index.path, "not in force: " + (
                index.problem or f"generation {index.generation}"))
        if mailbox.index.problem:  # without any mail a cut as the mailbox was made, no more
            yield Finding(ERROR if mailbox.segments or mailbox.index.records else NOTE,
                          mailbox.index.path, mailbox.index.problem)
        for severity, what in _index_faults(mailbox.index):
            yield Finding(severity, mailbox.index.path, what)
        records = mailbox.index.sound_records()
        live = [record for record in records if not record.deleted]
        self.messages += len(live)
        self.deleted += len(records) - len(live)
        self.octets += sum(record.octets for record in live)
        yield from self._live(mailbox, live)
        yield from self._segments(mailbox, records)

    def _live(self, mailbox: Mailbox, live: list[Record]) -> Iterator[Finding]:
        """Each live message, in the order of the card."""
        in_place = sorted(live, key=lambda record: (record.segment, record.offset))
        for number, group in groupby(in_place, key=lambda record: record.segment):
            records = list(group)
            path = mailbox.segment_path(number)
            if number not in mailbox.segments:
                yield Finding(ERROR, path, f"missing, with {_messages(records)}")
                continue
            end, last = 0, None
            for record in records:
                if record.offset < end:
                    yield Finding(ERROR, path, f"uid {record.uid} overlaps uid {last.uid}")
                if record.end > end:
                    end, last = record.end, record
                try:
                    raw = store.read_message(self._card, mailbox, record)
                except OSError as error:
                    yield Finding(ERROR, path, f"uid {record.uid} cannot be read: "
                                  f"{error.strerror or error}")
                    continue
                fault = store.fault(raw, record)
                if fault:
                    yield Finding(ERROR, path, f"uid {record.uid} {fault}")
                    continue
                stated = store.stated_unique_id(raw)
                if stated and stated != mailbox.index.unique_id(record):
                    yield Finding(NOTE, path, f"uid {record.uid} is called {stated} in its "
                                  "Received line")

    def _segments(self, mailbox: Mailbox, records: list[Record]) -> Iterator[Finding]:
        """Segments that no record knows, and octets in the others that none does.

        A cut leaves them; so do deleted messages whose records the firmware has dropped.
        """
        known: dict[int, list[Record]] = {}
        for record in records:
            known.setdefault(record.segment, []).append(record)
        for number, entry in sorted(mailbox.segments.items()):
            if number not in known:
                yield Finding(NOTE, entry.path, f"orphan: {entry.size} octets, no record knows it")
                continue
            end = gaps = 0
            for record in sorted(known[number], key=lambda record: record.offset):
                gaps += max(0, record.offset - end)
                end = max(end, record.end)
            if gaps:
                yield Finding(NOTE, entry.path, f"gaps: {gaps} octets between messages that no "
                              "record knows")
            if entry.size > end and not self._is_blank(entry, end):
                yield Finding(NOTE, entry.path, f"tail: {entry.size - end} octets behind the last "
                              "record")

    def _is_blank(self, entry: Entry, start: int) -> bool:
        """What recovery makes of a tail: blank lines."""
        try:
            return not self._card.read(entry, start, entry.size - start).strip(b"\n")
        except OSError:
            return False


def _index_faults(index: store.Index) -> Iterator[tuple[str, str]]:
    """Severity and text of what is wrong below the header of the index in force, by itself."""
    if index.octets % 512:
        yield ERROR, f"{index.octets} octets are not whole sectors"
    for sound, group in groupby(index.records, key=lambda record: record.sound):
        first, *more = group
        if sound:
            continue
        last = more[-1] if more else first
        if more:
            yield ERROR, f"records {first.slot} to {last.slot} have bad CRCs"
        elif last is index.records[-1] and last.torn:
            yield NOTE, f"record {last.slot} is half written: a commit that never was"
        else:
            yield ERROR, f"record {last.slot} has a bad CRC"
    uid = 0
    for record in index.records:
        if record.sound and record.uid <= uid:
            yield ERROR, f"record {record.slot} has uid {record.uid} after uid {uid}"
        if record.sound and record.state not in (store.LIVE, store.DELETED):
            yield ERROR, f"record {record.slot} has the unknown state 0x{record.state:02x}"
        uid = max(uid, record.uid) if record.sound else uid
    hidden = [record for record in index.free if record.state != store.FREE]
    if hidden:
        yield ERROR, (f"{len(hidden)} records behind the free record {index.free[0].slot} are "
                      f"hidden, {sum(record.sound for record in hidden)} of them sound")
    elif index.free and index.free[0].uid:
        yield NOTE, f"record {index.free[0].slot} was taken back before it was acknowledged"


def _messages(records: list[Record]) -> str:
    """How many, and which."""
    if len(records) == 1:
        return f"1 message, uid {records[0].uid}"
    uids = [record.uid for record in records]
    return f"{len(records)} messages, uid {min(uids)} to {max(uids)}"


def _unreadable(where: str, error: OSError) -> Finding:
    return Finding(ERROR, where, f"cannot be read: {error.strerror or error}")
