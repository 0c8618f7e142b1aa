# Runs in the VM in main.py's place: the same appliance on as many connections as lwIP has on a
# board, with little patience for one that is free and for a server that failed.
import gc

gc.threshold(16_384)  # as main.py

import socket  # noqa: E402

import lwip_sockets  # noqa: E402

socket.socket = lwip_sockets.socket

from picopost import appliance, limits  # noqa: E402

limits.CONNECT_ROOM = 500
limits.NOTICE_PAUSE = 50
limits.NOTICE_RETRY = 200

appliance.main()
