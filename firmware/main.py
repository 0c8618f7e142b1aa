# Runs at every boot of the board: finds the firmware, starts it, and after three starts that failed
# leaves the prompt to who mends it (DESIGN.md, "Start"). What is in `files.txt` by name lies in `f`
# by content, so that a new version takes the place of the old one in one step, the renaming of that
# file. Where there is none, as in an emulator, the firmware is found without.
import gc

# Often enough, while modules are loaded, that garbage does not cut the heap to pieces: the largest
# free piece after the start is 90% of what is free, without it 25%. Later: limits.GARBAGE.
gc.threshold(16_384)

import io
import json
import os
import sys
import time

import machine

TRIES = 3
LIST = "files.txt"  # a line each: path, blank, name in `f`
FAULT = "fault.txt"  # how many starts failed one after the other, and what the last one said


def read(path):
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""


def write(path, text):
    with open(path + ".new", "w") as file:
        file.write(text)
    os.rename(path + ".new", path)


class Firmware:
    # A file system for vfs.mount(). The list is kept until all is loaded, and read again for what
    # comes later.

    list = ""

    def mount(self, readonly, mkfs):
        pass

    def umount(self):
        pass

    def find(self, path):
        # (the list, offset of the line that begins so), -1: there is none
        files = self.list or "\n" + read(LIST)
        return files, files.find("\n" + path)

    def stat(self, path):
        path = path.strip("/")
        for mode, end in ((0x8000, " "), (0x4000, "/")):
            if self.find(path + end)[1] >= 0:
                return (mode, 0, 0, 0, 0, 0, 0, 0, 0, 0)
        raise OSError(2)

    def open(self, path, mode):
        path = path.strip("/") + " "
        files, at = self.find(path)
        if at < 0:
            raise OSError(2)
        at += 1 + len(path)
        return open("f/" + files[at : files.find("\n", at)], mode)


firmware = Firmware()


def fault():
    # (starts that failed, what the last one said)
    count, _, text = read(FAULT).partition("\n")
    return int(count) if count.isdigit() else 0, text


def failed(text):
    # Another one.
    write(FAULT, "%d\n%s" % (fault()[0] + 1, text[-1500:]))


def settled():
    # All is loaded, and serves.
    firmware.list = ""


def proven():
    # It has served for a while: starts that failed are counted anew.
    count, text = fault()
    if count:
        write(FAULT, "0\n" + text)


def safe_mode(why):
    time.sleep(1)  # for who waits at USB to see it come
    print("0 safe_mode why=%s advice=%s" % (json.dumps(why), json.dumps(
        "mend it here at the prompt, or with `make deploy`; a reset tries again")))
    try:
        from picopost import status_led

        status_led.blink_alone(board)
    except Exception:
        pass  # it may be what is broken


board = ""
if read(LIST):
    import vfs

    vfs.mount(firmware, "/fw")
    firmware.list = "\n" + read(LIST)
    sys.path[:0] = ["/fw", "/fw/lib"]
    board = "/fw/"
board += "board.json"

# RP2040 datasheet 4.7: REASON.TIMER. machine.reset() is the same reset, but forced.
if machine.reset_cause() == machine.WDT_RESET and machine.mem32[0x40058008] & 1:
    failed("nothing ran for 8 seconds: the watchdog reset the board")

count, text = fault()
if count >= TRIES:
    proven()  # the next reset tries again
    safe_mode("%d starts failed, the last one with: %s" % (count, text.strip()))
else:
    try:
        from picopost import appliance

        appliance.main(board, settled, proven)
    except Exception as error:
        text = io.StringIO()
        sys.print_exception(error, text)
        print(text.getvalue())
        if getattr(error, "only_the_owner", False):  # picopost.Misconfigured, as far as that loads
            safe_mode(str(error))
        else:
            failed(text.getvalue())
            time.sleep(1)  # for USB to carry that out
            machine.reset()
