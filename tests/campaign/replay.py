"""Put a card into the state that a cut leaves, start the firmware on it, and judge."""

from __future__ import annotations

import struct
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from host_tools.card.check import Check
from host_tools.card.fat import CardError
from host_tools.card.finding import ERROR
from host_tools.card.source import open_card
from host_tools.emulator.card_image import BLOCK, JOURNAL_DEPTH, CardImage
from tests.campaign.cuts import Choice, Cut
from tests.campaign.judge import PROBES, Expectation, Failure, judge_replay
from tests.campaign.record import Record, make_card
from tests.campaign.workload import USERS
from tests.support.vm import Vm, VmError
from tests.support.wire import stuffed

_VM_PROGRAM = Path(__file__).with_name("vm_boot.py")
_HEAP_KIB = 4096  # for the card's changed blocks; the firmware's own heap is tested elsewhere
_PATIENCE = 60  # s for one cut, which takes about 0.01: what takes longer hangs


class Outcome(NamedTuple):
    """A cut and what was wrong after it; `log` is what the firmware said."""

    cut: Cut
    failures: list[Failure]
    log: list[str]
    result: dict | None


class Replay:
    """One card image that only moves forward through the writes, and one VM."""

    def __init__(self, record: Record, image: Path, firmware: Path | None = None):
        """`firmware`: a compiled tree to run instead of the build's present one."""
        self.record = record
        self.position = 0  # so many writes are on the image
        self._card = make_card(record.card_kind, image)
        self._before: deque[tuple[int, bytes]] = deque(maxlen=JOURNAL_DEPTH)
        self._path = (firmware, firmware / "lib") if firmware else ()
        self._first_data_block = first_data_block(self._card)
        self._vm: Vm | None = None

    def close(self) -> None:
        """End the VM and remove the image."""
        if self._vm:
            self._vm.close()
        self._card.close()
        self._card.path.unlink()

    def __enter__(self) -> Replay:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def advance(self, position: int) -> None:
        """Bring the image to where `position` writes are done. Raises ValueError backwards."""
        if position < self.position:
            raise ValueError(f"at {self.position} already")
        while self.position < position:
            block, data, _ = self.record.writes[self.position]
            self._before.append((block, self._card.read_blocks(block)))
            self._card.write_block(block, data)
            self.position += 1

    def outcomes(self, position: int, choice: Choice) -> Iterator[Outcome]:
        """All cuts at `position`, clean, torn, reordered and cut again."""
        def play(cut: Cut) -> Outcome:
            return self.play(cut, choice.checked(cut))

        self.advance(position)
        tried = [play(Cut(position, "clean"))]
        unsettled: list[Cut] = []
        if position < len(self.record.writes):
            block, data, settled = self.record.writes[position]
            for cut in choice.torn(position, self._card.read_blocks(block), data):
                tried.append(play(cut))
            unsettled = choice.reorder(position, self._unsettled(position, settled))
        yield from tried
        for cut in unsettled:
            yield play(cut)
        starts = [(outcome.cut.kept, outcome.result["recovery"], outcome.result["written"])
                  for outcome in tried if outcome.result and outcome.result["written"]]
        for cut in choice.again(position, starts) if starts else ():
            yield play(cut)

    def _unsettled(self, position: int, settled: int) -> int:
        """How many writes before `position` no CMD13 had come after."""
        count = 0
        while count < position and self.record.writes[position - count - 1][2] == settled:
            count += 1
        return count

    def play(self, cut: Cut, checked: bool = False) -> Outcome:
        """Make this one cut; its position must not lie behind the image's.

        `checked`: the card as the firmware leaves it goes through the card check too.
        """
        self.advance(cut.position)
        outcome = self._outcome(cut, self.changes(cut))
        if checked and outcome.result:
            with self.changed(self._vm.eval("changed")):
                outcome.failures.extend(self._check())
        return outcome

    @contextmanager
    def changed(self, blocks: dict[int, bytes]) -> Iterator[Path]:
        """The image's path, for as long as `blocks` are on it."""
        old = {block: self._card.read_blocks(block) for block in blocks}
        for block, data in blocks.items():
            self._card.write_block(block, data)
        try:
            yield self._card.path
        finally:
            for block, data in old.items():
                self._card.write_block(block, data)

    def _check(self) -> list[Failure]:
        try:
            with open_card(self._card.path) as card:
                return [Failure("card check", f"{finding.where}: {finding.what}")
                        for finding in Check(card).run() if finding.severity == ERROR]
        except CardError as error:
            return [Failure("card check", str(error))]

    def changes(self, cut: Cut) -> dict[int, bytes]:
        """What the cut leaves on the card unlike the image: block -> data."""
        changed: dict[int, bytes] = {}
        if cut.lost:
            for block, old in reversed(list(self._before)[-cut.lost :]):
                changed[block] = old
        if cut.kept:
            block, data, _ = self.record.writes[cut.position]
            changed[block] = data[: cut.kept] + self._card.read_blocks(block)[cut.kept :]
        return changed

    def block(self, number: int) -> bytes:
        """What the image has in that block."""
        return self._card.read_blocks(number)

    def save(self, cut: Cut, path: Path) -> None:
        """An image of the card as `cut` leaves it."""
        path.unlink(missing_ok=True)
        with self.changed(self.changes(cut)):
            self._card.copy(path).close()

    def place(self, cut: Cut) -> str:
        """Where on the card the cut write goes: "tables" (FAT and before), or "data"."""
        if cut.position == len(self.record.writes):
            return "end"
        block = self.record.writes[cut.position][0]
        return "data" if block >= self._first_data_block else "tables"

    def expectation(self, cut: Cut) -> Expectation:
        """What the record's clients were promised at that cut."""
        first_lost = cut.position - cut.lost
        if first_lost == len(self.record.writes):
            return Expectation(self.record.ledger)
        return Expectation(self.record.ledger, cut.position, self.record.writes[first_lost][2])

    def _outcome(self, cut: Cut, changed: dict[int, bytes]) -> Outcome:
        vm = self._vm or self._start()
        vm.printed.clear()
        watchdog = threading.Timer(_PATIENCE, vm.process.kill)
        watchdog.start()
        try:
            result = vm.eval(f"run({str(self._card.path)!r}, {changed!r}, {cut.second!r})")
        except VmError as error:
            if "KeyboardInterrupt" in str(error):
                raise KeyboardInterrupt from error
            if vm.process.poll() is not None:
                vm.close()
                self._vm = None
            last = str(error).strip().splitlines()[-1]
            return Outcome(cut, [Failure("crashed", last)],
                           [*vm.printed, *str(error).splitlines()], None)
        finally:
            watchdog.cancel()
        failures = judge_replay(self.expectation(cut), result, cut.second is not None)
        return Outcome(cut, failures, list(vm.printed), result)

    def _start(self) -> Vm:
        self._vm = Vm(_HEAP_KIB, extra_path=self._path)
        self._vm.exec(_VM_PROGRAM.read_text())
        probes = {name: [stuffed(text) + b".\r\n" for text in texts]
                  for name, texts in PROBES.items()}
        self._vm.exec(f"USERS = {tuple(USERS)!r}; PROBES = {probes!r}")
        return self._vm


def first_data_block(card: CardImage) -> int:
    """The block behind the FATs and FAT16's root directory (fatgen103)."""
    start = struct.unpack_from("<I", card.read_blocks(0), 446 + 8)[0]
    reserved, copies, root_entries, sectors, sectors_32 = struct.unpack_from(
        "<HBH3xH12xI", card.read_blocks(start), 14)
    return start + reserved + copies * (sectors or sectors_32) + -(-root_entries * 32 // BLOCK)
