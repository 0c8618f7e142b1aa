"""How it is measured: runs that take turns, and their medians."""

from __future__ import annotations

import json
import math
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

_HERE = Path(__file__).parent
_LONGEST = 900  # s for one load, then it hangs


class Lost(SystemExit):
    """A server does not have every message that it acknowledged, or failed: no figure counts."""


def interleaved(servers: Iterable, rounds: int, run: Callable) -> dict[str, list]:
    """What `run(server)` returned, `rounds` times, by server's name. The servers take turns, so
    that what else the machine does meets all of them."""
    results: dict[str, list] = {server.name: [] for server in servers}
    for _ in range(rounds):
        for server in servers:
            results[server.name].append(run(server))
    return results


def load(server, **job) -> dict:
    """One load by tests/bench/sender.py at the server's SMTP port; `job` as said there.

    Returns {"seconds", "refused" (421), "done", "large_done", "latencies" (s), "began"
    (time.time())}. Raises Lost.
    """
    return _client("sender.py", server, {"port": server.smtp, **job})


def read(server, **job) -> dict:
    """One POP3 session by tests/bench/reader.py; `job` and what is returned as said there."""
    return _client("reader.py", server, {"port": server.pop3, **job})


def _client(script: str, server, job: dict) -> dict:
    ended = subprocess.run([sys.executable, "-I", str(_HERE / script), json.dumps(job)],
                           text=True, capture_output=True, timeout=_LONGEST)
    if ended.returncode:
        raise Lost(f"{server.name} failed with {job}: {ended.stderr.strip()[-1000:]}")
    return json.loads(ended.stdout)


def delivered(server, **job) -> dict:
    """As `load`, for jobs that deliver; counts afterwards that the server keeps every message."""
    result = load(server, **job)
    server.sent = getattr(server, "sent", 0) + result["done"] + result["large_done"]
    stored = server.stored(server.sent)
    if stored != server.sent:
        raise Lost(f"{server.name} acknowledged {server.sent} messages and keeps {stored}: {job}")
    return result


def median(results: list[dict], key: str = "seconds") -> float:
    """The median of one figure of several runs."""
    return statistics.median(result[key] for result in results)


def quantile(values: list[float], share: float) -> float:
    """The smallest value that `share` of all do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)]
