"""Run the workload once on a whole emulated board and keep every block that it writes, in order."""

from __future__ import annotations

import queue
import struct
import threading
from pathlib import Path

from host_tools import accounts, boards, events
from host_tools.emulator.board import EmulatedBoard, prepare_flash
from host_tools.emulator.card_image import BLOCK, CardImage
from host_tools.emulator.fat_format import _Volume
from tests.campaign import workload
from tests.campaign.ledger import Ledger, Moment
from tests.support.ports import free_port_offset

_PATIENCE = 60
_MARK_PIN = 99  # as in vm_marks.py
_MARKING_MAIN = Path(__file__).with_name("vm_marks.py")
_ENTRY = struct.Struct(f"<II{BLOCK}s")

CARDS = ("sdhc", "fine")


def make_card(kind: str, path: Path, factory: type[CardImage] = CardImage) -> CardImage:
    """An empty card: "sdhc" is 4 GB with 32 KB clusters, "fine" 48 MB FAT32 with 512-octet ones.

    The fine one takes a FAT link for every block, so cuts in the middle of a chain are many.
    """
    path.unlink(missing_ok=True)
    if kind == "sdhc":
        return factory.create(path)
    card = factory.create(path, 48 << 20, formatted=False)
    _Volume(32, 1, card.block_count).write(lambda at, data: CardImage.write_block(card, at, data))
    return card


class RecordingImage(CardImage):
    """A card that logs its writes: (block, data, settled), see ledger.py."""

    def __init__(self, path: Path | str):
        super().__init__(path)
        self.log: list[tuple[int, bytes, int]] = []
        self.recording = False
        self.settled = lambda: 0

    def write_block(self, block: int, data: bytes) -> None:
        super().write_block(block, data)
        if self.recording:
            self.log.append((block, bytes(data), self.settled()))

    def erase(self, first: int, last: int) -> None:
        raise NotImplementedError("the firmware erases nothing, so there is no record of it")


class Appliance:
    """The firmware on an emulated pico_w in this process, with our hands on its card.

    `smtp` and `pop3` are its ports outside. `marks` are the moments at which something left for
    a client. `cut` = (n, octets) takes its power at the nth block write since the first start;
    so many octets of that are kept, or all (None).
    """

    def __init__(self, card: RecordingImage, folder: Path,
                 cut: tuple[int, int | None] | None = None):
        self.card = card
        self.marks: list[Moment] = []
        self.console: list[str] = []
        self.board: EmulatedBoard | None = None
        self.smtp = self.pop3 = 0
        self._folder = folder
        self._cut = cut
        self._settled_before = 0
        self._events: queue.Queue = queue.Queue()
        self._thread: threading.Thread | None = None

    def enter_in(self, ledger: Ledger) -> None:
        """From now on the card is recorded, and moments in `ledger` are those of this board."""
        self.card.recording = True
        self.card.settled = self.settled
        ledger.now = lambda: len(self.card.log)
        ledger.replied = lambda: self.marks[-1]

    def start(self) -> None:
        """Boot; `wait_ready` tells when it serves."""
        definition = boards.load("pico_w")
        flash = self._folder / "flash"
        settings = {"hostname": "xyz.com", "time_server": None, "passports": True}
        prepare_flash(flash, definition, settings,
                      [accounts.line(*user) for user in workload.USERS.items()])
        self.board = EmulatedBoard(definition, self.card, flash, free_port_offset(),
                                   main=_MARKING_MAIN)
        self.board.pins.inputs[_MARK_PIN] = self._mark
        if self._cut:
            nth, torn = self._cut
            self.board.sd_card.faults.power_cut(nth - len(self.card.log), torn=torn)
        self._events = queue.Queue()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def wait_ready(self) -> bool:
        """True when it serves, False when the power was cut before."""
        while True:
            try:
                event = self._events.get(timeout=_PATIENCE)
            except queue.Empty:
                raise AssertionError(f"not ready: {self.console[-10:]}") from None
            if event is None:
                assert self.board.power_cut, self.console[-30:]
                return False
            if event["event"] == "ready":
                self.smtp, self.pop3 = (self.board.port_offset + event[service]
                                        for service in ("smtp", "pop3"))
                return True

    def stop(self) -> None:
        """As Ctrl-C on the console; AssertionError when it does not end."""
        self.board.stop()
        self.join()

    def join(self) -> None:
        """Wait for its end, which a power cut brings too."""
        self._thread.join(_PATIENCE)
        assert not self._thread.is_alive(), self.console[-10:]
        self._settled_before = self.settled()

    def restart(self) -> None:
        """A clean stop and start."""
        self.stop()
        self.start()
        assert self.wait_ready()

    def settled(self) -> int:
        """How often the card was asked for its status, since the first start."""
        return self._settled_before + self.board.sd_card.counters.commands["CMD13"]

    def _run(self) -> None:
        try:
            self.board.run(self._line)
        finally:
            self._events.put(None)

    def _line(self, text: str) -> None:
        self.console.append(text)
        event = events.parse(text)
        if event:
            self._events.put(event)

    def _mark(self) -> int:
        self.marks.append((len(self.card.log), self.settled()))
        return 0


class Record:
    """The writes of one run on an empty card, and what was promised meanwhile.

    `writes` is [(block, data, settled)], see ledger.py. `card_kind` is one of CARDS.
    """

    def __init__(self, card_kind: str, writes: list[tuple[int, bytes, int]], ledger: Ledger):
        self.card_kind = card_kind
        self.writes = writes
        self.ledger = ledger

    @classmethod
    def make(cls, card_kind: str, folder: Path) -> Record:
        """Run the workload on a new card in `folder`. Raises AssertionError when it goes wrong."""
        ledger = Ledger()
        with make_card(card_kind, folder / "recorded.img", RecordingImage) as card:
            appliance = Appliance(card, folder)
            appliance.enter_in(ledger)
            appliance.start()
            assert appliance.wait_ready()
            try:
                workload.run(workload.Clients(appliance, ledger))
            finally:
                appliance.stop()
            writes = card.log
        card.path.unlink()
        faults = [line for line in appliance.console if "fault" in line or "Traceback" in line]
        assert not faults, faults
        return cls(card_kind, writes, ledger)

    def save(self, folder: Path) -> None:
        """Into `folder`, for `load`."""
        with open(folder / "writes.bin", "wb") as file:
            for block, data, settled in self.writes:
                file.write(_ENTRY.pack(block, settled, data))
        (folder / "card.txt").write_text(self.card_kind)
        self.ledger.save(folder / "ledger.json")

    @classmethod
    def load(cls, folder: Path) -> Record:
        """What `save` left there; FileNotFoundError when it did not."""
        packed = (folder / "writes.bin").read_bytes()
        writes = [(block, data, settled)
                  for block, settled, data in _ENTRY.iter_unpack(packed)]
        return cls((folder / "card.txt").read_text(), writes, Ledger.load(folder / "ledger.json"))
