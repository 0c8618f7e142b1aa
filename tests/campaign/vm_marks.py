# Runs in the VM in main.py's place: the same appliance, which tells the recorder (record.py) each
# time before something leaves for a client, by reading a pin that the board does not have.
import machine
from picopost import appliance
from picopost.net.lwip import Connection

_mark = machine.Pin(99)
_write = Connection.write


def write(connection, buf):
    _mark.value()
    return _write(connection, buf)


Connection.write = write
appliance.main()
