"""Runs in the VM in main.py's place: the whole appliance, played by the host's script.

Nothing waits for the machine's clock or for a socket: where no task has anything to do, the time
of the next deadline has come. `play` returns when the script is over, and raises RuntimeError
when anything goes otherwise than it should.
"""

import gc

gc.threshold(16_384)  # as main.py

import asyncio
from asyncio import core

import meter
import time
from picopost import appliance, event_log, keyboard
from picopost.store.volume import Volume

_SETTLED = 3_000  # ms after the start: then the link polls as seldom as it ever does
_TROUBLE = ("fault", "card_fault", "card_full", "card_lost", "no_card", "refused", "link_down",
            "link_failed", "accept_failed")

_happened = []  # events that the script waits for
_news = asyncio.Event()


def _log(event, **fields):
    if event in _TROUBLE or event == "closed" and fields["why"] != "done":
        _happened.append(event)
    elif event in ("ready", "closed"):
        _happened.append(True)
    _original_log(event, **fields)
    _news.set()


async def _next():
    while not _happened:
        _news.clear()
        await _news.wait()
    event = _happened.pop(0)
    if event is not True:
        raise RuntimeError(event)


async def _conduct(ready, parts):
    """In the place of who types."""
    await _next()
    await asyncio.sleep_ms(_SETTLED)
    idle = meter.ask(b"M")
    while idle:  # milliseconds to do nothing; then sessions, one after another
        await asyncio.sleep_ms(idle)
        idle = meter.ask(b"M")
    while True:
        meter.knocking = meter.ask(b"S")
        if not meter.knocking:
            raise keyboard.Stop
        await _next()
        await asyncio.sleep_ms(1)
        meter.ask(b"M")


class _Poller:
    """select.poll for scripted sockets: the VM's own sleeps a millisecond before it asks one."""

    def __init__(self):
        self._streams = {}

    def register(self, stream, events):
        self._streams[id(stream)] = stream, events

    modify = register

    def unregister(self, stream):
        del self._streams[id(stream)]

    def ipoll(self, milliseconds):
        found = [(stream, stream.ioctl(3, events)) for stream, events in self._streams.values()]
        return [pair for pair in found if pair[1]]


def _wait(queue, milliseconds):
    mark = meter.pause()
    meter.turns += 1
    _original_wait(queue, 0)
    task = core._task_queue.peek()
    if task:
        now = time.ticks_ms()
        left = time.ticks_diff(task.ph_key, now)
        if left > 0:
            time.pass_ms(left)
    meter.resume(mark)


def _probe(volume):
    # Once a second whatever is going on, FSINFO with it: how many fall into a session is chance.
    meter.ask(b"B")
    _original_probe(volume)
    meter.ask(b"E")


def _count_polls():
    from picopost.net.wiznet import Link

    original = Link._poll

    def poll(link):
        meter.polls += 1
        return original(link)

    Link._poll = poll


_original_log, event_log.log = event_log.log, _log
_original_wait, core.IOQueue.wait_io_event = core.IOQueue.wait_io_event, _wait
_original_probe, Volume.probe = Volume.probe, _probe
core._io_queue.poller = _Poller()
keyboard.watch = _conduct


def play(board):
    if board["link"] == "wiznet":
        _count_polls()
    appliance.main()
