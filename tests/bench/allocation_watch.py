"""Runs in the VM in main.py's place: file_card.py, whose `closed` events tell in `allocated` how
many octets of heap the VM has handed out since it started."""

import gc

gc.threshold(16_384)  # as main.py

import micropython  # noqa: E402
from picopost import event_log  # noqa: E402


def log(event, **fields):
    if event == "closed":
        fields["allocated"] = micropython.mem_total()
    original(event, **fields)


original, event_log.log = event_log.log, log

import file_card  # noqa: E402, F401  (runs the appliance)
