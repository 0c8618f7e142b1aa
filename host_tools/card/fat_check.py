"""Check a FAT file system: every chain, every cluster, and the copies of the FAT."""

from __future__ import annotations

from array import array
from collections.abc import Iterator

from host_tools.card.fat import SECTOR, Entry, FatVolume
from host_tools.card.finding import ERROR, NOTE, Finding

_TABLE = "FAT"


def check(volume: FatVolume) -> Iterator[Finding]:
    """Everything that is wrong below the files' contents."""
    if (volume.start + volume.sectors) * SECTOR > volume.size:
        yield Finding(ERROR, _TABLE, f"the file system ends at sector {volume.sectors} of its "
                      f"partition, the image at {volume.size // SECTOR - volume.start}")
    yield from _copies(volume)
    owners = array("I", bytes(4 * len(volume.fat)))  # 1 + index into names; 0: nobody's
    names: list[str] = []
    root = volume.directory_cluster(None)
    if root:
        names.append("the root directory")
        yield from _chain(volume, owners, names, root, None)
    pending: list[Entry | None] = [None]
    while pending:
        directory = pending.pop()
        try:
            entries = list(volume.entries(directory))
        except OSError as error:
            yield Finding(ERROR, directory.path if directory else "/",
                          f"cannot be read: {error.strerror or error}")
            continue
        for entry in entries:
            if not entry.legal:
                yield Finding(ERROR, entry.path, "the directory entry is damaged: no legal name")
                continue
            names.append(entry.path)
            crossed = False
            if entry.cluster or entry.is_directory:
                for finding in _chain(volume, owners, names, entry.cluster, entry):
                    crossed = crossed or finding.severity == ERROR
                    yield finding
            elif entry.size:
                yield Finding(ERROR, entry.path,
                              f"the directory entry says {entry.size} octets, but has no cluster")
            if entry.is_directory and not crossed:  # another's clusters would be walked for ever
                pending.append(entry)
    lost = sum(1 for owner, following in zip(owners[2:], volume.fat[2:], strict=True)
               if not owner and following not in (volume.free, volume.bad))
    if lost:
        yield Finding(NOTE, _TABLE, f"{_count(lost, 'cluster')} in use by no file "
                      f"({lost * volume.cluster_size} octets)")


def _copies(volume: FatVolume) -> Iterator[Finding]:
    """Everybody reads the first copy, and a power cut between the two is no loss: a note."""
    first = volume.fat_copy(0)
    for number in range(1, volume.copies):
        try:
            other = volume.fat_copy(number)
        except OSError as error:
            yield Finding(ERROR, _TABLE, f"copy {number + 1} cannot be read: "
                          f"{error.strerror or error}")
            continue
        if other != first:
            sectors = [at // SECTOR for at in range(0, len(first), SECTOR)
                       if first[at:at + SECTOR] != other[at:at + SECTOR]]
            yield Finding(NOTE, _TABLE, f"copy {number + 1} differs from the first in "
                          f"{_count(len(sectors), 'sector')}, from sector {sectors[0]} on")


def _chain(volume: FatVolume, owners: array, names: list[str], cluster: int,
           entry: Entry | None) -> Iterator[Finding]:
    """Follow one chain to its end or its fault, and make its clusters the last name's."""
    where = entry.path if entry else "/"
    length = 0
    while True:
        problem = volume.problem(cluster)
        if problem:
            yield Finding(ERROR, where, f"cluster chain: after {_count(length, 'cluster')} comes "
                          + problem)
            return
        if owners[cluster]:
            other = names[owners[cluster] - 1]
            yield Finding(ERROR, where, f"cross-linked: cluster {cluster} belongs to "
                          + ("itself, a loop" if other == names[-1] else other))
            return
        owners[cluster] = len(names)
        length += 1
        cluster = volume.fat[cluster]
        if cluster >= volume.end:
            break
    if entry and not entry.is_directory:
        room = length * volume.cluster_size
        if entry.size > room:
            yield Finding(ERROR, where, f"the directory entry says {entry.size} octets, its "
                          f"cluster chain has room for {room}")
        elif room - entry.size >= volume.cluster_size:
            yield Finding(NOTE, where, f"{_count(length, 'cluster')} for {entry.size} octets")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
