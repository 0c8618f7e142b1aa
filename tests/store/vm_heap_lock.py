# Runs inside the VM, for test_heap_lock.py: mail comes, is read and goes while the heap is full
# from some operation of the card on.
import micropython
import vm_store as store
from vm_store import boxes, delete, deliver, drop, mount, open_box, start_again, sweep, vfs

OLD = 70  # letters in the mailbox "a"; its index has more than one cluster


class Disk(store.RamDisk):
    """Behind its operation number `at`, from 1 on, the heap has no room, until `let_go`."""

    at = operations = 0
    full = False

    def readblocks(self, block, buf):
        store.RamDisk.readblocks(self, block, buf)
        self.count()

    def writeblocks(self, block, buf):
        store.RamDisk.writeblocks(self, block, buf)
        self.count()

    def count(self):
        self.operations += 1
        if self.operations == self.at:
            self.full = True
            micropython.heap_lock()

    def let_go(self):
        if self.full:
            micropython.heap_unlock()
            self.full = False


def close():
    disk.let_go()
    disk.at = 0
    for name in boxes:
        boxes[name].close()
    store.volume.unmount()


def take():
    mount()
    boxes.clear()
    open_box("a")
    open_box("b")


def text(number, size=0):
    return b"Subject: x\r\n\r\nletter %d\r\n" % number + b"y" * size + b"\r\n.\r\n"


def letters(name):
    """Their numbers."""
    maildrop = drop(name)
    found = []
    for number in range(1, maildrop.count + 1):
        file, size = maildrop.open_message(number)
        found.append(int(file.read(size).split(b"\n\nletter ")[1].split(b"\n")[0]))
    maildrop.close()
    return found


def send(names, number, size=0):
    try:
        deliver(names, text(number, size))
    except MemoryError:
        disk.let_go()
        store.latest.abort()
        raise


def work():
    """(what was acknowledged, what was deleted for sure)"""
    taken = {name: [] for name in boxes}
    gone = []
    for step in range(12):
        try:
            if step == 0:
                delete("a", [5, 9, 60])
                gone += [5, 9, 60]
            elif step in (1, 5):
                letters("a")
            elif step == 6:
                sweep("a")
            else:
                names = ["a"] if step == 2 else ["a", "b"]
                number = 1000 + step
                send(names, number, 6000 if step == 3 else 0)
                for name in names:
                    taken[name].append(number)
        except Exception:  # a tuple would want room
            pass
        disk.let_go()
    return taken, gone


def losses(at):
    """What is wrong after a heap that was full from operation `at` on; None: it is not reached."""
    close()
    disk.data[:] = before
    take()
    disk.operations = 0
    disk.at = at
    taken, gone = work()
    if disk.operations < at:
        return None
    disk.at = 0
    start_again()
    wrong = []
    for name in boxes:
        there = letters(name)
        for number in taken[name] + list(range(1, OLD + 1) if name == "a" else ()):
            wanted = number not in gone
            # Of a deletion that failed some may be gone (RFC 1939 6).
            if there.count(number) != wanted and (gone or number not in (5, 9, 60)):
                wrong.append((name, number, there.count(number)))
    return wrong


for name in boxes:
    boxes[name].close()
store.volume.unmount()
disk = store.disk = Disk(2048)
vfs.VfsFat.mkfs(disk)
take()
for number in range(1, OLD + 1):
    send(["a"], number)
before = bytes(disk.data)
