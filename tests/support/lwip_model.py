# Runs in the VM in main.py's place: the same appliance with as many connections, and as much memory
# for what is written to them, as lwIP has on a board.
import gc

gc.threshold(16_384)  # as main.py

import socket  # noqa: E402

import lwip_sockets  # noqa: E402

socket.socket = lwip_sockets.socket

from picopost import appliance  # noqa: E402

appliance.main()
