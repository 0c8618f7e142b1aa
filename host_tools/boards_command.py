"""`python -m host_tools boards`: check the definitions, show a board's wiring, draw it."""

from __future__ import annotations

import argparse

from host_tools import boards, wiring, wiring_drawing
from host_tools.errors import UserError

DRAWING = "wiring.svg"


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to do, and with which boards."""
    parser.add_argument("action", choices=("check", "table", "draw"),
                        help="check board.json; print the wiring as a table in Markdown; "
                             f"write {DRAWING}")
    parser.add_argument("names", nargs="*", metavar="NAME", help="boards (default: all)")


def run(options: argparse.Namespace) -> int:
    """Do it for each board; raises UserError for the first that is wrong."""
    for name in options.names or boards.names():
        try:
            definition = boards.load(name)
        except boards.BoardError as error:
            raise UserError(str(error)) from error
        if options.action == "draw":
            path = boards.BOARDS / name / DRAWING
            path.write_text(wiring_drawing.svg(definition))
            print(path)
        elif options.action == "table":
            print(f"{definition['title']}\n\n{wiring.table(definition)}")
        else:
            image = definition["image"]
            print(f"{name}: sound; {definition['link']}, {image['name']} {image['versions']}")
    return 0
