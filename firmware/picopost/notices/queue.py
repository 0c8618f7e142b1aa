"""Letters of which somebody is to be told: at which servers, and when one is tried again.

Resident where the setting `notices` has rules; what reads letters and speaks with servers
(errand.py and all below it) is loaded while there is something to do. The queue is in the heap: a
power cut loses notices, never letters.
"""

import asyncio
import gc
import sys
import time

from micropython import const

from picopost import event_log, limits, load, unload

_WAYS = ("mqtt", "ntfy", "post")
_ERRAND = "picopost.notices.errand"
# What goes with it, unless it was there before.
_HERE = "picopost.notices."
_MIME = "picopost.mime."
_DNS = "picopost.net.dns"
# What stays: MicroPython keeps native code for ever, and would keep it once more each time.
_NATIVE = "_viper"
_MOST_DOUBLINGS = const(16)
_ADVICE = "is it on, and does it listen there? See the setting notices"


class Target:
    """A server that a rule names. `way`: "mqtt", "ntfy" or "post"; `path`: of its URL."""

    def __init__(self, rule, way):
        self.rule = rule
        self.way = way
        self.path = ""
        if way == "mqtt":
            self.host = rule[way]["server"]
            self.port = rule[way].get("port", 1883)
        else:
            authority, _, path = rule[way][7:].partition("/")  # behind http://
            self.host, _, port = authority.partition(":")
            self.port = int(port or 80)
            self.path = "/" + path
            self.authority = authority

    @property
    def server(self):
        """For the log: without the path, which may be a secret."""
        return "%s:%d" % (self.host, self.port)


class Entry:
    """A letter. `wanted`: a bit for each target that is still to be told; None: not known yet."""

    def __init__(self, mailbox, uid):
        self.mailbox = mailbox.name
        self.uid_validity = mailbox.index.uid_validity  # another card's mailbox has another one
        self.uid = uid
        self.came = time.ticks_ms()
        self.wanted = None


class Notices:
    """`office` has the rules; `led`: a StatusLed."""

    def __init__(self, office, link, led):
        self.rules = office.notice_rules
        self.office = office
        self.link = link
        self.targets = [Target(rule, way) for rule in self.rules for way in _WAYS if way in rule]
        self._led = led
        self._mailboxes = [rule.get("mailbox") for rule in self.rules]
        self._queue = []
        self._news = asyncio.Event()
        self._dropped = 0
        self._unread = []  # mailboxes with mail that the LED tells of
        self._failures = {}  # server -> [failures in a row, ticks of the next try, why]

    def put(self, mailbox, uid):
        """A letter is on the card, in that Mailbox. Takes no time.

        Where the queue is full the oldest goes: of a burst the last letter tells how things are.
        """
        if mailbox.name not in self._mailboxes and None not in self._mailboxes:
            return
        if len(self._queue) == limits.NOTICE_QUEUE:
            self._queue.pop(0)
            self._dropped += 1
        self._queue.append(Entry(mailbox, uid))
        self._news.set()

    def light(self, mailbox):
        """The LED is to tell of mail in it."""
        if mailbox not in self._unread:
            self._unread.append(mailbox)
        self._led.mail = True

    def seen(self, mailbox):
        """Somebody has fetched a letter of that mailbox."""
        if mailbox in self._unread:
            self._unread.remove(mailbox)
            self._led.mail = bool(self._unread)

    async def run(self):
        """For ever."""
        while True:
            if not self._queue:
                self._news.clear()
                await self._news.wait()
            await asyncio.sleep_ms(limits.NOTICE_PAUSE)
            try:
                await self._look()
            except MemoryError:  # not even for a line in the log: mail goes on
                await asyncio.sleep_ms(limits.NOTICE_RETRY)

    async def _look(self):
        if self._dropped:
            event_log.log("notices_dropped", letters=self._dropped, why="more letters came than"
                          " notices could be sent")
            self._dropped = 0
        due = [entry for entry in self._queue if self._is_due(entry)]
        if due:
            await self._work(due)

    def _is_due(self, entry):
        return entry.wanted is None or self._is_old(entry) or any([
            entry.wanted >> number & 1 and self.may_try(target)
            for number, target in enumerate(self.targets)])

    def _is_old(self, entry):
        return time.ticks_diff(time.ticks_ms(), entry.came) > limits.NOTICE_KEPT

    def may_try(self, target):
        """Whether its server is not known to be down."""
        failure = self._failures.get(target.server)
        # More is so long ago that the ticks have gone round.
        return not failure or not (0 < time.ticks_diff(failure[1], time.ticks_ms())
                                   <= limits.NOTICE_MAX_RETRY)

    async def _work(self, due):
        before = list(sys.modules)
        failed = False
        try:
            gc.collect()
            if gc.mem_free() < limits.HEAP_SCALE * limits.NOTICE_HEAP:
                raise MemoryError("the heap has no room for it now")
            errand = load(_ERRAND)
            for entry in due:
                try:
                    if entry in self._queue and await self._run(errand, entry):
                        if entry in self._queue:
                            self._queue.remove(entry)
                except (OSError, MemoryError) as error:  # of the card, or of what this one takes
                    failed = True
                    self._put_off((entry,), error)
        except MemoryError as error:  # mail goes first
            failed = True
            self._put_off(due, error)
        finally:
            for name in list(sys.modules):
                if name not in before and not name.endswith(_NATIVE) and (
                        name == _DNS or name.startswith(_HERE) or name.startswith(_MIME)):
                    unload(name)
        if failed:
            await asyncio.sleep_ms(limits.NOTICE_RETRY)

    def _put_off(self, entries, error):
        """Until they are old."""
        for entry in entries:
            if entry in self._queue and self._is_old(entry):
                self._queue.remove(entry)
                self._gave_up(entry.mailbox, "", str(error), "see what the log says of the "
                              "card and of sessions")

    async def _run(self, errand, entry):
        try:
            return await errand.run(self, entry)
        except (OSError, MemoryError):
            raise
        except Exception as error:  # whatever a letter may do to its notice, others' mail goes on
            event_log.fault("fault", error, mailbox=entry.mailbox)
            return True

    # --- what became of it --------------------------------------------------------------------

    def told(self, entry, number):
        """The target of that number knows of it."""
        target = self.targets[number]
        entry.wanted &= ~(1 << number)
        self._failures.pop(target.server, None)
        event_log.log("notified", mailbox=entry.mailbox, way=target.way, server=target.server)

    def refused(self, entry, number, why, advice):
        """The target does not want it, and would not later."""
        target = self.targets[number]
        entry.wanted &= ~(1 << number)
        self._gave_up(entry.mailbox, target.server, why, advice)

    def failed(self, entry, number, why):
        """The target was not to be had. Its server is tried again after a while."""
        server = self.targets[number].server
        failure = self._failures.get(server)
        if not failure:
            failure = self._failures[server] = [0, 0, why]
            event_log.log("notice_put_off", mailbox=entry.mailbox, server=server, why=why)
        pause = min(limits.NOTICE_RETRY << failure[0], limits.NOTICE_MAX_RETRY)
        self._failures[server] = [min(failure[0] + 1, _MOST_DOUBLINGS),
                                  time.ticks_add(time.ticks_ms(), pause), why]

    def expire(self, entry):
        """Give up what an old letter's targets were not told, those that were just tried too."""
        for number, target in enumerate(self.targets):
            failure = self._failures.get(target.server)
            if entry.wanted >> number & 1 and failure and self._is_old(entry):
                self.refused(entry, number, failure[2], _ADVICE)

    def _gave_up(self, mailbox, server, why, advice):
        event_log.log("notice_failed", mailbox=mailbox, server=server, why=why, advice=advice)
