# Runs in the VM in main.py's place: the same appliance, and each `closed` event tells the
# highest gc.mem_alloc() of live objects since the one before, sampled in the data paths.
import gc

gc.threshold(16_384)  # as main.py

from picopost import appliance, event_log
from picopost.net.channel import Channel
from picopost.pop3.session import Session
from picopost.store.delivery import Delivery

_EVERY = 16  # collections cost time; a leak or a growing buffer shows at any of them
peak = 0
turn = 0


def sample():
    global peak
    gc.collect()
    peak = max(peak, gc.mem_alloc())


def sometimes():
    global turn
    turn += 1
    if turn % _EVERY == 0:
        sample()


def watched(owner, name, before):
    original = getattr(owner, name)

    def method(*arguments):
        before()
        return original(*arguments)

    setattr(owner, name, method)


def log(event, **fields):
    global peak
    if event == "closed":
        sample()
        fields["heap_peak"] = peak
        peak = 0
    original_log(event, **fields)


original_log = event_log.log
event_log.log = log
watched(Delivery, "spill", sometimes)
watched(Delivery, "commit", sample)
watched(Channel, "write_now", sometimes)
watched(Channel, "write", sometimes)
watched(Session, "_retrieve", sample)
appliance.main()
