"""Sessions a second, and how long a small message takes while large ones come in."""

from __future__ import annotations

from pathlib import Path

from tests.bench.context import Context
from tests.bench.measure import delivered, interleaved, load, median, quantile
from tests.bench.report import Chart, Section, Table, figure
from tests.bench.servers import USER, Aiosmtpd, Dovecot, Picopost, Postfix

CLIENTS = (1, 4)
_COUNT = 120
_COUNT_CHIPS = 24
# What a session does, by kind of sender.py.
KINDS = {"smtp": "SMTP: connect, NOOP, QUIT", "capa": "POP3: connect, CAPA, QUIT",
         "login": "POP3: connect, USER, PASS, NOOP, QUIT"}
_SMALL, _LARGE = 2048, 5 << 20

_TEXT = """\
Sessions without mail, one after another by each client. A login at picopost costs 400 rounds of
HMAC-SHA-256 for who guesses too; Dovecot's passwords are in its configuration, in the clear. Below
that, what a delivery of 2 KB takes in a session of its own, from the connection to the 250, while
four other clients send messages of 5 MB without a pause."""


def sessions(context: Context) -> Section:
    """Run it."""
    count = _COUNT // 4 if context.quick else _COUNT
    empty = context.place()
    empty.touch()

    def dovecot(folder: Path) -> Dovecot:
        return Dovecot(folder, {USER: empty})

    def chips(folder: Path) -> Picopost:
        return Picopost(folder, chips=True)

    found: dict[tuple, dict[str, list]] = {}
    with context.running(Postfix, Aiosmtpd, Picopost, dovecot) as servers:
        for kind in KINDS:
            for clients in CLIENTS:
                found[kind, clients] = interleaved(
                    [server for server in servers if port(server, kind)], context.rounds,
                    lambda server, job=(kind, clients): one(server, *job, count))
        mixed = interleaved(
            [server for server in servers if server.smtp], context.rounds,
            lambda server: delivered(server, kind="mixed", clients=4, count=_COUNT // 4,
                                     size=_SMALL, large=_LARGE))
    with context.running(chips) as [board]:
        for kind in KINDS:
            found[kind, 1][board.name] = [one(board, kind, 1, _COUNT_CHIPS)]
    return section(found, mixed)


def port(server, kind: str) -> int | None:
    return server.smtp if kind == "smtp" else server.pop3


def one(server, kind: str, clients: int, count: int) -> dict:
    # A user's mailbox is open once at a time.
    return load(server, kind=kind, clients=1 if kind == "login" else clients, count=count,
                port=port(server, kind))


def section(found: dict[tuple, dict[str, list]], mixed: dict[str, list]) -> Section:
    """Tables and plots of {(kind, clients): {server: results}} and {server: results}."""
    result = Section("Sessions", _TEXT)
    names = list(dict.fromkeys(name for results in found.values() for name in results))
    table = Table("Sessions a second", ["session", "clients", *names])
    for (kind, clients), results in found.items():
        if kind == "login" and clients > 1:
            continue
        table.rows.append([KINDS[kind], str(clients), *(
            figure(results[name][0]["done"] / median(results[name])) if name in results else "-"
            for name in names)])
    latency = Table("A delivery of 2 KB while four of 5 MB run, ms",
                    ["server", "p50", "p99", "of", "large ones meanwhile, MB/s"])
    points: dict[str, list[float | None]] = {}
    for name, results in mixed.items():
        times = [1000 * value for run in results for value in run["latencies"]]
        large = sum(run["large_done"] for run in results) * _LARGE / 1e6
        p50, p99 = quantile(times, 0.5), quantile(times, 0.99)
        points[name] = [round(p50, 2), round(p99, 2)]
        latency.rows.append([name, figure(p50), figure(p99), str(len(times)),
                             figure(large / sum(run["seconds"] for run in results))])
    result.tables += [table, latency]
    result.charts.append(Chart("latency", latency.title, "ms", ["p50", "p99"], points))
    result.data = {"sessions": {f"{kind}, {clients} clients": results
                                for (kind, clients), results in found.items()},
                   "latency": mixed}
    return result
