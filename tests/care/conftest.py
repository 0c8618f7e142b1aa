"""One board that serves, with mail, of which each test has a copy."""

from __future__ import annotations

import json
import smtplib

import pytest

from tests.care.boards import ANSWERS, Board, copy, done, image

# A small one, one with what mbox and POP3 quote, a line that is longer than SMTP's and one of the
# size of some hundred pieces.
LETTERS = (b"Subject: small\r\n\r\nIt works.\r\n",
           b"Subject: quoted\r\n\r\nFrom here\r\n>From there\r\n.\r\n..\r\n\r\n\r\n",
           b"Subject: long\r\n\r\n" + b"x" * 5000 + b"\r\n",
           b"Subject: large\r\n\r\n" + b"".join(b"line %d of it\r\n" % number
                                                for number in range(60_000)))


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    """What the tools keep for their user: caches, TLS keys."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("XDG_CACHE_HOME", "XDG_DATA_HOME"):
            patch.setenv(name, str(folder / name))
        yield folder


@pytest.fixture(scope="session")
def deployed(home, tmp_path_factory):
    """The folder of a board that has been set up and has got LETTERS; it is off."""
    folder = tmp_path_factory.mktemp("deployed")
    answers = folder / "answers.json"
    answers.write_text(json.dumps(ANSWERS))
    with Board(folder) as board:
        done("deploy", *board.at, "--reach", f"127.0.0.1:{board.offset}", "--answers", answers,
             "--uf2", image(folder), "--board", "pico_w")
        with smtplib.SMTP("127.0.0.1", board.offset + 25) as smtp:
            for letter in LETTERS:
                smtp.sendmail("boy@example.com", ["girl@xyz.com"], letter)
    return folder


@pytest.fixture
def folder(deployed, tmp_path):
    """A copy of it."""
    return copy(deployed, tmp_path / "board")


@pytest.fixture
def board(folder):
    """And it is on, and serves."""
    with Board(folder) as board:
        board.ready()
        yield board
