"""What processes take of memory, as Linux counts it."""

from __future__ import annotations

from pathlib import Path


def family(pid: int) -> list[int]:
    """The process and all its descendants that live."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it has just ended
            parents[int(entry.name)] = int(fields[1])
    members, before = {pid}, 0
    while len(members) != before:
        before = len(members)
        members |= {child for child, parent in parents.items() if parent in members}
    return sorted(members)


def memory(pid: int) -> dict[str, int]:
    """KB of a process with its descendants: `rss` now, `peak` (VmHWM), each summed, so that what
    they share counts as often as there are processes; `pss` (now) counts it once."""
    total = {"rss": 0, "peak": 0, "pss": 0}
    for member in family(pid):
        try:
            status = Path(f"/proc/{member}/status").read_text()
            shared = Path(f"/proc/{member}/smaps_rollup").read_text()
        except OSError:
            continue
        for line in (status + shared).splitlines():
            name, _, value = line.partition(":")
            key = {"VmRSS": "rss", "VmHWM": "peak", "Pss": "pss"}.get(name)
            if key:
                total[key] += int(value.split()[0])
    return total
