"""How a power cut can leave the card at one block write of a record.

    clean         the writes before number `position` are on the card, it and later ones are not
    torn:n        of that write the first n octets are on the card too
    reorder:k     that write is on the card, the k before it are not; no CMD13 came in between
    again:n:t:s   torn at s (0: clean), and while the appliance starts from that and takes new
                  mail, the power goes again at its nth block write, of which t octets are kept

A card that loses its last writes altogether leaves what a clean cut further back leaves. The
judge knows: for a promise to count it is enough that no CMD13 came between it and the lost write.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from host_tools.emulator.card_image import BLOCK, JOURNAL_DEPTH

KINDS = ("clean", "torn", "reorder", "again")
_USUAL = {"torn": 3, "reorder": 2, "again": 1}
_THOROUGH = {"torn": 64, "reorder": JOURNAL_DEPTH - 1, "again": 12}


_NUMBERS = {"clean": 0, "torn": 1, "reorder": 1, "again": 3}


@dataclass(frozen=True)
class Cut:
    """One cut; as text, `position,kind:numbers...`."""

    position: int
    kind: str
    numbers: tuple[int, ...] = ()

    def __str__(self) -> str:
        return ":".join([f"{self.position},{self.kind}", *map(str, self.numbers)])

    @classmethod
    def parse(cls, text: str) -> Cut:
        """The inverse of str(); ValueError when it is no cut."""
        position, _, variant = text.partition(",")
        kind, *numbers = variant.split(":")
        if _NUMBERS.get(kind) != len(numbers):
            raise ValueError(f"{text!r} is no cut: POSITION,VARIANT with clean, torn:N, reorder:K "
                             "or again:N:T:S")
        return cls(int(position), kind, tuple(map(int, numbers)))

    @property
    def kept(self) -> int:
        """How many octets of the write at `position` are on the card."""
        if self.kind == "reorder":
            return BLOCK
        return self.numbers[-1] if self.numbers else 0

    @property
    def lost(self) -> int:
        """How many writes before it are not."""
        return self.numbers[0] if self.kind == "reorder" else 0

    @property
    def second(self) -> tuple[int, int] | None:
        """Of the cut that follows: at which block write, and how many octets of that are kept."""
        return self.numbers[:2] if self.kind == "again" else None


class Choice:
    """Which variants are tried at a position: seeded, or nearly all when `thorough`."""

    def __init__(self, seed: int, thorough: bool):
        self._seed = seed
        self._most = _THOROUGH if thorough else _USUAL
        self._every = 10 if thorough else 40

    def __str__(self) -> str:
        return f"{self._seed}-thorough" if self._most is _THOROUGH else str(self._seed)

    def torn(self, position: int, old: bytes, new: bytes) -> list[Cut]:
        """Tears that leave neither the old nor the new content."""
        # Behind each octet that changes, but for the last, lies a tear unlike all others.
        changed = [at + 1 for at in range(BLOCK) if old[at] != new[at]][:-1]
        return [Cut(position, "torn", (octets,))
                for octets in self._some("torn", position, changed)]

    def reorder(self, position: int, unsettled: int) -> list[Cut]:
        """`unsettled`: writes before this one that no CMD13 has come after."""
        every = range(1, min(unsettled, JOURNAL_DEPTH - 1) + 1)
        return [Cut(position, "reorder", (lost,))
                for lost in self._some("reorder", position, every)]

    def again(self, position: int, starts: list[tuple[int, int, int]]) -> list[Cut]:
        """`starts`: (octets that a first cut has kept, block writes until the mailboxes are open,
        those with the new mail) of the starts that may be cut off.
        """
        dice = self._dice("again", position)
        cuts = []
        for number in range(self._most["again"]):
            kept, recovery, total = dice.choice(starts)
            # Recovery writes little, and what it writes matters most: every other cut is in it.
            within = recovery if recovery and (number + position) % 2 else total
            cuts.append(Cut(position, "again", (
                dice.randint(1, within), dice.choice((0, BLOCK, dice.randrange(1, BLOCK))), kept)))
        return cuts

    def checked(self, cut: Cut) -> bool:
        """Whether the card is checked after this cut: that takes ten times as long as the cut."""
        return self._dice(str(cut), 0).randrange(self._every) == 0

    def _some(self, kind: str, position: int, every) -> list[int]:
        if len(every) <= self._most[kind]:
            return list(every)
        return sorted(self._dice(kind, position).sample(every, self._most[kind]))

    def _dice(self, kind: str, position: int) -> random.Random:
        return random.Random(f"{self._seed} {kind} {position}")
