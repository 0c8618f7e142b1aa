# Runs at every boot of the board.
import gc

# Often enough, while modules are loaded, that garbage does not cut the heap to pieces: the largest
# free piece after the start is 90% of what is free, without it 25%. Later: limits.GARBAGE.
gc.threshold(16_384)

from picopost import appliance

appliance.main()
