"""One thing that was looked at: how it is, and what to do where that is not good."""

from __future__ import annotations

from dataclasses import asdict, dataclass

# In the order of how bad.
OK, NOTE, PROBLEM = "ok", "note", "problem"
# The parts of an appliance, in the order in which each needs the one before.
PARTS = ("board", "firmware", "card", "network", "names", "time", "TLS", "accounts", "services",
         "devices", "notices")


@dataclass(frozen=True)
class Finding:
    """`part` is one of PARTS; `level` is OK, NOTE (worth knowing) or PROBLEM; `advice` says what to
    do, "" where nothing is to be done.
    """

    part: str
    level: str
    text: str
    advice: str = ""

    def as_json(self) -> dict[str, str]:
        """For other programs."""
        return asdict(self)


def in_order(findings: list[Finding]) -> list[Finding]:
    """By part; what is wrong before what is not."""
    worst = (PROBLEM, NOTE, OK)
    return sorted(findings, key=lambda each: (PARTS.index(each.part), worst.index(each.level)))
