"""The way of a message as an SVG, the same each time: a box a server, from the top down, and an
arrow a hop, with its protocol, a lock for TLS, its time and delay.

What a server did within itself stands in its box. Above the dashed line is what the sender's side
says; a box in red dashes is a client that is not the server of the hop before, or only says so.
"""

from __future__ import annotations

import textwrap
from html import escape

from host_tools.card.finding import printable
from host_tools.trace.hops import Hop, Server
from host_tools.trace.networks import PUBLIC, kind
from host_tools.trace.report import Report, shown
from host_tools.trace.suspicions import SUSPICION
from host_tools.trace.words import span, utc

_WIDTH = 860
_MIDDLE = _WIDTH // 2
_LEFT, _RIGHT = 230, 630  # a box' edges
_MARGIN = 28
_BOX = 50  # height of a box without what happened within
_ROW = 18
_ARROW = 64
_WRAP = 124  # characters of a line below the way
_MOST = 40  # suspicions that are shown
# Colours that people who do not see them all can tell apart (Okabe and Ito).
_GREEN, _RED, _BLUE = "#009e73", "#d53e00", "#0072b2"
_GREY = "#6d7378"


class _Drawing:
    def __init__(self, report: Report):
        self._report = report
        self._parts: list[str] = []
        self._y = 0
        self._suspected = {each.hop for each in report.suspicions
                           if each.severity == SUSPICION}
        self._broken = {each.hop for each in report.suspicions
                        if each.severity == SUSPICION and each.code in ("broken-chain", "helo")}

    def svg(self) -> str:
        who = self._report.people
        people = f"{shown(who.author) or '?'} to {shown(who.to) or '?'}"
        self._y = 30
        self._text(_MIDDLE, people, 84, "middle", 16, bold=True)
        if self._report.path.total is not None:
            self._y += 22
            self._text(_MIDDLE, self._sum(), 100, "middle", 12, _GREY)
        self._y += 22
        self._way()
        self._findings()
        height = self._y + 12
        return "\n".join([
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
            f'width="{_WIDTH}" height="{height}" role="img" '
            'font-family="DejaVu Sans, Verdana, sans-serif" font-size="12">',
            f"<title>The way of a message: {_shortened(people, 200)}</title>",
            f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
            *self._parts, "</svg>"]) + "\n"

    def _sum(self) -> str:
        count = len(self._report.path.servers)
        return (f"{count} server{'' if count == 1 else 's'}, "
                f"{span(self._report.path.total)} under way")

    # --- the way ------------------------------------------------------------------------------

    def _way(self) -> None:
        path = self._report.path
        hops = {hop.number: hop for hop in path.hops}
        for number, server in enumerate(path.servers):
            arrival = hops[server.hops[0]]
            if number or not arrival.internal:
                if not number or arrival.number in self._broken:
                    self._client(arrival, bool(number))
                self._arrow(arrival)
            self._server(server, [hops[each] for each in server.hops])

    def _client(self, hop: Hop, breaks: bool) -> None:
        """Who gave the message to the server of `hop`, when no hop before says so."""
        if breaks:
            top, self._y = self._y, self._y + 34
            self._line(f"M{_MIDDLE} {top}V{self._y}", _RED, "2 5")
            self._text(_MIDDLE + 12, "nothing says how it came from there", 60, "start", 11, _RED,
                       at=top + 21)
        colour = _RED if breaks else _GREY
        seen = hop.received
        self._box(_BOX, "#ffffff", colour, "5 4")
        self._text(_MIDDLE, hop.client, 46, "middle", 12, bold=True, at=self._y + 20)
        below = _with_kind(seen.address) if seen.address else "no address known"
        if seen.helo and seen.helo != hop.client:
            below += f", said {seen.helo}"
        self._text(_MIDDLE, below, 58, "middle", 11, _GREY, at=self._y + 38)
        self._y += _BOX

    def _server(self, server: Server, hops: list[Hop]) -> None:
        within = [hop for hop in hops if hop.internal]
        height = _BOX + (_ROW * len(within) + 6 if within else 0)
        suspected = any(hop.number in self._suspected for hop in hops)
        self._box(height, "#eef3ee" if hops[0].trusted else "#f3f1ea",
                  _RED if suspected else "#40604a" if hops[0].trusted else "#6b6552")
        software = hops[0].received.software
        below = [_with_kind(address) for address in server.addresses[:2]]
        below += [software] if software else []
        self._text(_MIDDLE, server.name, 46, "middle", 13, bold=True,
                   at=self._y + (20 if below else 30))
        self._text(_MIDDLE, ", ".join(below), 60, "middle", 11, _GREY, at=self._y + 38)
        for row, hop in enumerate(within):
            y = self._y + _BOX + 10 + _ROW * row
            seen = hop.received
            what = ", ".join(filter(None, (
                seen.software and f"{seen.by or 'itself'} ({seen.software})" or seen.by or
                (f"({seen.note})" if seen.note else "itself"), seen.protocol)))
            self._text(_LEFT + 12, f"{hop.number}  {what}", 50, "start", 11, at=y)
            if hop.delay is not None:
                self._text(_RIGHT - 12, _signed(hop.delay), 20, "end", 11, _GREY, at=y)
        self._y += height

    def _arrow(self, hop: Hop) -> None:
        seen = hop.received
        top, end = self._y, self._y + _ARROW
        border = self._report.path.border
        if border is hop and hop.number > 1:
            self._line(f"M{_MARGIN} {top + 10}H{_WIDTH - _MARGIN}", _BLUE, "6 4")
            self._text(_MARGIN, "above: what the sender's side says", 60, "start", 10, _BLUE,
                       at=top + 4)
            self._text(_MARGIN, "below: what the recipient's servers saw", 60, "start", 10, _BLUE,
                       at=top + 23)
        colour = _RED if hop.number in self._suspected else "#222222"
        self._line(f"M{_MIDDLE} {top}V{end - 10}", colour)
        self._parts.append(f'<path d="M{_MIDDLE - 6} {end - 11}L{_MIDDLE} {end - 1}'
                           f'L{_MIDDLE + 6} {end - 11}Z" fill="{colour}"/>')
        x = _MIDDLE + 16
        if seen.tls:
            self._lock(x, top + 23)
            x += 20
        protocol = seen.protocol or "protocol not told"
        self._text(x, f"{hop.number}  {protocol}{self._security(hop)}", 44, "start", 12,
                   _GREEN if seen.tls else "#222222", bold=True, at=top + 34)
        time = "no time" if hop.time is None else f"{utc(hop.time)} UTC"
        self._text(_MIDDLE + 16, time, 40, "start", 11, _GREY, at=top + 51)
        if hop.delay is not None:
            late = hop.number in self._suspected and hop.delay < 0
            self._text(_MIDDLE - 16, _signed(hop.delay), 30, "end", 12,
                       _RED if late else "#222222", at=top + 44)
        self._y = end

    @staticmethod
    def _security(hop: Hop) -> str:
        seen = hop.received
        if seen.tls:
            return f", {seen.tls_version or 'TLS'}"
        return ", in the clear" if seen.tls is False else ""

    def _lock(self, x: int, y: int) -> None:
        self._parts += [
            f'<path d="M{x + 3} {y + 6}V{y + 3}a4 4 0 0 1 8 0V{y + 6}" fill="none" '
            f'stroke="{_GREEN}" stroke-width="2"/>',
            f'<rect x="{x}" y="{y + 5}" width="14" height="9" rx="2" fill="{_GREEN}"/>']

    # --- what to think of it --------------------------------------------------------------------

    def _findings(self) -> None:
        found = sorted(self._report.suspicions, key=lambda each: each.severity != SUSPICION)
        self._y += 14
        for each in found[:_MOST]:
            suspicious = each.severity == SUSPICION
            self._y += 8
            first = self._y + 15
            for line in textwrap.wrap(printable(each.why), _WRAP) or [""]:
                self._y += 15
                self._text(_MARGIN + 16, line, _WRAP, "start", 11,
                           "#222222" if suspicious else _GREY)
            self._text(_MARGIN, "!" if suspicious else "i", 1, "start", 12,
                       _RED if suspicious else _BLUE, bold=True, at=first)
        if len(found) > _MOST:
            self._y += 22
            self._text(_MARGIN + 16, f"and {len(found) - _MOST} more", 40, "start", 11, _GREY)
        self._y += 10

    # --- parts ----------------------------------------------------------------------------------

    def _box(self, height: int, fill: str, stroke: str, dashes: str = "") -> None:
        dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
        self._parts.append(
            f'<rect x="{_LEFT}" y="{self._y}" width="{_RIGHT - _LEFT}" height="{height}" rx="7" '
            f'fill="{fill}" stroke="{stroke}" stroke-width="2"{dashed}/>')

    def _line(self, path: str, colour: str, dashes: str = "") -> None:
        dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
        self._parts.append(f'<path d="{path}" fill="none" stroke="{colour}" '
                           f'stroke-width="2"{dashed}/>')

    def _text(self, x: int, text: str, most: int, anchor: str, size: int, colour: str = "#222222",
              bold: bool = False, at: int | None = None) -> None:
        """One line; its baseline is at the drawing's end so far unless `at` says where."""
        if not text:
            return
        weight = ' font-weight="bold"' if bold else ""
        self._parts.append(
            f'<text x="{x}" y="{self._y if at is None else at}" text-anchor="{anchor}" '
            f'font-size="{size}" fill="{colour}"{weight}>{_shortened(text, most)}</text>')


def _shortened(text: str, most: int) -> str:
    text = printable(text)
    return escape(text if len(text) <= most else text[:most - 1] + "…")


def _signed(delay: int) -> str:
    return ("" if delay < 0 else "+") + span(delay)


def _with_kind(address: str) -> str:
    found = kind(address)
    return address if found == PUBLIC else f"{address} ({found})"


def svg(report: Report) -> str:
    """The drawing of a report."""
    return _Drawing(report).svg()
