"""What `run` shows of an emulated board: its events, for a program or for a person."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from pathlib import Path

from host_tools import accounts, boards, events, tls_identity
from host_tools.emulator import flash as emulated_flash

# How a person sets up a device or a mail program for each service, as the event `ready` calls it:
# SMTP at another port than 25, 465 and 587 is smtp<port> there.
_SHOWN = {"smtp": "SMTP (no login, STARTTLS)", "pop3": "POP3 (STARTTLS)",
          "pop3s": "POP3 (SSL/TLS)", "smtps": "SMTP (login, SSL/TLS)",
          "submission": "SMTP (login, STARTTLS)"}


class Json:
    """Events as JSON objects, one a line; what is no event goes as {"event": "console"}.

    `safe_mode`: why the firmware left the prompt to its owner, "" where it did not.
    """

    def __init__(self, options: argparse.Namespace):
        self._offset = options.port_offset
        self.safe_mode = ""

    def line(self, text: str, measured: dict | None = None) -> None:
        """Print one console line, and what its engine measured with it."""
        event = events.parse(text) or {"event": "console", "text": text}
        if event["event"] == "safe_mode":
            self.safe_mode = event["why"]
        if event["event"] == "ready":
            self.safe_mode = ""
            event["ports"] = _outside(event, self._offset)
        print(json.dumps({**event, **(measured or {})}), flush=True)


class Text:
    """Events for a person: how to use the appliance once it is ready, then a line each. `safe_mode`
    as with Json.
    """

    def __init__(self, options: argparse.Namespace, users: dict[str, str], card: Path,
                 identity: tuple[bytes, bytes] | None):
        self._offset = options.port_offset
        self.safe_mode = ""
        self._passwords = dict(users)  # as far as they are known
        self._card = card
        # How `user` is told which board this is.
        self._target = (f" --flash {shlex.quote(str(emulated_flash.beside(card)))}"
                        if options.card else "" if options.board == boards.DEFAULT
                        else f" --board {options.board}")
        self._identity = identity

    def line(self, text: str, measured: dict | None = None) -> None:
        """Print one console line, and what its engine measured with it."""
        event = events.parse(text)
        if event is None:
            print(text, flush=True)
            return
        for key, value in (measured or {}).items():
            event[key] = f"{value:.6f}" if isinstance(value, float) else value
        name = event["event"]
        if name == "ready":
            self.safe_mode = ""
            self._introduce(event)
            return
        if name == "safe_mode":
            self.safe_mode = event["why"]
        if name == "first_start":
            self._passwords[event["user"]] = event["password"]
        if name == "accounts_changed":
            for user in event["set"].split(","):
                self._passwords.pop(user, None)
        print(events.shown(event), flush=True)

    def _introduce(self, event: dict) -> None:
        names = list(accounts.parse(
            (emulated_flash.beside(self._card) / emulated_flash.ACCOUNTS).read_text()))
        name = names[0]
        ports = _outside(event, self._offset)
        address = f"{name}@{event['hostname']}"
        print(f"picopost runs on an emulated {event['board']} ({event['address']} on its LAN),"
              f" card {self._card}")
        if "cycles" in event:
            print(f"  in its image on an emulated RP2040, ready after {event['cycles']} cycles,"
                  f" {event['emulated_seconds']} emulated seconds")
        for service, port in sorted(ports.items(), key=lambda item: item[1]):
            print(f"  {_SHOWN.get(service, service[:4].upper()):<28} 127.0.0.1 port {port}")
        for user in names:
            known = self._passwords.get(user)
            print(f"  user  {user}   " + (f"password  {known}" if known else
                  f"(another password: python -m host_tools user passwd {user}{self._target})"))
        if self._identity:
            print("  TLS certificate, SHA-256 fingerprint:\n    "
                  + tls_identity.fingerprint(self._identity[1]))
        login = f"{name}:{self._passwords[name]}" if name in self._passwords else name
        for line in _examples(ports, address, shlex.quote(login)):
            print(line)
        if sys.stdin and sys.stdin.isatty() and "cycles" not in event:
            print("Type `help` for the commands of its console.")
        print("Ctrl-C stops it.", flush=True)


class Usb(Text):
    """The same of a board that others told what it is."""

    def __init__(self, options: argparse.Namespace):
        super().__init__(options, {}, options.usb, None)
        print(f"{options.board} at {options.usb}: make deploy BOARD={options.board} "
              f"USB={options.usb} REACH=127.0.0.1:{options.port_offset}\nCtrl-C unplugs it.",
              flush=True)

    def _introduce(self, event: dict) -> None:
        for service, port in sorted(_outside(event, self._offset).items()):
            print(f"  {_SHOWN.get(service, service[:4].upper()):<28} 127.0.0.1 port {port}",
                  flush=True)


def _examples(ports: dict[str, int], address: str, login: str) -> list[str]:
    """How to send and fetch with curl: none of what has no port here that curl gets on with. The
    certificate is nobody's but ours, hence --insecure; at other ports than these the rules are
    not known."""
    lines = []
    for service, scheme, more in (("smtp", "smtp", ""), ("submission", "smtp", f" --user {login}"),
                                  ("smtps", "smtps", f" --insecure --user {login}")):
        if service in ports:
            lines.append(
                "Send a letter:\n  printf 'Subject: hello\\r\\n\\r\\nIt works.\\r\\n' | curl -sS"
                f"{more} {scheme}://127.0.0.1:{ports[service]} --mail-from you@example.com"
                f" --mail-rcpt {address} -T -")
            break
    for service, scheme, more in (("pop3", "pop3", ""), ("pop3s", "pop3s", " --insecure")):
        if service in ports:
            lines.append(f"Fetch it:\n  curl -sS{more} {scheme}://127.0.0.1:{ports[service]}/1"
                         f" --user {login}")
            break
    return lines


def _outside(event: dict, offset: int) -> dict[str, int]:
    """{service: outside port} of an event `ready`, which loses these fields."""
    return {name: offset + event.pop(name) for name in events.services(event)}
