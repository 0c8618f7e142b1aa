"""What a section is given: how much to measure, and where."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.servers import Unavailable


@dataclass
class Context:
    """`folder` is on a real disk, since what is compared there syncs its files."""

    folder: Path
    quick: bool = False
    _places: int = 0
    missing: dict[str, str] = field(default_factory=dict)

    @property
    def rounds(self) -> int:
        """How many runs the medians are of."""
        return 1 if self.quick else 3

    def place(self) -> Path:
        """A path for a new folder."""
        self._places += 1
        return self.folder / str(self._places)

    @contextmanager
    def running(self, *makers: Callable[[Path], object]) -> Iterator[list]:
        """The servers that `makers` make of a folder, started; those that are not available here
        are left out, and `missing` says why."""
        with ExitStack() as stack:
            servers = []
            for make in makers:
                try:
                    servers.append(stack.enter_context(make(self.place())))
                except Unavailable as error:
                    self.missing[make.__name__.capitalize()] = str(error)
            yield servers

    def skipped(self) -> str:
        """A paragraph for each server that was left out."""
        return "".join(f"\n\n{name}: skipped, {why.strip()}." for name, why in
                       self.missing.items())


def open_folder(path: str) -> Path:
    """Servers of other users get at what is theirs below."""
    os.chmod(path, 0o755)
    return Path(path)
