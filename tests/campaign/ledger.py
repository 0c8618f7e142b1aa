"""What the clients asked for and what they were promised, in the order of the card's writes.

A moment is (writes, settled): how many blocks had been written, and how often the card had been
asked for its status (CMD13), which the driver does once it is not busy any more. A write is safe
for good when a CMD13 has come after it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.wire import stuffed

Moment = tuple[int, int]


def digest_of(text: bytes) -> str:
    """What a letter is known by: of the octets that RETR sends behind our trace lines."""
    return hashlib.sha256(stuffed(text) + b".\r\n").hexdigest()[:16]


@dataclass
class Delivery:
    """A letter to some mailboxes. `acked` is the moment of its 250, None when none came."""

    digest: str
    size: int
    mailboxes: list[str]
    asked: int
    acked: Moment | None = None


@dataclass
class Deletion:
    """Letters of one mailbox that a QUIT deletes. `acked` is the moment of its +OK."""

    mailbox: str
    digests: list[str]
    asked: int
    acked: Moment | None = None


@dataclass
class Ledger:
    """`now` tells how many blocks are written; `replied` the moment of the latest reply."""

    deliveries: list[Delivery] = field(default_factory=list)
    deletions: list[Deletion] = field(default_factory=list)
    uids: dict[str, dict[str, str]] = field(default_factory=dict)  # mailbox: {digest: unique-id}
    now: Callable[[], int] = field(default=lambda: 0, repr=False)
    replied: Callable[[], Moment] = field(default=lambda: (0, 0), repr=False)

    def deliver(self, text: bytes, mailboxes: list[str]) -> Delivery:
        """A client begins to send `text`."""
        self.deliveries.append(Delivery(digest_of(text), len(text), mailboxes, self.now()))
        return self.deliveries[-1]

    def delete(self, mailbox: str, digests: list[str]) -> Deletion:
        """A client is about to say QUIT."""
        self.deletions.append(Deletion(mailbox, digests, self.now()))
        return self.deletions[-1]

    def save(self, path: Path) -> None:
        """As JSON."""
        path.write_text(json.dumps({
            "deliveries": [dataclasses.asdict(each) for each in self.deliveries],
            "deletions": [dataclasses.asdict(each) for each in self.deletions],
            "uids": self.uids}))

    @classmethod
    def load(cls, path: Path) -> Ledger:
        """What `save` wrote."""
        saved = json.loads(path.read_text())
        ledger = cls(uids=saved["uids"])
        for kind, rows in ((Delivery, saved["deliveries"]), (Deletion, saved["deletions"])):
            for row in rows:
                row["acked"] = tuple(row["acked"]) if row["acked"] else None
                (ledger.deliveries if kind is Delivery else ledger.deletions).append(kind(**row))
        return ledger
