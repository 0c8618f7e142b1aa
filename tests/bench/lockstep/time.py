"""`time` for firmware whose costs are counted: it passes on the buses alone, and while all wait.

`pass_us` is called for what the buses take, `pass_ms` by the loop when nothing is to be done; the
processor costs no time. So deadlines and polls fall at the same places in every run.
"""

from utime import *  # noqa: F403  (the built-in module; `u` reaches past this file)

# The tasks that asyncio's own code queues carry the machine's ticks, and have to lie in the past
# of this clock: then they come before those that sleep, as they do on a board.
_START = 1 << 40
_DATE = 1_767_225_600  # 2026-01-01, a Thursday: dates have one length

_us = 0


def pass_us(microseconds):
    """The buses were busy so long."""
    global _us
    _us += microseconds


def pass_ms(milliseconds):
    """Nothing happens for so long."""
    global _us
    _us += milliseconds * 1000


def ticks_us():
    return _START + _us


def ticks_ms():
    return _START + _us // 1000


def time():
    return _DATE


def sleep_ms(milliseconds):
    pass_ms(milliseconds)
