"""Give back what deleted messages hold: whole segments, sparse segments, and index records.

Runs in the background, a few blocks a step, and stops when a POP3 session takes the mailbox: its
message numbers stand for index slots. A cut at any block leaves every message readable.
"""

import os

from picopost import limits
from picopost.store import index as index_file
from picopost.store import segment
from picopost.store.index_builder import Builder, remove_others


def sweep(mailbox):
    """Generator: free dead segments, then pack sparse ones, then the index."""
    index = mailbox.index
    mailbox.used = bytearray(limits.MAX_SEGMENTS // 8)
    live = {}  # shared segment -> octets of its live messages
    try:
        for number in mailbox.writing:
            mailbox.mark_used(number)
        if mailbox.active_number >= 0:
            mailbox.mark_used(mailbox.active_number)
        slots = index.slots  # what comes later marks itself
        for slot in range(slots):
            if slot & 31 == 31:
                yield
            base = index.load(slot)
            words = index.words()
            where = words[base + index_file.WHERE]
            number = index_file.segment_of(where)
            alive = words[base] & 0xFF != index_file.DELETED
            if alive:
                mailbox.mark_used(number)
            if (alive and index_file.attributes_of(where) & index_file.SHARED
                    and (number in live or len(live) < limits.SWEEP_SEGMENTS)):
                live[number] = live.get(number, 0) + words[base + index_file.SIZE]
        for slot in range(slots):
            if slot & 31 == 31:
                yield
            base = index.load(slot)
            number = index_file.segment_of(index.words()[base + index_file.WHERE])
            if not mailbox.is_used(number):
                mailbox.mark_used(number)  # one removal is enough
                _remove(mailbox, number)
                yield
    finally:
        mailbox.used = None
    for number in live:
        if number != mailbox.active_number:
            if live[number] * 2 <= os.stat(segment.path_of(mailbox.path, number))[6]:
                yield from _pack_segment(mailbox, number)
    if index.slots - index.live > max(limits.INDEX_SLACK, index.live):
        yield from _pack_index(mailbox)


def _remove(mailbox, number):
    mailbox.check_open()
    try:
        os.remove(segment.path_of(mailbox.path, number))
    except OSError as error:
        if error.errno != segment.ENOENT:
            raise


def _pack_segment(mailbox, number):
    """Move what is left of a shared segment to the active one, message by message."""
    index = mailbox.index
    block = bytearray(limits.CARD_BLOCK + 8)
    view = memoryview(block)
    for slot in range(index.slots):
        if slot & 31 == 31:
            yield
        if mailbox.in_use:
            return
        base = index.load(slot)
        words = index.words()
        where = words[base + index_file.WHERE]
        if words[base] & 0xFF == index_file.DELETED or index_file.segment_of(where) != number:
            continue
        offset, size = words[base + index_file.OFFSET], words[base + index_file.SIZE]
        if size > limits.CARD_BLOCK:
            return  # a PC wrote this segment; it stays as it is
        with open(segment.path_of(mailbox.path, number), "rb") as file:
            file.seek(offset)
            if file.readinto(view[:size]) != size:
                raise OSError(5)
        at = mailbox.put(block, size)
        index.relocate(slot, mailbox.active_number, at)
        yield
        if mailbox.in_use:
            return
    _remove(mailbox, number)


def _pack_index(mailbox):
    """Write the live records to a new index and put it in force.

    Given up when a record changes meanwhile; the next sweep tries again.
    """
    mailbox.settle()  # by its slot here
    old = mailbox.index
    changes = mailbox.changes
    builder = Builder(mailbox.path, mailbox.volume, old, old.live, old.uid_validity)
    new = index_file.Index(mailbox.path, mailbox.volume)
    done = False
    try:
        for _ in builder.prepare():
            yield
        slot = to = 0
        while slot < old.slots:  # mail that arrives meanwhile is copied too, in the end
            if slot & 15 == 15:
                yield
            if mailbox.changes != changes or mailbox.in_use:
                return
            if to == builder.slots:
                return  # so many letters came meanwhile
            base = old.checked(slot)
            words = old.words()
            if words[base] & 0xFF != index_file.DELETED:
                builder.put(to, words[base], *[words[base + i] for i in range(1, 7)])
                to += 1
            slot += 1
        new.succeed(builder, old, to)
        builder.finish(old.next_uid)
        done = True
    finally:
        if not done:
            new.close()
            builder.abandon()
    mailbox.index = new
    old.close()
    remove_others(mailbox.path, mailbox.index.path)
