# Runs in the VM in main.py's place: the same appliance with deadlines of a second or less, for
# tests of what happens when they pass.
import gc

gc.threshold(16_384)  # as main.py

from picopost import appliance, limits

limits.SMTP_IDLE = 1_500
limits.TLS_IDLE = 300
limits.TLS_STRANGER_IDLE = 300
limits.POP3_IDLE = 1_500
limits.POP3_LOGIN_IDLE = 1_000
limits.POP3_UNPRODUCTIVE = 2_500
limits.SMTP_DATA_IDLE = 1_000
limits.SMTP_DATA_GRACE = 800
limits.SMTP_UNPRODUCTIVE = 2_500
limits.TLS_HELLO = 1_000
limits.TLS_HANDSHAKE = 1_000
limits.TLS_WAIT = 500
limits.LOGIN_DELAY = 20
limits.REAPER_PERIOD = 50
limits.CABLE_WAIT = 300
limits.LWIP_DHCP_WAIT = 300
limits.LINK_RETRY = 50
limits.JOIN_TIME = 300
limits.DHCP_FALLBACK = 300
limits.DHCP_PAUSE = 300
limits.DHCP_RETRY = 100
limits.DHCP_TIMES = 50
limits.DHCP_RENEWAL_RETRY = 50
limits.PATROL = 10

appliance.main()
