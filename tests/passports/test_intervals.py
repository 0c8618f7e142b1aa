"""How often a device writes: an estimate that a few odd intervals do not move."""

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_tools import firmware_modules  # noqa: F401
from tests.passports.vm import open_vm

from picopost.passports import record  # isort: skip  (firmware_modules makes that possible)

_usual = st.integers(60, 90_000)


def learnt(intervals) -> record.Passport:
    passport = record.Passport()
    for seconds in intervals:
        passport.interval(seconds)
    return passport


@given(_usual, st.lists(st.floats(0.8, 1.25), min_size=8, max_size=200))
def test_what_is_regular_is_known_as_that(usual, jitter):
    intervals = [max(60, round(usual * each)) for each in jitter]
    passport = learnt(intervals)
    assert passport.regular
    assert 0.7 * min(intervals) <= passport.every <= 1.4 * max(intervals)
    assert passport.every == pytest.approx(statistics.median(intervals), rel=0.3)


@given(_usual, st.integers(12, 60), st.data())
def test_one_odd_interval_moves_it_little(usual, count, data):
    """Wherever it stands behind the first: a day off, a burst."""
    odd = data.draw(st.integers(60, 40 * usual))
    at = data.draw(st.integers(1, count - 1))
    intervals = [usual] * count
    intervals[at] = odd
    assert 0.65 <= learnt(intervals).every / usual <= 1.5


@given(_usual, st.integers(60, 90_000))
def test_a_wrong_first_one_is_forgotten(usual, first):
    passport = learnt([first] + [usual] * 120)
    assert passport.regular and passport.every == pytest.approx(usual, rel=0.03)


@given(st.lists(st.permutations([60, 3600, 86_400]), min_size=4))
def test_what_comes_as_it_likes_is_not_regular(rounds):
    assert not learnt(sum(map(list, rounds), [])).regular


@given(st.lists(st.integers(1, 0xFFFFFFFF), min_size=1, max_size=300))
def test_any_intervals_fit_the_record(intervals):
    passport = learnt(intervals)
    packed = bytearray(record.SIZE)
    passport.pack_into(packed, 0)
    again = record.read(packed, 0)
    assert again.every == passport.every and again.intervals == len(intervals)


@given(st.binary(max_size=record.SIZE), st.integers(0, record.SIZE - 1))
def test_a_record_that_another_has_written_is_none(octets, torn):
    assert record.read(bytearray(octets.ljust(record.SIZE, b"\0")), 0) is None
    packed = bytearray(record.SIZE)
    passport = record.Passport()
    passport.helo, passport.letters, passport.why = b"cam", 0x01010101, b"x" * 36
    passport.pack_into(packed, 0)
    assert record.read(packed, 0).letters == 0x01010101
    half = packed[:torn] + bytes(record.SIZE - torn)
    assert half == packed or record.read(half, 0) is None


def test_the_board_learns_the_same():
    intervals = [300, 310, 290, 4000, 300, 61, 305, 300, 300, 86_400, 299]
    with open_vm() as vm:
        vm.exec("from picopost.passports.record import Passport; p = Passport()")
        vm.exec(f"for each in {intervals}:\n    p.interval(each)")
        found = vm.eval("(p.usual, p.spread, p.every)")
    passport = learnt(intervals)
    assert found == (passport.usual, passport.spread, passport.every)
