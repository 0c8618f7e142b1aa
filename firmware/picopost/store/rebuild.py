"""Write a mailbox's index anew from its segments. Loaded by recovery only.

UIDs are read from our Received lines, so POP3's unique-ids stay; messages that a PC put there
get new ones. With a sound old index at hand, what it calls deleted stays deleted; without one,
deleted messages that still stand in a shared segment come back: better twice than never.
"""

from micropython import const

from picopost.store import index as index_file
from picopost.store import segment, segment_scan
from picopost.store.index_builder import Builder


# Nobody knows how many newer messages were deleted and are gone: their UIDs stay used.
_LEAP = const(0x10000)


def rebuild(mailbox, known, log):
    """Put a new index in force. `known`: the old one, open and sound, or None.

    Takes 4 octets of heap a message on a board, and the time of reading the mailbox twice.
    """
    # Without records a sound header still tells who we are; 0 and 1 if there is none either.
    uid_validity = mailbox.index.uid_validity
    next_uid = mailbox.index.next_uid
    uids = []
    strangers = 0
    for number, _ in segment.numbers(mailbox.path):
        for _, _, _, _, identity in segment_scan.messages(segment.path_of(mailbox.path, number)):
            if identity and not uid_validity:
                uid_validity = identity[0]
            if not identity or identity[0] != uid_validity:
                strangers += 1
            elif _counts(known, identity[1]):
                uids.append(identity[1])
        log("rebuilding", mailbox=mailbox.name, segment=number, messages=len(uids) + strangers)
    uids.sort()
    kept = 0
    for uid in uids:  # compaction cut short leaves a message in two segments
        if not kept or uids[kept - 1] != uid:
            uids[kept] = uid
            kept += 1
    del uids[kept:]
    if uids and uids[-1] >= next_uid:
        next_uid = uids[-1] + 1
    if known is None:
        next_uid += _LEAP
    builder = Builder(mailbox.path, mailbox.volume, mailbox.index, len(uids) + strangers,
                      uid_validity)
    for _ in builder.prepare():
        pass
    stranger = 0
    for number, file_size in segment.numbers(mailbox.path):
        path = segment.path_of(mailbox.path, number)
        for offset, from_line, size, blank, identity in segment_scan.messages(path):
            if not identity or identity[0] != uid_validity:
                if stranger == strangers:
                    continue
                slot = len(uids) + stranger
                uid = next_uid + stranger
                stranger += 1
                date = 0
            elif _counts(known, identity[1]):
                uid = identity[1]
                slot = _place(uids, uid)
                date = 0
                here = False
                if known:
                    here, known_size, date = _as_known(known, uid, number, offset, size)
                    if known_size != size:
                        size, blank = known_size, 1
                # Elsewhere it was moved by compaction, and cut before the old copy was gone; or it
                # is another that got no record, and whose UID this one has.
                if not here and not builder.is_free(slot):
                    continue
            else:
                continue
            octets = segment_scan.octets(path, offset + from_line, size - from_line - blank)
            attributes = 0 if not offset and size == file_size else index_file.SHARED
            if not blank:
                attributes |= index_file.UNENDED
            builder.put(slot, index_file.LIVE, uid, number | from_line << 16 | attributes << 25,
                        offset, size, octets, date)
    builder.finish(next_uid + strangers)


def _place(uids, uid):
    """The first place of `uid` in the sorted list."""
    low, high = 0, len(uids)
    while low < high:
        middle = (low + high) // 2
        if uids[middle] < uid:
            low = middle + 1
        else:
            high = middle
    return low


def _slot_of(known, uid):
    """The old index's slot of `uid`, or -1."""
    low, high = 0, known.slots
    while low < high:
        middle = (low + high) // 2
        if known.words()[known.load(middle) + index_file.UID] < uid:
            low = middle + 1
        else:
            high = middle
    if low < known.slots and known.words()[known.load(low) + index_file.UID] == uid:
        return low
    return -1


def _counts(known, uid):
    """Whether a message that bears our mark was ever acknowledged, and is not deleted."""
    if not uid:
        return False  # a large one gets its UID when it is committed
    if known is None:
        return True
    slot = _slot_of(known, uid)
    return slot >= 0 and known.is_live(slot)


def _as_known(known, uid, number, offset, size):
    """(whether the old record speaks of this very place, size then, date) of a message."""
    base = known.load(_slot_of(known, uid))
    words = known.words()
    if (index_file.segment_of(words[base + index_file.WHERE]) == number
            and words[base + index_file.OFFSET] == offset
            and words[base + index_file.SIZE] <= size):
        return True, words[base + index_file.SIZE], words[base + index_file.DATE]
    return False, size, words[base + index_file.DATE]
