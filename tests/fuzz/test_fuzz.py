"""A small share of the fuzzing campaign, always the same one, and what makes its checks fail."""

import pytest

from tests.fuzz import campaign, dialogue, letters, replay, sockets
from tests.fuzz.leak import SERVICES, Leak, slope
from tests.fuzz.model import Rules
from tests.fuzz.soak import Soak

_SEED = 1
_LINES = 8000
_SOCKET_LINES = {"pico_w": 2400, "pico_w5500": 800}
_LETTERS = {"pico_w": 170, "pico_w5500": 60}
_WARM_UP, _SESSIONS = 160, 400
_SOAK = 600


def test_dialogues():
    with dialogue.Player() as player:
        campaign.fuzz("dialogue", dialogue.scripts(), player, lambda: player.drawn, _LINES, _SEED)
        assert player.drawn >= _LINES
        assert set(player.greatest()) >= {"helo", "recipients", "notices", "_exchange"}


@pytest.mark.parametrize("board", _SOCKET_LINES)
def test_sessions(board, tmp_path):
    with sockets.Player(tmp_path / "card.img", board) as player:
        campaign.fuzz(board, sockets.crowds(), player, lambda: player.lines,
                      _SOCKET_LINES[board], _SEED)
        player.check_all()
        assert player.letters


@pytest.mark.parametrize("board", _LETTERS)
def test_letters_come_back_as_they_went(board, tmp_path):
    """Whatever is in them, wherever a block ends; and a line of a megabyte."""
    with letters.Player(tmp_path / "card.img", board) as player:
        campaign.fuzz(campaign.LETTERS + board, letters.mailbags(), player,
                      lambda: player.letters, _LETTERS[board], _SEED)
        edge = 8192 - letters.BEFORE
        player.play([letters.Letter(b"y" * length, [3000], [1460], 2)
                     for length in range(edge - 10, edge + 24)])
        player.play([letters.Letter(b"a\r\n\r\n.\r\n" + b"m" * 1_000_000, [400_000], [2], 2)])


@pytest.mark.parametrize("service", SERVICES)
def test_no_session_leaves_anything_in_the_heap(service, tmp_path):
    with Leak(tmp_path / "card.img", _SEED, service) as leak:
        leak.run(_WARM_UP + _SESSIONS)
        leak.judge(_WARM_UP)


def test_a_heap_that_fills_up_is_seen(tmp_path):
    leak = Leak.__new__(Leak)
    leak.sessions, leak.appliance = 400, None
    leak.samples = [(at, 300_000 + at % 3 * 320) for at in range(160, 400, 40)]
    leak.judge(_WARM_UP)
    leak.samples = [(at, 300_000 + at * 32) for at in range(160, 400, 40)]
    with pytest.raises(AssertionError, match="rises"):
        leak.judge(_WARM_UP)
    assert slope([(0, 5), (10, 25), (20, 45)]) == 2


@pytest.mark.parametrize("board", _LETTERS)
def test_the_heap_stays_in_large_pieces(board, tmp_path):
    with Soak(tmp_path / "card.img", _SEED, board) as soak:
        soak.run(_SOAK)
        soak.judge_pieces()


def test_a_heap_in_pieces_is_seen():
    soak = Soak.__new__(Soak)
    soak.sessions, soak.appliance = 400, None
    soak.pieces = [(at, 90_000 if at < 200 else 80_000 - at % 3 * 640) for at in range(0, 400, 40)]
    assert "(100%)" in soak.judge_pieces()
    soak.pieces += [(at, 63_000) for at in range(400, 520, 40)]
    with pytest.raises(AssertionError, match="largest free piece"):
        soak.judge_pieces()


def test_examples_can_be_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(replay, "FOLDER", tmp_path)
    script = dialogue.Script(Rules(auth="any"), [(b"EHLO \xff'\"", 0, 1), (b"NOOP", 3, 120)])
    crowd = [sockets.Session(1, True, [b"a\r\n", b"\x00"], [1], [True], False, "rst")]
    bag = [letters.Letter(b"\xff\r\n", [], [1, 2], 3)]
    for kind, example in (("dialogue", script), ("pico_w", crowd), ("letters-pico_w", bag)):
        assert replay.load(replay.save(kind, 7, example)) == (kind, example)
