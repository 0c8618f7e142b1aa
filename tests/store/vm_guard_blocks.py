# Runs inside the VM, for test_guard.py: blocks written through a guard, without a file system, and
# cuts while it mounts for the first time.
import os

import vfs
from picopost.store.guard import Guard
from vm_fat_check import FatError, FatVolume
from vm_fat_disk import formatted
from vm_guard import PLACE, Script


class Blocks:
    """A guard on an empty volume, and what it writes."""

    def __init__(self, *volume):
        self.disk = formatted(*volume)
        self.guard = Guard(self.disk)
        self.guard.mount(PLACE)
        vfs.umount(PLACE)
        self.volume = FatVolume(self.disk.get)
        self.journal = self.guard._journal
        self.reset()

    def reset(self):
        self.disk.writes.clear()
        self.disk.syncs.clear()
        self.disk.reads = 0

    def write(self, block, content, structural=0):
        self.guard.structural = structural
        self.guard.writeblocks(block, memoryview(bytearray(content)))
        self.guard.structural = 0

    def change(self, block, at, octets, structural=0):
        """Write the block with some octets changed; its content then."""
        old = self.disk.get(block)
        new = old[:at] + octets + old[at + len(octets) :]
        self.write(block, new, structural)
        return new

    def written(self):
        """The numbers of the blocks written, "J" for the journal's."""
        return ["J" if block in self.journal else block for block, _, _ in self.disk.writes]

    def lose(self, count):
        """The last `count` writes never happened."""
        for block, old, _ in reversed(self.disk.writes[-count:]):
            self.disk.base[block] = old

    def start(self):
        repaired = Guard(self.disk).mount(PLACE)
        vfs.umount(PLACE)
        return repaired


def first_mount(*volume):
    """Cut the very first mount at each write; (cuts, what went wrong)."""
    disk = formatted(*volume)
    script = Script(disk, False, play=False)
    before = FatVolume(disk.get).tree()
    files = {path: place for path, place in before.items() if place[0]}
    contents = {path: FatVolume(disk.get).content(place[1], place[0])
                for path, place in files.items()}
    disk.writes.clear()
    Guard(disk).mount(PLACE)
    vfs.umount(PLACE)
    writes = list(disk.writes)
    disk.base = dict(script.before)
    cuts = 0
    wrong = []
    for block, old, new in writes:
        for length in range(512):
            if length and old[length - 1] == new[length - 1]:
                continue
            cuts += 1
            disk.top = {block: new[:length] + old[length:]}
            try:
                wrong += _start_and_use(disk, files, contents)
            except (OSError, FatError) as error:
                wrong.append(f"block {block} torn at {length}: {error}")
            disk.top = None
        disk.base[block] = new
    return cuts, wrong


def _start_and_use(disk, files, contents):
    """The next start; bystanders, journal and a new file must share no cluster."""
    guard = Guard(disk)
    guard.mount(PLACE)
    guard.structural = 1
    with open(PLACE + "/NEW.BIN", "wb") as file:
        file.write(b"new" * 1000)
    guard.structural = 0
    found = [line[0] for line in os.ilistdir(PLACE)]
    vfs.umount(PLACE)
    volume = FatVolume(disk.get)
    seen = {}
    for block in guard._journal:
        cluster = (block - volume.data) // volume.per_cluster + 2
        if not volume.entry(cluster):
            yield f"the journal's cluster {cluster} is free"
        seen[cluster] = "journal"
    for path, (size, chain) in files.items():
        if volume.content(volume.chain(chain[0], path, seen), size) != contents[path]:
            yield f"{path}: other content"
    if "NEW.BIN" not in found:
        yield "NEW.BIN is missing"
