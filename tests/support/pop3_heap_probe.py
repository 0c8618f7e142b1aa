# Runs in the VM in main.py's place: the same appliance, and an event `heap` when a POP3 session
# has done with commands of one kind: `command`, `level` (octets that live then) and `peak` (the
# most that lived at any sample since the last event).
import gc

gc.threshold(16_384)  # as main.py

from picopost import appliance, event_log
from picopost.net.channel import Channel
from picopost.pop3.dialogue import Dialogue
from picopost.store.index import Index

_EVERY = 256  # looks at the index; a collection takes time
looks = 0
peak = 0
current = b""


def sample():
    global peak
    gc.collect()
    level = gc.mem_alloc()
    peak = max(peak, level)
    return level


def done():
    global peak
    level = sample()
    event_log.log("heap", command=current, level=level, peak=peak)
    peak = 0


def command(dialogue, line):
    global current
    verb = bytes(line[:4])
    if verb != current:
        if current:
            done()
        current = verb
    return original_command(dialogue, line)


def updated(dialogue, ok):
    global current
    done()
    current = b""
    return original_updated(dialogue, ok)


def load(index, slot):
    global looks
    looks += 1
    if looks % _EVERY == 0:
        sample()
    return original_load(index, slot)


def written_now(channel, buffer):
    sample()
    return original_write_now(channel, buffer)


original_command, Dialogue.command = Dialogue.command, command
original_updated, Dialogue.updated = Dialogue.updated, updated
original_load, Index.load = Index.load, load
original_write_now, Channel.write_now = Channel.write_now, written_now
appliance.main()
