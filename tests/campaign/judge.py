"""What a card must hold after a power cut, given what the clients were promised before."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from tests.campaign.ledger import Ledger, digest_of
from tests.campaign.workload import USERS, letter

# New mail that the appliance must take after the cut, for each mailbox a small and a large one.
PROBES = {name: [letter(1000 + 2 * number, 500), letter(1001 + 2 * number, 6000)]
          for number, name in enumerate(USERS)}
_PROBE_DIGESTS = {name: [digest_of(text) for text in texts] for name, texts in PROBES.items()}
_TRACE_OCTETS = (60, 1300)  # ours before each letter: Return-Path and Received


class Failure(NamedTuple):
    """`kind` is one of a few, for counting; `text` tells what exactly."""

    kind: str
    text: str


def by_kind(failures: list[Failure]) -> dict[str, str]:
    """For each kind the first failure's text, and how many more there are."""
    count = Counter(failure.kind for failure in failures)
    first = {failure.kind: failure.text for failure in reversed(failures)}
    return {kind: first[kind] + (f" and {count[kind] - 1} more" if count[kind] > 1 else "")
            for kind in sorted(count)}


def summary(failures: list[Failure]) -> str:
    """The same in a line."""
    return "; ".join(f"{kind}: {text}" for kind, text in by_kind(failures).items())


class Row(NamedTuple):
    """A message as the appliance lists it: LIST's octets, those that RETR sent, their digest.

    One that cannot be read has 0 octets, and for its digest the reason.
    """

    uid: str
    told: int
    sent: int
    digest: str


class Expectation:
    """What each mailbox must, may and must not hold, for a cut at a given write.

    `position`: requests made after so many writes were not heard. `settled`: promises that came
    after no more CMD13s than this count (ledger.py); by default all do.
    """

    def __init__(self, ledger: Ledger, position: int | None = None, settled: int | None = None):
        def heard(asked: int) -> bool:
            return position is None or asked <= position

        def kept(acked) -> bool:
            return acked is not None and (settled is None or acked[1] <= settled)

        self.sizes = {each.digest: each.size for each in ledger.deliveries}
        self.must: dict[str, set[str]] = {name: set() for name in USERS}
        self.may: dict[str, set[str]] = {name: set() for name in USERS}
        self.deleted: dict[str, set[str]] = {name: set() for name in USERS}
        self.uids: dict[str, dict[str, str]] = {name: {} for name in USERS}
        for delivery in ledger.deliveries:
            for name in delivery.mailboxes:
                if kept(delivery.acked):
                    self.must[name].add(delivery.digest)
                    uid = ledger.uids.get(name, {}).get(delivery.digest)
                    if uid:
                        self.uids[name][delivery.digest] = uid
                elif heard(delivery.asked):
                    self.may[name].add(delivery.digest)
        for deletion in ledger.deletions:
            if kept(deletion.acked):
                self.must[deletion.mailbox] -= set(deletion.digests)
                self.deleted[deletion.mailbox] |= set(deletion.digests)
            elif heard(deletion.asked):
                self.may[deletion.mailbox] |= set(deletion.digests) & self.must[deletion.mailbox]
                self.must[deletion.mailbox] -= set(deletion.digests)

    def judge(self, name: str, rows: list[Row], new: list[str] = (),
              possible: list[str] = ()) -> list[Failure]:
        """What is wrong with mailbox `name`.

        `new`: digests of letters acknowledged since the cut; `possible`: those that were not.
        """
        failures = [Failure("unreadable", f"{name}: {row.uid}: {row.digest}")
                    for row in rows if not row.sent]
        rows = [row for row in rows if row.sent]
        count = Counter(row.digest for row in rows)
        for digest in self.must[name] | set(new):
            if not count[digest]:
                failures.append(Failure("lost", f"{name}: letter {digest} was acknowledged"))
        for digest, times in count.items():
            if times > 1:
                failures.append(Failure("twice", f"{name}: letter {digest}, {times} times"))
            if digest in self.deleted[name]:
                failures.append(Failure("came back", f"{name}: letter {digest} was deleted"))
            elif digest not in self.must[name] | self.may[name] | set(new) | set(possible):
                failures.append(Failure("damaged", f"{name}: {digest} is no letter sent there"))
        taken = {uid: digest for digest, uid in self.uids[name].items()}
        for uid, times in Counter(row.uid for row in rows).items():
            if times > 1:
                failures.append(Failure("uid twice", f"{name}: {uid}, {times} times"))
        for row in rows:
            failures += self._judge_row(name, row, taken)
        return failures

    def _judge_row(self, name: str, row: Row, taken: dict[str, str]) -> list[Failure]:
        failures = []
        if row.told != row.sent:
            failures.append(Failure("octets", f"{name}: {row.digest}: LIST told {row.told}, RETR "
                                              f"sent {row.sent}"))
        trace = row.sent - self.sizes.get(row.digest, row.sent - _TRACE_OCTETS[0])
        if not _TRACE_OCTETS[0] <= trace <= _TRACE_OCTETS[1]:
            failures.append(Failure("octets", f"{name}: {row.digest}: {trace} octets before it"))
        uid = self.uids[name].get(row.digest)
        if uid and uid != row.uid:
            failures.append(Failure("uid changed", f"{name}: {row.digest}: {uid} is {row.uid} now"))
        if taken.get(row.uid, row.digest) != row.digest:
            failures.append(Failure("uid reused", f"{name}: {row.uid} was {taken[row.uid]}, is "
                                                  f"{row.digest} now"))
        return failures


def judge_replay(expected: Expectation, result: dict, cut_again: bool) -> list[Failure]:
    """What is wrong with what vm_boot.py's `run` returned."""
    failures = []
    first, second = _rows(result["first"]), _rows(result["second"])
    acknowledged = [(name, number) for name, number in result["taken"]]
    for name in USERS:
        probes = _PROBE_DIGESTS[name]
        new = [probes[number] for number in range(len(probes)) if (name, number) in acknowledged]
        if first and first[name] is not None:
            failures += expected.judge(name, first[name])
        elif first:
            failures.append(Failure("closed", f"{name}: out of order after the cut"))
        if second[name] is None:
            failures.append(Failure("closed", f"{name}: out of order after the second start"))
        else:
            found = expected.judge(name, second[name], new, probes if cut_again else ())
            failures += [each for each in found if each not in failures]
        if cut_again:
            continue
        if len(new) < len(probes):
            failures.append(Failure("refused", f"{name}: took {len(new)} of {len(probes)} new"))
        if first[name] and second[name] and second[name][: len(first[name])] != first[name]:
            failures.append(Failure("changed", f"{name}: the second start lists other messages"))
    return failures


def _rows(listing: dict | None) -> dict[str, list[Row] | None] | None:
    if listing is None:
        return None
    return {name: None if rows is None else [Row(*row) for row in rows]
            for name, rows in listing.items()}
