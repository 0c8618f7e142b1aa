"""What the services share: who is who, whose mailbox is where, and whether there is room."""

import asyncio
import os

from picopost import accounts, event_log, limits, load, unload
from picopost.smtp import replies
from picopost.store.index import NO_ROOM, IndexDamaged
from picopost.store.mailbox import Mailbox


class PostOffice:
    """`known` is what accounts_file.read() gave; `root` is where the card is mounted.

    `accounts` is `known` itself; what is in it may change while no mailbox is open.
    """

    def __init__(self, settings, known, root):
        self.hostname = settings["hostname"]
        self.max_message_size = settings["max_message_size"]
        self.sessions_per_address = settings["sessions_per_address"]
        self._domains = [domain.lower().encode() for domain in settings["domains"]]
        self._domains.append(self.hostname.lower().encode())
        self._domains.append(self.hostname.lower().encode() + b".local")
        self._literals = ()
        self._catch_all = settings["catch_all"]
        self._default_mailbox = settings["default_mailbox"]
        self._delimiter = (settings["recipient_delimiter"] or "").encode()
        self._aliases = {}
        for name, means in settings["aliases"].items():
            self._aliases[name.lower().encode()] = (
                tuple(means) if isinstance(means, list) else (means,))
        self._rules = settings["mailboxes"]
        self.notice_rules = settings["notices"]
        self.notices = None  # who is told of new letters, where somebody is
        self.log_subjects = settings["log_subjects"]
        self.accounts = known
        self.root = root
        self.volume = None
        self.no_card = ""  # why there is none in service
        self.visits = None
        if settings["passports"] or settings["silence_alarm"]:
            from picopost.passports.visits import Visits

            self.visits = Visits(settings["clients"], settings["silence_alarm"])
        self._mailboxes = {}

    def open(self):
        """Open every account's mailbox on `volume`, which is mounted.

        A mailbox that even recovery cannot open is left alone and refuses its mail. Raises
        OSError when the card fails.
        """
        volume = self.volume
        top = self.root + "/mail"
        volume.structural += 1
        try:
            os.mkdir(top)
        except OSError as error:
            if error.errno in NO_ROOM:
                raise OSError(error.errno, "no room on the card for mail")
            if error.errno != 17:  # EEXIST
                raise
        finally:
            volume.structural -= 1
        for name in self.accounts:
            mailbox = Mailbox(name, f"{top}/{name}", volume)
            try:
                mailbox.open(event_log.log)
                self._mailboxes[name] = mailbox
            except IndexDamaged as error:
                event_log.log("mailbox_closed", mailbox=name, why=str(error))
        for module in ("recovery", "index_builder", "segment_scan", "rebuild"):
            unload("picopost.store." + module)
        if self.visits:
            self.visits.open(volume)

    def close(self):
        """Let go of all files; what was acknowledged is on the card already. Never raises."""
        if self.visits:
            self.visits.close(self.volume)
        for mailbox in self._mailboxes.values():
            mailbox.close()
        self._mailboxes.clear()

    def mailbox(self, name):
        """The open mailbox of an account; OSError when it is out of order."""
        try:
            return self._mailboxes[name]
        except KeyError:
            raise OSError(5, "mailbox " + name + " is out of order")

    def use_address(self, address):
        """From now on mail for user@[address] is ours too (RFC 5321 section 4.1.3), and for what
        was our address before no more.
        """
        for literal in self._literals:
            self._domains.remove(literal)
        self._literals = (b"[" + address.encode() + b"]",
                          address.encode())  # as devices write it
        self._domains.extend(self._literals)

    def resolve(self, local_part, domain):
        """The mailboxes that a mail address means, a tuple; () for none.

        In this order: an alias for the whole address, wherever its domain; at our domains an
        account, an alias, both again without what follows the delimiter, postmaster (RFC 5321
        4.5.1), the catch-all; the default mailbox, which takes what nobody else takes, at any
        domain: devices that cannot be given another address send to somebody@example.com.
        Nothing is passed on to that domain.
        """
        name = local_part.lower()
        if self._aliases:
            found = self._aliases.get(name + b"@" + domain)
            if found:
                return found
        if not domain or domain in self._domains:
            found = self._named(name)
            if not found and self._delimiter and self._delimiter in name:
                found = self._named(name[:name.find(self._delimiter)])
            if found:
                return found
            if name == b"postmaster" and self.accounts:
                return (self._default_mailbox or self._catch_all or next(iter(self.accounts)),)
            if self._catch_all:
                return (self._catch_all,)
        return (self._default_mailbox,) if self._default_mailbox else ()

    def _named(self, name):
        for known in self.accounts:
            if name == known.encode():
                return (known,)
        return self._aliases.get(name, ())

    def wanted_accounts(self):
        """(setting, account) of each account that a setting names."""
        for setting, name in (("catch_all", self._catch_all),
                              ("default_mailbox", self._default_mailbox)):
            if name:
                yield setting, name
        if self.visits and self.visits.alarm:
            yield "silence_alarm", self.visits.alarm
        for alias in self._aliases:
            for name in self._aliases[alias]:
                yield "aliases: " + alias.decode(), name
        for rule in self.notice_rules:
            if "mailbox" in rule:
                yield "notices: mailbox", rule["mailbox"]

    def owner(self, local_part, domain):
        """The account whose own address it is, or None: no alias, nobody who takes all."""
        if domain in self._domains:
            for known in self.accounts:
                if local_part.lower() == known.encode():
                    return known
        return None

    def admit(self, name, size, messages=1, room=None):
        """None, or the Reply that refuses so many messages of `size` octets in all (0: not known
        yet). `room`: what they still want of the card, where that is less.
        """
        mailbox = self._mailboxes.get(name)
        if mailbox is None:
            return replies.LOCAL_ERROR
        quota = self.rule(name, "max_octets")
        if quota:
            if size > quota:
                return replies.OVER_QUOTA
            if mailbox.index.octets + size > quota:
                return replies.MAILBOX_FULL
        if mailbox.index.live + messages > min(
                self.rule(name, "max_messages") or limits.MAX_MESSAGES, limits.MAX_MESSAGES):
            return replies.MAILBOX_FULL
        try:
            state = os.statvfs(self.root)
        except OSError:
            return replies.LOCAL_ERROR
        if state[0] * state[3] < (size if room is None else room) + limits.MIN_FREE:
            return replies.CARD_FULL
        return None

    def rule(self, name, rule):
        """A mailbox's rule of the setting `mailboxes`, its own or that of "*"; None: not set."""
        for key in (name, "*"):
            rules = self._rules.get(key)
            if rules and rule in rules:
                return rules[rule]
        return None

    def expiry(self, name):
        """What EXPIRE says of an account, or of all (None) before login: b"NEVER", or the days that
        a message stays for sure; b"" where nothing is sure. RFC 2449 6.7: USER stands behind the
        least of several.
        """
        kept = []
        for known in (name,) if name else self.accounts:
            if self.rule(known, "keep_newest") or self.rule(known, "drop_oldest"):
                return b""
            kept.append(self.rule(known, "keep_days") or 0)
        if not any(kept):
            return b"NEVER"
        least = min([days for days in kept if days])
        return b"%d%s" % (least, b" USER" if min(kept) != max(kept) else b"")

    def expire(self, name):
        """Throw away, in the background, what the mailbox's rules no longer keep."""
        if any(self.rule(name, rule) for rule in ("keep_newest", "keep_days", "drop_oldest")):
            asyncio.create_task(self._expire(name))

    async def _expire(self, name):
        try:
            mailbox = self.mailbox(name)
            dropped = await load("picopost.store.retention").expire(mailbox, self, self.pause)
            if dropped:
                event_log.log("expired", mailbox=name, messages=dropped)
                await self._sweep(mailbox)
        except OSError as error:
            event_log.log("card_fault", mailbox=name, error=str(error))

    async def pause(self):
        """Let others run, and wait until the card takes commands."""
        await self.ready()
        await asyncio.sleep_ms(0)

    def account(self, user):
        """The account that a user name (octets) means, with or without one of our domains."""
        name, at, domain = user.partition(b"@")
        if at and domain.lower() not in self._domains:
            return None
        try:
            name = name.decode().lower()
        except UnicodeError:
            return None
        return name if name in self.accounts else None

    async def verify(self, account, password):
        """Whether it is the account's password; None, for a name that is none, takes as long."""
        return await accounts.verify(self.accounts, account, password)

    async def ready(self):
        """Wait, with others running, until the card takes commands."""
        await self.volume.wait_ready()

    def sweep(self, mailbox):
        """Give the space of deleted messages back, in the background."""
        asyncio.create_task(self._sweep(mailbox))

    async def _sweep(self, mailbox):
        steps = mailbox.sweep()
        try:
            for _ in steps:
                await self.pause()
        except OSError as error:  # the next start does it again
            if self._mailboxes.get(mailbox.name) is mailbox:  # and was not closed meanwhile
                event_log.log("card_fault", mailbox=mailbox.name, error=str(error))
        except MemoryError:  # so does the next deletion
            event_log.log("sweep_put_off", mailbox=mailbox.name, why="the heap has no room for it")
        finally:
            steps.close()
