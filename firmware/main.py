# Runs at every boot of the board.
from picopost import appliance

appliance.main()
