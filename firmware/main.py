# Runs at every boot of the board: finds the firmware, starts it, and after three starts that failed
# leaves the prompt to who mends it (DESIGN.md, "Start"). What is in `files.txt` by name lies in `f`
# by content, so that a new version takes the place of the old one in one step, the renaming of that
# file. Where there is none, as in an emulator, the firmware is found without. This file itself is
# renamed into its place one step earlier: it has to start any version.
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

# RP2040 datasheet 4.7.6, RP2350 datasheet 12.9.7: REASON, whose bit 0 is TIMER, and SCRATCH4, in
# which the SDK tells the watchdog that machine.WDT started from the resets that bootloaders and
# machine.reset() make of it.
WATCHDOG = 0x400D8000 if "RP2350" in sys.implementation._machine else 0x40058000
REASON = WATCHDOG + 0x08
SCRATCH4 = WATCHDOG + 0x1C
STARTED = 0x6AB73121


def read(path):
    try:
        with open(path) as file:
            return file.read()
    except (OSError, ValueError):  # the latter: no UTF-8
        return ""


def write(path, text):
    # What cannot be written is not worth the service.
    try:
        with open(path + ".new", "w") as file:
            file.write(text)
        os.rename(path + ".new", path)
    except OSError as error:
        print("0 flash_fault file=%s error=%s" % (path, json.dumps(str(error))))


class Firmware:
    # A file system for vfs.mount(). The list is kept until all is loaded, and read again, line by
    # line, for what comes later.

    list = ""

    def mount(self, readonly, mkfs):
        pass

    def umount(self):
        pass

    def line(self, begin):
        # The line of the list that begins so, "": there is none.
        if self.list:
            at = self.list.find("\n" + begin) + 1
            return self.list[at : self.list.find("\n", at)] if at else ""
        with open(LIST) as file:
            for line in file:
                if line.startswith(begin):
                    return line.rstrip()
        return ""

    def stat(self, path):
        path = path.strip("/")
        for mode, end in ((0x8000, " "), (0x4000, "/")):
            if self.line(path + end):
                return (mode, 0, 0, 0, 0, 0, 0, 0, 0, 0)
        raise OSError(2)

    def open(self, path, mode):
        path = path.strip("/") + " "
        line = self.line(path)
        if not line:
            raise OSError(2)
        return open("f/" + line[len(path) :], mode)


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
    write(FAULT, "0\n" + why)  # a reset tries again
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

if (machine.reset_cause() == machine.WDT_RESET and machine.mem32[REASON] & 1
        and machine.mem32[SCRATCH4] == STARTED):
    machine.mem32[SCRATCH4] = 0  # once: a soft reset leaves all that as it is
    failed("nothing ran for 8 seconds: the watchdog reset the board")

count, text = fault()
if count >= TRIES:
    safe_mode("%d starts failed, the last one with: %s" % (count, text.strip()))
else:
    again = False  # as behind Ctrl-C
    try:
        from picopost import appliance

        appliance.main(board, settled, proven)
    except Exception as error:
        again = True  # also if the heap has no room for what follows
        # picopost.Misconfigured, as far as that loads: to try again would change nothing.
        again = not getattr(error, "only_the_owner", False)
        text = io.StringIO()
        sys.print_exception(error, text)
        print(text.getvalue())
        if again:
            failed(text.getvalue())
        else:
            safe_mode(str(error))
    finally:
        if again:
            time.sleep(1)  # for USB to carry that out
            machine.reset()
