"""The report in a terminal: who, a table of the hops, and what to think of it."""

from __future__ import annotations

import sys
from typing import TextIO

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from host_tools.card.finding import printable
from host_tools.trace.hops import Hop
from host_tools.trace.networks import PUBLIC
from host_tools.trace.report import Report, shown
from host_tools.trace.suspicions import SUSPICION
from host_tools.trace.words import span, utc

_PLAIN_WIDTH = 2000  # so that no line is broken where another program reads them
_WIDE = 160  # columns from which ids and recipients have room
_SHOWN_ID = 60


def show(report: Report, stream: TextIO | None = None) -> None:
    """Write it to `stream` (default: standard output), without lines and colours where that is no
    terminal.
    """
    stream = stream or sys.stdout
    if stream.isatty():
        _write(Console(file=stream), report)
        return
    console = Console(file=stream, width=_PLAIN_WIDTH, color_system=None)
    with console.capture() as captured:
        _write(console, report)
    for line in captured.get().splitlines():
        stream.write(line.rstrip() + "\n")


def _write(console: Console, report: Report) -> None:
    # What strangers wrote is Text: in a str rich would look for markup.
    who = Table(box=None, show_header=False, pad_edge=False)
    for name, value in _who(report):
        who.add_row(Text(name, "bold"), Text(printable(value)))
    console.print(who)
    if report.path.hops:
        console.print()
        console.print(_hops(console, report))
    console.print()
    for line in _summary(report):
        console.print(Text(printable(line)))
    if report.suspicions:
        console.print()
    for each in sorted(report.suspicions, key=lambda each: each.severity != SUSPICION):
        looks = "bold red" if each.severity == SUSPICION else "dim"
        console.print(Text.assemble((f"{each.severity:<9}  ", looks), printable(each.why)))


def _who(report: Report) -> list[tuple[str, str]]:
    who = report.people
    first = report.path.hops[0] if report.path.hops else None
    rows = [("From", shown(who.author)), ("Sender", shown(who.sender)),
            ("Return-Path", who.return_path), ("Reply-To", shown(who.reply_to)),
            ("To", shown(who.to)), ("Cc", shown(who.cc)), ("Bcc", shown(who.bcc)),
            ("Delivered to", ", ".join(who.delivered_to)), ("Subject", who.subject),
            ("Date", report.date), ("Message-ID", who.message_id), ("Written with", who.program),
            ("Sent from", _origin(first) if first else ""), ("Browser at", who.web_address)]
    return [(name, value) for name, value in rows if value]


def _origin(first: Hop) -> str:
    if first.received.is_local:
        return f"{first.client}, on {first.received.by} itself"
    return f"{first.client} {_address(first)}".strip()


def _address(hop: Hop) -> str:
    address = hop.received.address or ""
    return f"{address} ({hop.kind})" if address and hop.kind != PUBLIC else address


def _hops(console: Console, report: Report) -> Table:
    wide = console.width >= _WIDE
    plain = not console.is_terminal
    table = Table(box=None if plain else box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for name in ("", "from", "address", "by", "with", "TLS", "time (UTC)"):
        table.add_column(name, overflow="fold")
    table.add_column("delay", justify="right")
    if wide:
        table.add_column("id", overflow="fold")
        table.add_column("for", overflow="fold")
    suspected = {each.hop for each in report.suspicions if each.severity == SUSPICION}
    for hop in report.path.hops:
        seen = hop.received
        name = seen.helo or ("(itself)" if hop.internal else "")
        if seen.reverse and seen.reverse != seen.helo:
            name = f"{name} ({seen.reverse})".strip()
        marks = ("" if hop.trusted else "?") + ("!" if hop.number in suspected else "")
        cells = [f"{hop.number}{marks}", name, _address(hop), seen.by or "",
                 seen.protocol or "", tls(hop), "" if hop.time is None else utc(hop.time),
                 "" if hop.delay is None else span(hop.delay)]
        if wide:
            cells += [(seen.id or "")[:_SHOWN_ID], seen.recipient or ""]
        table.add_row(*(Text(printable(cell)) for cell in cells))
    return table


def tls(hop: Hop) -> str:
    """"TLS 1.3", "yes", "no", or "" where the line leaves it open."""
    seen = hop.received
    if seen.tls:
        return seen.tls_version or "yes"
    return "" if seen.tls is None else "no"


def _summary(report: Report) -> list[str]:
    path = report.path
    if not path.hops:
        return ["No server has left a line."]
    names = [server.name for server in path.servers]
    lines = [f"{_count(len(path.hops) + path.left_out, 'Received line')}, "
             f"{_count(len(names), 'server')}, the last the recipient's: {', '.join(names)}."]
    if report.internal:
        lines.append(f"Within one server: hop{'s' if len(report.internal) > 1 else ''} "
                     f"{', '.join(str(hop.number) for hop in report.internal)}.")
    for domain, members in path.by_domain().items():
        lines.append(f"Of {domain}: {', '.join(members)}.")
    if path.total is not None and len(path.hops) > 1:
        exact = f" ({path.total} s)" if abs(path.total) >= 60 else ""
        lines.append(f"Under way for {span(path.total)}{exact}.")
    if not all(hop.trusted for hop in path.hops):
        lines.append("A line marked ? could be the sender's invention; one with ! see below.")
    return lines


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")
