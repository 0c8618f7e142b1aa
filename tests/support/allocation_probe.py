# Runs in the VM in main.py's place: tests/bench/file_card.py, and each `fetched` event tells
# `allocated`: all octets that were ever taken from the heap, freed or not.
import micropython
from picopost import event_log


def log(event, **fields):
    if event == "fetched":
        fields["allocated"] = micropython.mem_total()
    original_log(event, **fields)


original_log, event_log.log = event_log.log, log
with open(__file__[: __file__.rfind("/support/")] + "/bench/file_card.py") as file:
    exec(file.read())
