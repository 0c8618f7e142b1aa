"""The passports of the devices that wrote to a card: firmware/picopost/passports tells what is in
them, and says it in words.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from host_tools import firmware_modules  # noqa: F401
from host_tools.card.fat import Entry
from host_tools.card.finding import ERROR, NOTE, Finding, printable
from host_tools.card.source import FolderCard, ImageCard

from picopost.passports import record, words  # isort: skip  (firmware_modules makes that possible)


def _table(card: ImageCard | FolderCard) -> tuple[Entry | None, bytes]:
    """The file, None where there is none, and what is in it. Raises OSError."""
    entry = card.listing().get(record.NAME)
    if entry is None or entry.is_directory:
        return None, b""
    return entry, card.read(entry, 0, min(entry.size, record.SIZE * record.COUNT))


def passports(card: ImageCard | FolderCard) -> list[record.Passport]:
    """Those that are sound, the latest first. Raises OSError."""
    found = [passport for passport in _read(_table(card)[1]) if passport]
    return sorted(found, key=lambda passport: -passport.stamp)


def _read(data: bytes) -> list[record.Passport | None]:
    return [record.read(data, at) for at in range(0, len(data) - record.SIZE + 1, record.SIZE)]


def lines(passports: list[record.Passport]) -> Iterator[str]:
    """A table for a terminal: a line a device, and below it what there is to say of it."""
    yield (f"{'address':<15}  {'HELO':<{record.NAME_OCTETS}}  {'letters':>7}  {'in all':>10}  "
           f"{'each':>7}  last letter")
    now = int(time.time())
    for passport in passports:
        last = words.ago(passport.wrote, now) if passport.letters else "none"
        yield (f"{passport.peer:<15}  {words.helo(passport):<{record.NAME_OCTETS}}  "
               f"{passport.letters:>7}  {words.size(passport.octets):>10}  "
               f"{words.span(passport.every) if passport.every else '-':>7}  {last}")
        for line in words.about(passport, now):
            yield "    " + printable(line)


def as_json(passport: record.Passport) -> dict:
    """All that is known of one; times in seconds since 1970, 0: not known."""
    why, advice = words.reason(passport)
    return {"peer": passport.peer, "helo": words.helo(passport), "port": passport.port,
            "letters": passport.letters, "octets": passport.octets,
            "sessions": passport.sessions, "refusals": passport.refusals,
            "first": passport.first, "seen": passport.seen, "wrote": passport.wrote,
            "refused": passport.refused, "every": passport.every, "intervals": passport.intervals,
            "regular": passport.regular, "alarmed": bool(passport.alarmed),
            "quirks": words.quirks(passport), "why": why, "advice": advice}


def check(card: ImageCard | FolderCard) -> Iterator[Finding]:
    """What is wrong with the table. No letter depends on it."""
    try:
        entry, data = _table(card)
    except OSError as error:
        yield Finding(ERROR, record.NAME, f"cannot be read: {error.strerror or error}")
        return
    if entry is None:
        return
    if entry.size != record.SIZE * record.COUNT:
        yield Finding(NOTE, entry.path, f"has {entry.size} octets: a cut as it was made")
    for slot, passport in enumerate(_read(data)):
        if passport is None and any(data[slot * record.SIZE : (slot + 1) * record.SIZE]):
            yield Finding(NOTE, entry.path, f"passport {slot} has a bad CRC, and is ignored")
