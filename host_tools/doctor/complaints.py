"""What the firmware complains of on its console, what that means, and what to do about it.

This is firmware/docs/troubleshooting.md's table too (`table`), and a test provokes each row of it.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from host_tools.doctor.finding import NOTE, PROBLEM, Finding


@dataclass(frozen=True)
class Complaint:
    """An event of the name `event` whose reason (its `why`, else its `error`) matches `reason`, a
    regular expression. `says` is how the console has it, shortened; `about` are fields of it that
    are to be told with what it `means`. Where `advice` is "", the firmware's own is told.
    """

    event: str
    reason: str
    part: str
    says: str
    means: str
    advice: str
    about: tuple[str, ...] = ("why",)
    level: str = PROBLEM
    flashes: str = ""  # the LED's

    def fits(self, event: dict) -> bool:
        """Whether it is about this event (host_tools/events.py)."""
        return event["event"] == self.event and bool(re.search(self.reason, _field(event, "why")))

    def finding(self, event: dict) -> Finding:
        """What is to be said of the event, which fits."""
        told = ", ".join(filter(None, (_field(event, name) for name in self.about)))
        return Finding(self.part, self.level, f"{self.means}: {told}" if told else self.means,
                       self.advice or _field(event, "advice"))


def _field(event: dict, name: str) -> str:
    """"" where the event has none of that name. A reason is in `why`, or in `error`."""
    return str(event.get(name, event.get("error", "") if name == "why" else ""))


_NONE = ()
# What an event is over with, of the same device, mailbox and server.
_OVER = {"no_card": ("ready", "card_back"), "card_fault": ("accepted",),
         "link_failed": ("ready", "link_up"), "link_down": ("link_up",), "safe_mode": ("ready",),
         "accounts_refused": ("accounts_changed",),
         "notice_put_off": ("notified",), "notice_failed": ("notified",),
         "device_silent": ("device_back",)}
_WHOSE = ("peer", "helo", "mailbox", "server")
WIRES = ("if another card says the same, look at its wires (its board's page): short, GND beside "
          "them, 3.3 V and not 5 V")
_ON_A_PC = "put it into a computer: `python -m host_tools card check CARD`, then `card repair`"

COMPLAINTS = (
    # --- it does not start
    Complaint("safe_mode", r"^\d+ starts failed", "firmware", 'safe_mode why="3 starts failed...',
              "three starts failed, and it serves nothing",
              "`make deploy` puts a whole version on it; a reset tries again. If it comes back, "
              "report what it says", flashes="quick"),
    Complaint("safe_mode", r"^accounts\.txt", "accounts", 'safe_mode why="accounts.txt, line ...',
              "it cannot use its accounts, and serves nothing",
              "`make deploy` asks whether to leave them out; they stay there as accounts.bad",
              flashes="quick"),
    Complaint("safe_mode", r"must name an account", "accounts",
              'safe_mode why="... must name an account',
              "a setting names an account that there is not, and it serves nothing",
              "`python -m host_tools user add NAME`, or another setting with `make deploy`",
              flashes="quick"),
    Complaint("safe_mode", r"tls_key\.der", "TLS", 'safe_mode why="tls_key.der and ...',
              "it cannot use its TLS key, and serves nothing",
              "`make deploy` makes another; mail programs ask about its certificate once",
              flashes="quick"),
    Complaint("safe_mode", "", "firmware", 'safe_mode why="settings.json: ...',
              "a setting is wrong, and it serves nothing",
              "say it right: `python -m host_tools deploy --set KEY=JSON`, or `make deploy`, which "
              "asks whether to leave it out", flashes="quick"),
    Complaint("flash_fault", "", "firmware", "flash_fault file=... error=...",
              "its flash takes nothing",
              "`make wipe`, then `make deploy`; if it comes back, another board", ("file", "why")),
    Complaint("fault", "", "firmware", "fault error=...",
              "something went wrong that nobody foresaw; mail that had its 250 is safe",
              "report it with the lines around it (`make logs`)"),
    # --- card
    Complaint("no_card", r"no card answers|not opened", "card", 'no_card why="... no card answers"',
              "no card is in the slot, or its wires are loose",
              "push it in until it stays; " + WIRES, _NONE, flashes="two"),
    Complaint("no_card", r"no FAT volume", "card", 'no_card why="... no FAT volume on the card"',
              "the card has no FAT file system (as it is bought, one above 32 GB has exFAT)",
              "format it as FAT32 on a computer, which removes what is on it", _NONE,
              flashes="two"),
    Complaint("no_card", r"is damaged", "card", 'no_card why="... is damaged: ..."',
              "its file system is damaged", _ON_A_PC, flashes="two"),
    Complaint("no_card", r"is it an SD memory card|CSD structure", "card",
              'no_card why="... is it an SD memory card?"',
              "what is in the slot is no card that SPI can read", "take an SD or SDHC card",
              flashes="two"),
    Complaint("no_card", r"no room on the card", "card",
              'no_card why="... no room on the card for ..."',
              "the card is full, and not of mail", "remove files from it on a computer", _NONE,
              flashes="two"),
    Complaint("no_card", "", "card", "no_card why=...",
              "the card is there, and cannot be read", "take another one; " + WIRES,
              flashes="two"),
    Complaint("card_lost", "", "card", "card_lost why=...",
              "the card was pulled or failed; nothing that had its 250 is lost",
              "put it back, if it is still out; if nobody pulled it: take another one; " + WIRES,
              level=NOTE, flashes="two"),
    Complaint("card_fault", "write protected", "card", 'card_fault error="... write protected"',
              "the card is write protected; senders are told to come back",
              "move its slider; a card that is worn out protects itself: take another one", _NONE),
    Complaint("card_fault", "", "card", "card_fault error=...",
              "the card failed; the sender was told to come back", "take another one; " + WIRES),
    Complaint("card_full", "", "card", "card_full error=...",
              "the card is full; senders are told to come back",
              "fetch and delete mail, or let old mail go by itself (setting `mailboxes`), or take "
              "a larger card", ("mailbox",)),
    Complaint("mailbox_closed", "", "card", "mailbox_closed mailbox=... why=...",
              "a mailbox cannot be opened, and takes no mail", _ON_A_PC, ("mailbox", "why")),
    Complaint("repaired", "", "card", "repaired why=...",
              "a power cut tore a write, which was mended; nothing that had its 250 is lost", "",
              _NONE, NOTE),
    # --- network
    Complaint("link_failed", r"wrong password", "network", 'link_failed why="... wrong password"',
              "the Wi-Fi does not take its password",
              "type it again: `make deploy`, or the setting `wifi`", flashes="four"),
    Complaint("link_failed", r"no such network", "network",
              'link_failed why="... no such network"',
              "no Wi-Fi of that name is in reach",
              "is the name right to the letter (setting `wifi`), and its network one at 2.4 GHz? "
              "The board knows no other", flashes="three"),
    Complaint("link_failed", r"Wi-Fi", "network", 'link_failed why="Wi-Fi ...: not joined in time"',
              "the Wi-Fi does not let it in",
              "move it nearer; look what the router says of it", flashes="three"),
    Complaint("link_failed", r"is the cable in", "network",
              'link_failed why="... is the cable in?"',
              "no Ethernet cable, or nothing at its other end",
              "push it in at both ends; the lamp at the switch has to be on", _NONE,
              flashes="three"),
    Complaint("link_failed", r"no DHCP", "network", 'link_failed why="no DHCP server answers"',
              "nobody in this network gives addresses",
              "let the router do that, or give it one: setting `address`", _NONE,
              flashes="three"),
    Complaint("link_failed", r"no chip", "network", 'link_failed why="... no chip answers, ..."',
              "the W5500 does not answer", "look at its wires (its board's page)",
              flashes="three"),
    Complaint("fallback_address", "", "network", "fallback_address address=... why=...",
              "nobody gives addresses, so it has the one of the setting `fallback_address`",
              "nothing, if there is no router; one that comes later is believed", ("address",),
              NOTE),
    Complaint("link_down", "", "network", "link_down", "its network is gone",
              "are router and switch on? It comes back by itself", _NONE, flashes="three"),
    Complaint("accept_failed", "", "network", "accept_failed port=... error=...",
              "a client could not be let in, and has to come again",
              "where it happens often: fewer at once", level=NOTE),
    # --- names
    Complaint("name_taken", "", "names", "name_taken name=... why=...",
              "another device of the network has its name",
              "give one of the two another: the setting `hostname`", ("name",)),
    # --- time
    Complaint("no_time", "", "time", "no_time server=... why=...",
              "nobody tells it the time: mail has no date of arrival, and `keep_days` does nothing",
              "let the router answer to NTP, or name another server in the setting `time_server`",
              ("server", "why")),
    # --- TLS
    Complaint("no_tls", r"no ssl module", "TLS", 'no_tls why="... has no ssl module"',
              "its MicroPython has no TLS: nobody can use ports 465 and 995",
              "`make flash` with an image that has it (its board's page)", _NONE),
    Complaint("no_tls", "", "TLS", 'no_tls why="there is no tls_key.der ..."',
              "it has no TLS key: nobody can use ports 465 and 995", "`make deploy` makes one",
              _NONE),
    Complaint("no_logins", "", "TLS", "no_logins why=...",
              "nobody can log in: the setting `require_tls` wants TLS, and there is none",
              "see no_tls", _NONE),
    Complaint("logins", "", "TLS", "logins why=...",
              "a login needs no TLS, so passwords may cross the network in the clear",
              "the setting `require_tls` forbids it, where everybody can do TLS 1.2", _NONE, NOTE),
    # --- accounts
    Complaint("accounts_refused", "heap has no room", "accounts",
              'accounts_refused why="the heap has no room now; ..."',
              "ACCOUNTS.TXT on the card waits for the next start",
              "unplug it and plug it in again", _NONE, NOTE),
    Complaint("accounts_refused", "", "accounts", "accounts_refused why=...",
              "ACCOUNTS.TXT on the card was not taken",
              "mend it on a computer; what was no ACCOUNTS.TXT is called ACCOUNTS.BAD there"),
    Complaint("accounts_repeat", "", "accounts", "accounts_repeat why=...",
              "ACCOUNTS.TXT was taken, and could not be removed from the card",
              "remove it on a computer"),
    # --- devices
    Complaint("refused", "", "devices", "refused peer=... why=... advice=...",
              "a session that did not go well", "", ("peer", "device", "why"), NOTE),
    Complaint("device_silent", "", "devices", "device_silent peer=... mailbox=...",
              "a device that wrote regularly has gone silent",
              "has it power and network? Is its server still this one?", ("peer", "helo")),
    Complaint("alarm_failed", "", "devices", "alarm_failed mailbox=... why=...",
              "the letter about a silent device could not be delivered",
              "make room in that mailbox (setting `silence_alarm`)", ("mailbox", "why")),
    Complaint("passports_failed", "", "devices", "passports_failed error=...",
              "what is known of the devices could not be written; mail goes on",
              "is PICOPOST.DEV in the root of the card a file of picopost's? Remove it, and it is "
              "made anew"),
    # --- notices
    Complaint("notice_put_off", "", "notices", "notice_put_off mailbox=... server=... why=...",
              "a server that is to be told of letters is away; it is tried again for a quarter of "
              "an hour", "is it on, and its address in the setting `notices` right?",
              ("server", "why"), NOTE),
    Complaint("notice_failed", "", "notices", "notice_failed mailbox=... server=... why=...",
              "a server was not told of a letter, which is in its mailbox all the same", "",
              ("server", "why")),
    Complaint("notices_dropped", "", "notices", "notices_dropped letters=... why=...",
              "more letters came than servers could be told of; all are in their mailboxes",
              "fewer rules in the setting `notices`, or a server that is faster", ("letters",),
              NOTE),
)

NAMES = {complaint.event for complaint in COMPLAINTS}


def judge(events: list[dict], past: Collection[str] = ()) -> list[Finding]:
    """What the events, in their order, complain of: of each name the last one of each device,
    mailbox and server, and none that is over. `past`: names of those that are known to be.
    """
    last: dict[tuple, tuple[dict, Finding]] = {}
    for event in events:
        for about in [about for about, (before, _) in last.items() if _ends(event, before)]:
            del last[about]
        if event["event"] in past:
            continue
        for complaint in COMPLAINTS:
            if complaint.fits(event):
                about = (event["event"], *map(event.get, _WHOSE))
                last.pop(about, None)
                last[about] = event, complaint.finding(event)
                break
    return [finding for _, finding in last.values()]


def _ends(event: dict, before: dict) -> bool:
    """Whether with `event` is over what `before` complained of."""
    if event["event"] == "clock_set":  # its server may be told by name before, by address now
        return before["event"] == "no_time"
    return event["event"] in _OVER.get(before["event"], ()) and all(
        event[name] == before[name] for name in _WHOSE if name in event and name in before)


def table() -> list[str]:
    """The one of firmware/docs/troubleshooting.md, in Markdown: a line a row."""
    rows = ["| LED | on the console | what it is | what to do |", "|---|---|---|---|"]
    for each in COMPLAINTS:
        rows.append(f"| {each.flashes} | `{each.says}` | {each.means} | "
                    f"{each.advice or 'what it advises, if anything'} |")
    return rows
