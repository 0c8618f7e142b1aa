"""Make a mailbox ready for use at start: after a clean stop, a power cut, or a visit to a PC.

What is found                                        what is done
a segment that no record needs, with our mark        removed: deleted, or never acknowledged
a tail of ours behind the last record                made blank lines, then built upon
a directory entry smaller than the records say       made right again; the data is there
no sound index, or one with a damaged record         the index is rebuilt from the segments
segments missing, changed or added by a PC           the index is rebuilt, UIDs and deletions kept

Loaded at start only.
"""

import os

from micropython import const

from picopost import limits
from picopost.store import index as index_file
from picopost.store import segment

_OURS = const(1)
_MBOX = const(2)
_JUNK = const(3)
_GOLDEN = const(40503)  # Knuth's multiplier for 16 bits: spreads numbers and sizes
_MASK = const(0x3FFFFFFF)


def recover(mailbox, log):
    """Bring `mailbox` into the state of its last acknowledged change.

    OSError if the card fails, IndexDamaged if even a rebuilt index does not fit the segments.
    """
    try:
        os.stat(mailbox.path)
    except OSError:
        mailbox.volume.structural += 1
        try:
            os.mkdir(mailbox.path)
        except OSError as error:
            if error.errno in index_file.NO_ROOM:
                raise index_file.IndexDamaged("no room on the card for its folder")
            raise
        finally:
            mailbox.volume.structural -= 1
    try:
        why = _open(mailbox, log)
        if why:
            log("rebuilding", mailbox=mailbox.name, why=why)
            _rebuild(mailbox, log)
            why = _open(mailbox, log)
            if why:
                raise index_file.IndexDamaged(why)
    finally:
        mailbox.used = None


def _open(mailbox, log):
    """Open the index and hold the segments against it; returns why that cannot be, or None."""
    from picopost.store.index_builder import remove_others

    mailbox.used = bytearray(limits.MAX_SEGMENTS // 8)
    mailbox.next_segment = 0
    mailbox.index = index = index_file.Index(mailbox.path, mailbox.volume)
    if not index.choose():
        if any(True for _ in segment.numbers(mailbox.path)):
            return "there is no sound index"
        _create(mailbox)
    expected = _Expected(mailbox)
    try:
        index.open(expected.visit)
    except index_file.IndexDamaged as error:
        return str(error)
    why = _compare(mailbox, expected, log)
    if not why:
        remove_others(mailbox.path, index.path)
    return why


def _create(mailbox):
    """A new, empty index."""
    from picopost.store.index_builder import Builder

    builder = Builder(mailbox.path, mailbox.volume, mailbox.index, 0)
    for _ in builder.prepare():
        pass
    builder.finish(1)
    mailbox.index.choose()


class _Expected:
    """What the records say about the segments."""

    def __init__(self, mailbox):
        self.mailbox = mailbox
        self.ends = {}  # shared segment -> end of its last record
        self.own = 0  # a sum over the segments with one message

    def visit(self, state, where, offset, size):
        number = index_file.segment_of(where)
        mailbox = self.mailbox
        if number >= mailbox.next_segment:
            mailbox.next_segment = number + 1
        alive = state != index_file.DELETED
        if alive:
            mailbox.mark_used(number)
        if index_file.attributes_of(where) & index_file.SHARED:
            if offset + size > self.ends.get(number, 0):
                self.ends[number] = offset + size
        elif alive:
            self.own += _sum(number, size)


def _sum(number, size):
    return ((number + 1) * _GOLDEN ^ size * 31) & _MASK


def _compare(mailbox, expected, log):
    """Hold the segments against the records; returns why a rebuild is needed, or None."""
    own = 0
    missing = sum(1 for number in expected.ends if mailbox.is_used(number))
    mailbox.active_number = -1
    for number, size in segment.numbers(mailbox.path):
        if number >= mailbox.next_segment:
            mailbox.next_segment = number + 1
        end = expected.ends.get(number)
        if not mailbox.is_used(number):
            kind = _kind(mailbox, number, 0, size)
            if end and size > end and _kind(mailbox, number, end, size) == _MBOX:
                return f"segment {number} has grown"
            if kind == _MBOX:
                return f"segment {number} is new"
            if kind == _OURS:
                os.remove(segment.path_of(mailbox.path, number))
            log("discarded" if kind == _OURS else "ignored", mailbox=mailbox.name,
                segment=number, octets=size)
        elif end is None:
            own += _sum(number, size)
        else:
            missing -= 1
            if size < end and not _extend(mailbox, number, end):
                return f"segment {number} is cut short"
            if size > end:
                kind = _kind(mailbox, number, end, size)
                if kind == _MBOX:
                    return f"segment {number} has grown"
                if kind == _JUNK:
                    log("ignored", mailbox=mailbox.name, segment=number, octets=size - end)
                    continue  # nothing is written over what we do not know
                _blank(mailbox, number, end, size, log)
            if end < limits.SEGMENT_SIZE and number > mailbox.active_number:
                mailbox.active_number = number
                mailbox.active_end = end
    if missing or own & _MASK != expected.own & _MASK:
        return "segments are missing or changed"
    return None


def _kind(mailbox, number, start, size):
    """What stands in a segment from `start` on: _OURS, _MBOX of other people's, or _JUNK.

    Only what bears our mark may be discarded: without a record it is deleted or was never
    acknowledged.
    """
    from picopost.store.segment_scan import identity

    if start >= size:
        return _OURS
    with open(segment.path_of(mailbox.path, number), "rb") as file:
        file.seek(start)
        head = file.read(limits.MAX_TRACE)
        rest = b""
        while not rest.strip(b"\n"):  # read on to the first line that says something
            rest = file.read(512)
            if not rest:
                break
    if not head.strip(b"\n"):
        return _JUNK if rest else _OURS
    if not start and not head.startswith(b"From "):
        return _JUNK
    known = identity(head, 0, len(head))
    if known and known[0] == mailbox.index.uid_validity:
        return _OURS
    if start and not rest and _is_beginning(head.rstrip(b"\n")):
        return _OURS
    line = head.find(b"\n", 1) + 1  # a lone From_ line is no letter
    return _MBOX if head.lstrip(b"\n").startswith(b"From ") and 0 < line < len(head) else _JUNK


def _is_beginning(text):
    """Whether `text` is the beginning of a letter as we write it, and no more than its header.

    That is what a torn size in the directory shows, and what `_blank` leaves when it is cut.
    """
    if not text.startswith(b"From "):
        return b"From ".startswith(text)
    second = text[text.find(b"\n") + 1 :] if b"\n" in text else b""
    return text.find(b"\n\n") < 0 and second[:14] == b"Return-Path: <"[: len(second)]


def _extend(mailbox, number, end):
    """The directory's size was torn: the chain is whole, so going there makes it right.

    False when what comes to light is not the end of a letter: then a PC cut the file.
    """
    mailbox.volume.structural += 1
    try:
        with open(segment.path_of(mailbox.path, number), "r+b") as file:
            file.seek(end)
            file.flush()
            file.seek(end - 2)
            return file.read(2) == b"\n\n"
    finally:
        mailbox.volume.structural -= 1


def _blank(mailbox, number, end, size, log):
    """Nobody who opens the mbox elsewhere shall see half a letter.

    From behind, each sector at one blow (that is what `structural` does): as long as anything
    stands there, its beginning says whose it is.
    """
    blank = b"\n" * 512
    volume = mailbox.volume
    with open(segment.path_of(mailbox.path, number), "r+b") as file:
        file.seek(end)
        if file.read(1) == b"\n" and size - end <= 2 * limits.CARD_BLOCK:
            if not file.read().strip(b"\n"):
                return  # it is blank since the last start
        volume.structural += 1
        try:
            at = size
            while at > end:
                start = max(end, (at - 1) // 512 * 512)
                file.seek(start)
                file.write(blank[: at - start])
                at = start
            file.flush()
        finally:
            volume.structural -= 1
    log("torn_tail", mailbox=mailbox.name, segment=number, octets=size - end)


def _rebuild(mailbox, log):
    """Write a new index from the segments; the old one helps as far as it is sound."""
    from picopost.store import rebuild

    old = mailbox.index
    rebuild.rebuild(mailbox, None if old.damaged else old, log)
    old.close()
