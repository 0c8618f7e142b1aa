"""Faults of an SD card: what goes wrong, at which block or command, once or for good.

A test schedules faults on a `CardFaults`; the card model (chips/sd_card.py) asks it at every
point where a card can fail. A fault counts its own kind of event from the moment it is
scheduled: `reject_write(3)` strikes the third block from now. What struck is in `fired`, so a
test can check that its fault happened at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class PowerCut(Exception):
    """The power went away: no more bytes are exchanged, the image is as the cut left it."""


class Fired(NamedTuple):
    """A fault that struck: its kind and where, a block number or a command's name."""

    kind: str
    where: int | str


@dataclass
class Fault:
    """A scheduled fault; the fields below `sticky` belong to some kinds only."""

    kind: str
    countdown: int
    sticky: bool = False
    command: str | None = None
    bit: int = 0
    mask: int | None = None
    token: int = 0
    clocks: int | None = None
    torn: int | None = None
    lose_last: int = 0


class CardFaults:
    """The faults of one card slot. `nth` counts from 1; `sticky` strikes from then on."""

    def __init__(self) -> None:
        self.write_protected = False
        self.fired: list[Fired] = []
        self._scheduled: list[Fault] = []

    def reject_write(self, nth: int = 1, *, sticky: bool = False) -> None:
        """Answer the nth block that would be accepted with "write error" (data response 0x0D)."""
        self._schedule(Fault("reject_write", nth, sticky))

    def corrupt_write(self, nth: int = 1, *, bit: int = 0, sticky: bool = False) -> None:
        """Flip `bit` (0 to 4111, CRC included) of the nth block received, on its way to the card.

        With CRC on the card answers 0x0B; with CRC off the damage is stored.
        """
        self._schedule(Fault("corrupt_write", nth, sticky, bit=bit))

    def corrupt_read(self, nth: int = 1, *, bit: int = 0, sticky: bool = False) -> None:
        """Flip `bit` (CRC included) of the nth data block sent, on its way to the host."""
        self._schedule(Fault("corrupt_read", nth, sticky, bit=bit))

    def no_read_token(self, nth: int = 1, *, sticky: bool = False) -> None:
        """Never send the nth data block: 0xFF until the host gives up."""
        self._schedule(Fault("no_read_token", nth, sticky))

    def error_token(self, nth: int = 1, *, token: int = 0x04, sticky: bool = False) -> None:
        """Send a data error token (0x04: card ECC failed) in place of the nth data block."""
        self._schedule(Fault("error_token", nth, sticky, token=token))

    def corrupt_response(self, command: str | None = None, nth: int = 1, *,
                         mask: int | None = None, sticky: bool = False) -> None:
        """Exclusive-or `mask` into the R1 of the nth `command` ("CMD17", "ACMD41"; None: any).

        Without a mask the whole response is lost. The card has carried the command out.
        """
        self._schedule(Fault("corrupt_response", nth, sticky, command=command, mask=mask))

    def stall(self, nth: int = 1, *, clocks: int | None = None, after: str = "block",
              sticky: bool = False) -> None:
        """Be busy for `clocks` bytes after the nth "block" or "stop"; None: until a CMD0.

        Blocks are counted that were accepted, stops whether by token or by CMD12.
        """
        self._schedule(Fault(f"stall_{after}", nth, sticky, clocks=clocks))

    def pull(self, nth: int = 1, *, on: str = "write") -> None:
        """Pull the card at the nth "write" (block received, not stored), "read" or "command".

        It stays out until the model's `insert()`.
        """
        self._schedule(Fault(f"pull_{on}", nth))

    def power_cut(self, nth: int = 1, *, torn: int | None = None, lose_last: int = 0) -> None:
        """Cut the power when the nth block has been programmed: the model raises PowerCut.

        `torn`: only that many of the block's first octets are new (None: all 512).
        `lose_last`: so many blocks written before it are lost, as with a card that acknowledges
        from a volatile cache; with `torn=0` the nth block is lost as well.
        """
        self._schedule(Fault("power_cut", nth, torn=torn, lose_last=lose_last))

    def clear(self) -> None:
        """Forget what is scheduled, the write protection too; `fired` stays."""
        self._scheduled.clear()
        self.write_protected = False

    def take(self, kind: str, where: int | str) -> Fault | None:
        """The model's question: an event of `kind` happens at `where`; the fault if one strikes."""
        strikes = None
        for fault in self._scheduled:
            if fault.kind == kind and fault.command in (None, where):
                fault.countdown -= 1
                if fault.countdown <= 0:
                    strikes = strikes or fault
        if strikes:
            if not strikes.sticky:
                self._scheduled.remove(strikes)
            self.fired.append(Fired(kind, where))
        return strikes

    def _schedule(self, fault: Fault) -> None:
        if fault.kind not in _KINDS or fault.countdown < 1:
            raise ValueError(f"no such fault: {fault.kind}, nth {fault.countdown}")
        self._scheduled.append(fault)


_KINDS = frozenset((
    "reject_write", "corrupt_write", "corrupt_read", "no_read_token", "error_token",
    "corrupt_response", "stall_block", "stall_stop", "pull_write", "pull_read", "pull_command",
    "power_cut",
))
