"""A bar for what takes long, at a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)


def terminal() -> Console:
    """Of its own: what else is printed meanwhile may go elsewhere (Prompt catches mpremote's)."""
    return Console(file=sys.stdout, highlight=False, markup=False, emoji=False,
                   soft_wrap=True)


@contextmanager
def bar(console: Console, title: str) -> Iterator[Callable[[int, int], None]]:
    """To be called with octets done, and of how many; gone at the end."""
    with Progress(TextColumn(title), BarColumn(), DownloadColumn(), TransferSpeedColumn(),
                  TimeRemainingColumn(), console=console, transient=True,
                  disable=not console.is_terminal) as shown:
        task = shown.add_task(title, total=None)
        yield lambda done, total: shown.update(task, completed=done, total=total)
