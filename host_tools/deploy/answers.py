"""What a board has to be told once: its name, its network, its first user."""

from __future__ import annotations

import getpass
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path

from host_tools import accounts
from host_tools.deploy import checked
from host_tools.errors import UserError

_KEYS = ("hostname", "wifi", "user", "settings")


@dataclass
class Answers:
    """`settings` go into settings.json, over what is there; `users` are {name: password}. `where`
    the settings were given, for a person.
    """

    settings: dict = field(default_factory=dict)
    users: dict[str, str] = field(default_factory=dict)
    where: str = "settings"

    def add_user(self, name: str, password: str) -> None:
        """Raises UserError for a name or password that no account can have."""
        try:
            accounts.line(name, password)
        except accounts.AccountError as error:
            raise UserError(str(error)) from error
        self.users[name] = password


def from_file(path: Path) -> Answers:
    """{"hostname": ..., "wifi": {"ssid": ..., "password": ...}, "user": {"name": ..., "password":
    ...}, "settings": {...}}, all of it optional. Raises UserError, for what no board takes too.
    """
    try:
        given = json.loads(path.read_bytes())  # in UTF-8 or 16, with a byte order mark or without
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"{path}: no JSON ({error})") from error
    if not isinstance(given, dict) or set(given) - set(_KEYS):
        raise UserError(f"{path}: want an object with some of {', '.join(_KEYS)}")
    settings = given.get("settings", {})
    if not isinstance(settings, dict):
        raise UserError(f'{path}: "settings" must be an object')
    answers = Answers(dict(settings), where=str(path))
    for key in ("hostname", "wifi"):
        if key in given:
            answers.settings[key] = given[key]
    checked.check_given(answers.settings, answers.where)
    if "user" in given:
        try:
            answers.add_user(given["user"]["name"], given["user"]["password"])
        except (KeyError, TypeError, AttributeError) as error:  # the latter: no str
            raise UserError(f'{path}: "user" wants "name" and "password"') from error
        except UserError as error:
            raise UserError(f"{path}: {error}") from error
    return answers


def ask(answers: Answers, definition: dict, has: dict, has_users: bool) -> None:
    """Ask at the terminal for what neither `answers` nor the board's settings `has` say. A password
    is never shown. Raises UserError where nobody can be asked.
    """
    wifi = definition["link"] == "wifi" and not (answers.settings.get("wifi") or has.get("wifi"))
    hostname = "hostname" not in answers.settings and "hostname" not in has
    user = not (answers.users or has_users)
    if not (wifi or hostname or user):
        return
    if not sys.stdin.isatty():
        wanted = [what for what, is_wanted in (("hostname", hostname), ("wifi", wifi),
                                               ("user", user)) if is_wanted]
        raise UserError(f"the board has to be told {', '.join(wanted)}: give --answers FILE, or "
                        "run this at a terminal")
    if hostname:
        answers.settings["hostname"] = _line("Its name in the network", "picopost")
    if wifi:
        ssid = _line("Name of the Wi-Fi (SSID)")
        answers.settings["wifi"] = {"ssid": ssid,
                                    "password": getpass.getpass(f"Password of {ssid}: ")}
    if user:
        name = _line("Its first user", "me")
        answers.add_user(name, password(name))


def _line(question: str, default: str = "") -> str:
    while True:
        answer = input(f"{question}{f' [{default}]' if default else ''}: ").strip() or default
        if answer:
            return answer


def password(name: str) -> str:
    """One that is typed twice, or a line of standard input where that is no terminal."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    while True:
        typed = getpass.getpass(f"A password for {name}: ")
        if typed == getpass.getpass("Once more: "):
            return typed
        print("They differ.")
