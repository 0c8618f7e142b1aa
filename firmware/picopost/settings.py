"""The board's settings: one JSON file on its flash, checked whole before anything starts."""

import json

from picopost import limits

PATH = "settings.json"


class SettingsError(ValueError):
    """The text names the key and what it may be."""


def _is_host_name(value):
    if not isinstance(value, str) or not 1 <= len(value) <= 63 or value[0] in ".-":
        return False
    for character in value:
        if not ("a" <= character.lower() <= "z" or "0" <= character <= "9" or character in ".-"):
            return False
    return True


def _is_domains(value):
    return isinstance(value, list) and all([_is_host_name(domain) for domain in value])


def _is_name_or_none(value):
    return value is None or isinstance(value, str)


def _is_size(value):
    return isinstance(value, int) and 65536 <= value <= 0x3FFFFFFF


def _is_address(value):
    if value == "dhcp":
        return True
    return isinstance(value, dict) and sorted(value) == ["address", "dns", "gateway", "netmask"]


def _is_wifi(value):
    return value is None or (isinstance(value, dict) and sorted(value) == ["password", "ssid"])


def _is_rules(value):
    """{mailbox or "*": {rule: value}}"""
    if not isinstance(value, dict):
        return False
    for rules in value.values():
        if not isinstance(rules, dict):
            return False
        for rule in rules:
            if rule == "drop_oldest":
                if not isinstance(rules[rule], bool):
                    return False
            elif rule not in RULES or not isinstance(rules[rule], int) or rules[rule] < 1:
                return False
    return True


# What a mailbox may have: bounds beyond which its mail is refused, and what is thrown away.
RULES = ("max_octets", "max_messages", "keep_newest", "keep_days", "drop_oldest")

# key: (default, check, what it may be)
_KEYS = {
    "hostname": ("picopost", _is_host_name, "a host name: letters, digits, dots and hyphens"),
    "domains": ([], _is_domains, "a list of domains whose mail is ours beside the host name"),
    "catch_all": (None, _is_name_or_none, "the account that gets mail for unknown names, or null"),
    "max_message_size": (limits.MAX_MESSAGE_SIZE, _is_size, "octets, 65536 to 1073741823"),
    "mailboxes": ({}, _is_rules,
                  'rules by account or "*": max_octets, max_messages, keep_newest, keep_days '
                  "(whole numbers from 1) and drop_oldest (true or false)"),
    "address": ("dhcp", _is_address,
                '"dhcp" or {"address": ..., "netmask": ..., "gateway": ..., "dns": ...}'),
    "wifi": (None, _is_wifi, '{"ssid": ..., "password": ...} on a board with Wi-Fi'),
}


def read(path=PATH):
    """All settings, defaults filled in; no file means all defaults. Raises SettingsError."""
    given = {}
    try:
        with open(path) as file:
            given = json.load(file)
    except OSError:
        pass
    except ValueError:
        raise SettingsError(f"{path} is not JSON")
    return check(given, path)


def check(given, path=PATH):
    """The same for a dict that has been read already."""
    if not isinstance(given, dict):
        raise SettingsError(f"{path}: want an object")
    settings = {}
    for key in _KEYS:
        settings[key] = _KEYS[key][0]
    for key in given:
        if key not in _KEYS:
            raise SettingsError(f"{path}: no setting is called {key}; there are "
                                + ", ".join(sorted(_KEYS)))
        if not _KEYS[key][1](given[key]):
            raise SettingsError(f"{path}: {key} must be {_KEYS[key][2]}")
        settings[key] = given[key]
    return settings
