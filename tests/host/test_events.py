"""The firmware's event lines, as they come over a port and as a person sees them."""

import pytest

from host_tools import events


@pytest.mark.parametrize("line", ["", "no event", '0 no_card why="cut', '0 no_card why="a\\qb"'])
def test_what_is_no_event(line):
    """A port without a reader loses octets in the midst of a line."""
    assert events.parse(line) is None


def test_numbers_and_text():
    assert events.parse('7 accepted octets=12 user="12" why="a \\"b\\""') == {
        "event": "accepted", "time": 7, "octets": 12, "user": "12", "why": 'a "b"'}


def test_a_time_that_is_not_known():
    """What comes now is of now; what was kept is of nobody knows when."""
    event = events.parse("0 link_down")
    assert events.shown(event)[:2].isdigit()
    assert events.shown(event, kept=True).startswith("--:--:--  link_down")
    assert events.shown({**event, "time": 1_800_000_000}, kept=True)[:2].isdigit()
