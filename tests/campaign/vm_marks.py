# Runs in the VM in main.py's place: the same appliance, which tells the recorder (record.py) each
# time before something leaves for a client, by reading a pin that the board does not have. What it
# learns of devices goes to the card at once, beside what is under way.
import machine
from picopost import appliance, limits
from picopost.net.lwip import Connection

_mark = machine.Pin(99)
_write = Connection.write


def write(connection, buf):
    _mark.value()
    return _write(connection, buf)


Connection.write = write
limits.PASSPORTS_PERIOD = limits.PASSPORTS_PATIENCE = 0
limits.CARD_CHECK = 50
appliance.main()
