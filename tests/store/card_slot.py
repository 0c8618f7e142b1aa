"""A card model on wires, the driver in the VM before it, and what a test asks of the two."""

from pathlib import Path

from host_tools.emulator.card_image import CardImage
from host_tools.emulator.chips.sd_card import SDCard
from tests.support.bench import Bench

EIO, ENODEV, EINVAL, EROFS, ETIMEDOUT = 5, 19, 22, 30, 110
VM_CODE = Path(__file__).with_name("vm_sd_card.py").read_text()
BLOCKS = 131_072  # 64 MB


class Wire:
    """The wires of a card model.

    They count how often the card was deselected without eight clocks behind the last that it had
    to say (4.4), be it that it is busy. `garble`: an octet
    that is read as 0 so many times. `always_selected`: chip select is never high again.
    """

    def __init__(self, card):
        self.card = card
        self.transfer = card.transfer
        self.released_without_clocks = 0
        self.garble, self.garble_times = b"", 0
        self.always_selected = False
        self._last = 0xFF

    def transfer_bulk(self, data):
        reply = self.card.transfer_bulk(data)
        self._last = reply[-1]
        if self.garble_times and self.garble in reply:
            self.garble_times -= 1
            reply = reply.replace(self.garble, b"\0")
        return reply

    def select(self, selected):
        self.released_without_clocks += not selected and self._last not in (0xFF, 0x00)
        if not self.always_selected:
            self.card.select(selected)

    def clocked_unselected(self, count):
        if self.always_selected:
            self.card.transfer_bulk(b"\xff" * count)
        else:
            self.card.clocked_unselected(count)


class Slot:
    """A card in a slot and the driver before it, not opened. `card` options are SDCard's."""

    def __init__(self, path, size=BLOCKS * 512, **card):
        self.image = CardImage.create(path, size, formatted=False)
        self.card = SDCard(self.image, **card)
        self.faults = self.card.faults
        self.wire = Wire(self.card)
        self.bench = Bench({(1, 13): self.wire})
        self.bus = self.bench.buses[1]
        self.exec, self.eval = self.bench.vm.exec, self.bench.vm.eval
        self.exec(VM_CODE)

    def close(self):
        self.bench.close()
        self.image.close()
        assert self.bench.failure is None

    def attempt(self, call, *arguments):
        """The result of a call, or (errno, text) of the OSError that it raised."""
        return self.eval(f"attempt({', '.join((call, *arguments))})")

    def write(self, block, seed, blocks=8):
        return self.attempt("card.writeblocks", str(block), f"fill({seed}, {blocks})")

    def read(self, block, blocks=8):
        """The octets read, or (errno, text)."""
        failure = self.attempt("card.readblocks", str(block), f"memoryview(buf)[:{blocks} * 512]")
        return failure or self.eval(f"bytes(memoryview(buf)[:{blocks} * 512])")

    def sync(self):
        return self.attempt("card.ioctl", "3", "0")

    def on_card(self, block, seed, blocks=8):
        return self.image.read_blocks(block, blocks) == content(seed, blocks)


def content(seed, blocks=8):
    """What `fill` in the VM makes."""
    return b"".join(bytes((seed, at)) * 256 for at in range(blocks))
