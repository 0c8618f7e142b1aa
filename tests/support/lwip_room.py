# Runs in the VM in main.py's place: the same appliance, whose sockets take a few thousand octets at
# once and then nothing, as lwIP's do on a board; the PC's would take a whole message.
import gc

gc.threshold(16_384)  # as main.py

from picopost import appliance  # noqa: E402
from picopost.net import lwip  # noqa: E402


class Connection(lwip.Connection):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.turn = 0

    def write_now(self, buf):
        self.turn = (self.turn + 1) % 12
        # Six pieces are taken whole, so that large ones come again.
        most = 100_000 if self.turn < 6 else 0 if self.turn & 1 else 2_900
        return super().write_now(memoryview(buf)[:most]) if most else None


lwip.Connection = Connection
appliance.main()
