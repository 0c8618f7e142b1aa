"""The findings for a person, and for other programs."""

from __future__ import annotations

import json
import sys

from rich.console import Console
from rich.table import Table
from rich.text import Text

from host_tools.card.finding import printable
from host_tools.doctor.finding import NOTE, OK, PROBLEM, Finding

_PLAIN_WIDTH = 2000  # so that no line is broken where another program reads them
_LOOKS = {OK: "green", NOTE: "yellow", PROBLEM: "bold red"}


def show(findings: list[Finding]) -> None:
    """A line each, what to do below it."""
    console = Console(highlight=False, emoji=False,
                      width=None if sys.stdout.isatty() else _PLAIN_WIDTH)
    table = Table(box=None, show_header=False, pad_edge=False)
    # What a board says, or a stranger at it, is Text: in a str rich would look for markup.
    for each in findings:
        table.add_row(Text(each.level, _LOOKS[each.level]), Text(each.part),
                      Text(printable(each.text)))
        if each.advice and each.level != OK:
            table.add_row("", "", Text("-> " + printable(each.advice), "bold"))
    with console.capture() as captured:
        console.print(table)
    for line in captured.get().splitlines():
        print(line.rstrip())
    problems = sum(each.level == PROBLEM for each in findings)
    print(f"{problems} problem{'s' * (problems != 1)}" if problems else "no problems")


def as_json(findings: list[Finding]) -> str:
    """One object a line."""
    return "\n".join(json.dumps(each.as_json()) for each in findings)
