# Runs in the VM in main.py's place: the same appliance, and an event `swept` when a mailbox's
# background work has come to its end.
import gc

gc.threshold(16_384)  # as main.py

from picopost import appliance, event_log
from picopost.post_office import PostOffice


async def sweep(office, mailbox):
    await original_sweep(office, mailbox)
    event_log.log("swept", mailbox=mailbox.name)


original_sweep = PostOffice._sweep
PostOffice._sweep = sweep
appliance.main()
