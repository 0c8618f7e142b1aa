"""The board's settings: one JSON file on its flash, checked whole before anything starts."""

import errno
import json

from picopost import Misconfigured, limits, policy

PATH = "settings.json"


class SettingsError(Misconfigured):
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


def _is_time_server(value):
    return value in ("gateway", None) or _is_host(value)


def _is_size(value):
    return isinstance(value, int) and 65536 <= value <= 0x3FFFFFFF


def _is_address(value):
    if value == "dhcp":
        return True
    return (isinstance(value, dict) and sorted(value) == ["address", "dns", "gateway", "netmask"]
            and all([_is_ipv4(part) for part in value.values()]))


def _is_fallback(value):
    return value is None or value != "dhcp" and _is_address(value)


def _is_wifi(value):
    """IEEE 802.11-2020: an SSID has up to 32 octets (9.4.2.2); a passphrase 8 to 63 characters, and
    as 64 hex digits it is the key itself (J.4). No password: an open network.
    """
    if value is None:
        return True
    if not isinstance(value, dict) or sorted(value) != ["password", "ssid"]:
        return False
    ssid, password = value["ssid"], value["password"]
    return (isinstance(ssid, str) and 1 <= len(ssid.encode()) <= 32
            and (password in (None, "")
                 or isinstance(password, str) and 8 <= len(password.encode()) <= 64))


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
            elif rule not in RULES or not _is_count(rules[rule]):  # true is a number in CPython
                return False
    return True


def _is_bool(value):
    return isinstance(value, bool)


def _is_network(text):
    try:
        policy.network(text)
        return True
    except (ValueError, AttributeError):
        return False


def _is_networks(value):
    return value is None or (isinstance(value, list) and all([_is_network(text)
                                                              for text in value]))


def _is_one_of(*choices):
    return lambda value: isinstance(value, str) and value in choices


def _has_rules(value, checks):
    if not isinstance(value, dict):
        return False
    for rule in value:
        if rule not in checks or not checks[rule](value[rule]):
            return False
    # What asks for something and hides it would serve nobody.
    hidden = value.get("starttls") is False and not value.get("tls")
    return not (value.get("require_tls") and hidden
                or value.get("require_auth") and value.get("auth") is False)


# What may be said of a client (or a network of them); of a listener the same and what is its own,
# of one for POP3 what is about TLS.
_CLIENT_RULES = {
    "starttls": _is_bool,
    "auth": lambda value: isinstance(value, bool) or value == policy.ANY_LOGIN,
    "require_auth": _is_bool,
    "require_tls": _is_bool,
    "line_ends": _is_one_of("normalize", "reject"),
    "early_talkers": _is_one_of("accept", "reject"),
    "sessions": lambda value: _is_count(value) and value < 256,
    "name": lambda value: isinstance(value, str) and len(value) < 64,
}
_POP3_RULES = {"tls": _is_bool, "networks": _is_networks, "starttls": _is_bool,
               "require_tls": _is_bool}
_LISTENER_RULES = dict(_POP3_RULES)
for _rule in ("auth", "require_auth", "line_ends", "early_talkers"):
    _LISTENER_RULES[_rule] = _CLIENT_RULES[_rule]


def _are_listeners(value, checks):
    if not isinstance(value, dict) or not value:
        return False
    for port in value:
        if (not port.isdigit() or port[0] == "0" or not 1 <= int(port) <= 65535
                or not _has_rules(value[port], checks)):
            return False
    return True


def _is_listeners(value):
    return _are_listeners(value, _LISTENER_RULES)


def _is_pop3_listeners(value):
    return _are_listeners(value, _POP3_RULES)


def _is_clients(value):
    return isinstance(value, dict) and all([
        _is_network(client) and _has_rules(value[client], _CLIENT_RULES) for client in value])


def _is_aliases(value):
    """{name or name@domain: account or list of accounts}"""
    if not isinstance(value, dict):
        return False
    for name in value:
        accounts = value[name] if isinstance(value[name], list) else [value[name]]
        if not name or not accounts or not all([isinstance(account, str)
                                                for account in accounts]):
            return False
        if len(accounts) > limits.MAX_MAILBOXES_PER_MESSAGE:
            return False
    return True


def _is_count(value):
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_ipv4(value):
    return isinstance(value, str) and _is_network(value + "/32")


def _is_host(value):
    """A server's IPv4 address, or its name: no *.local, which DNS does not know (RFC 6762 3)."""
    if isinstance(value, str) and value and not value.strip("0123456789."):
        return _is_ipv4(value)
    return _is_host_name(value) and ".." not in value and not value.lower().endswith(".local")


def _is_words(value, most=limits.NOTICE_WORD):
    """Text without line ends and the like, which may go to a server as it is."""
    return (isinstance(value, str) and 0 < len(value.encode()) <= most
            and not any([octet < 0x20 or octet == 0x7F for octet in value.encode()]))


def _is_port(value):
    return _is_count(value) and value <= 65535


def _is_url(value):
    """http://HOST:PORT/PATH, the port where it is not 80. A fragment is no part of it (RFC 9110
    7.1), nor is what is not ASCII.
    """
    if (not _is_words(value, limits.NOTICE_PLACE) or not value.startswith("http://")
            or " " in value or "#" in value or len(value) != len(value.encode())):
        return False
    host, colon, port = value[7:].partition("/")[0].partition(":")
    return _is_host(host) and (not colon or port.isdigit() and _is_port(int(port)))


def _is_topic_url(value):
    topic = value.partition("?")[0].split("/") if _is_url(value) else ()
    return len(topic) == 4 and len(topic[3]) > 0


# MQTT 3.1.1: 3.3.2.1, a topic has no wildcards; 3.1.2.9, no password without a user.
_MQTT = {
    "server": _is_host,
    "port": _is_port,
    "topic": lambda value: (_is_words(value, limits.NOTICE_PLACE)
                            and not ("+" in value or "#" in value)),
    "user": _is_words,
    "password": _is_words,
}


def _is_mqtt(value):
    return (isinstance(value, dict) and "server" in value and "topic" in value
            and ("user" in value or "password" not in value)
            and all([part in _MQTT and _MQTT[part](value[part]) for part in value]))


# key: (check, what it may be)
_NOTICE = {
    "mailbox": (_is_words, "an account"),
    "from": (_is_words, "a part of the sender's name or address, up to %d octets"
             % limits.NOTICE_WORD),
    "subject": (_is_words, "a part of the subject, up to %d octets" % limits.NOTICE_WORD),
    "led": (_is_bool, "true or false"),
    "mqtt": (_is_mqtt, '{"server": ..., "topic": ...}, and as you need them "port" (1883), "user" '
             'and "password"; a topic without + and #'),
    "ntfy": (_is_topic_url, "http://SERVER:PORT/TOPIC"),
    "post": (_is_url, "http://SERVER:PORT/..."),
}


def _is_notices(value):
    """Raises SettingsError, which says which rule is wrong, and why."""
    if not isinstance(value, list) or len(value) > limits.NOTICE_RULES:
        return False
    for number, rule in enumerate(value):
        here = "notices: rule %d: " % (number + 1)
        if not isinstance(rule, dict) or not any([way in rule
                                                  for way in ("led", "mqtt", "ntfy", "post")]):
            raise SettingsError(here + "wants at least one of led, mqtt, ntfy, post")
        for key in rule:
            if key not in _NOTICE:
                raise SettingsError(here + "has no %s; there are %s"
                                    % (key, ", ".join(sorted(_NOTICE))))
            check, words = _NOTICE[key]
            if not check(rule[key]):
                words = here + key + " must be " + words
                if key in ("mqtt", "ntfy", "post"):
                    words += ("; a SERVER is an IPv4 address or a name that a name server knows, "
                              "without https and .local")
                raise SettingsError(words)
    return True


# What a mailbox may have: bounds beyond which its mail is refused, and what is thrown away.
RULES = ("max_octets", "max_messages", "keep_newest", "keep_days", "drop_oldest")

# key: (default, check, what it may be)
_KEYS = {
    "hostname": ("picopost", _is_host_name, "a host name: letters, digits, dots and hyphens"),
    "domains": ([], _is_domains, "a list of domains whose mail is ours beside the host name"),
    "aliases": ({}, _is_aliases,
                "accounts by name or name@domain: one, or a list of up to %d"
                % limits.MAX_MAILBOXES_PER_MESSAGE),
    "catch_all": (None, _is_name_or_none,
                  "the account that gets mail for unknown names at our domains, or null"),
    "default_mailbox": (None, _is_name_or_none,
                        "the account that gets all mail that is nobody else's, whatever its "
                        "domain, or null"),
    "recipient_delimiter": ("+", lambda value: value is None or value in ("+", "-", "=", "_"),
                            'null, or "+", "-", "=" or "_": name+anything is name'),
    "listeners": ({"25": {}, "465": {"tls": True, "require_auth": True},
                   "587": {"require_auth": True}}, _is_listeners,
                  "rules by port: tls, require_tls, require_auth, auth, starttls "
                  "(true or false), networks (a list like 192.168.1.0/24), line_ends, "
                  "early_talkers; what is required must not be hidden"),
    "pop3_listeners": ({"110": {}, "995": {"tls": True}}, _is_pop3_listeners,
                       "rules by port, no port of listeners: tls, require_tls, starttls (true or "
                       "false), networks (a list like 192.168.1.0/24)"),
    "require_tls": (False, _is_bool, "true or false"),
    "log_subjects": (False, _is_bool, "true or false"),
    "clients": ({}, _is_clients,
                "rules by address or network: starttls, require_tls, require_auth (true or "
                'false), auth (true, false, "any"), line_ends ("normalize", "reject"), '
                'early_talkers ("accept", "reject"), sessions (1 to 255), name'),
    "sessions_per_address": (limits.SESSIONS_PER_ADDRESS, _is_count, "a number from 1"),
    "max_message_size": (limits.MAX_MESSAGE_SIZE, _is_size, "octets, 65536 to 1073741823"),
    "mailboxes": ({}, _is_rules,
                  'rules by account or "*": max_octets, max_messages, keep_newest, keep_days '
                  "(whole numbers from 1) and drop_oldest (true or false)"),
    "passports": (True, _is_bool, "true or false"),
    "silence_alarm": (None, _is_name_or_none,
                      "the account that is told of devices which have gone silent, or null"),
    "notices": ([], _is_notices,
                "a list of up to %d rules: mailbox, from, subject; led, mqtt, ntfy, post"
                % limits.NOTICE_RULES),
    "time_server": ("gateway", _is_time_server,
                    '"gateway", an IPv4 address, a name that a name server knows (no .local), or '
                    "null: nobody is asked"),
    "address": ("dhcp", _is_address,
                '"dhcp" or {"address": ..., "netmask": ..., "gateway": ..., "dns": ...}, each an '
                "IPv4 address"),
    "fallback_address": (None, _is_fallback,
                         "null, or four IPv4 addresses as in address, for where no DHCP server "
                         "answers"),
    "wifi": (None, _is_wifi, '{"ssid": ..., "password": ...} on a board with Wi-Fi; a password of '
                             '8 to 63 characters, or "" in an open network'),
}


def read(path=PATH):
    """All settings, defaults filled in; no file means all defaults. Raises SettingsError."""
    given = {}
    try:
        with open(path) as file:
            given = json.load(file)
    except OSError as error:
        if error.errno != errno.ENOENT:  # what is there and cannot be read may be a restriction
            raise SettingsError(f"{path} cannot be read: {error}")
    except ValueError:
        raise SettingsError(f"{path} is not JSON")
    return check(given, path)


def check_accounts(settings, known):
    """Raise SettingsError where a setting names an account that is not in `known`."""
    wanted = [(key, settings[key]) for key in ("catch_all", "default_mailbox", "silence_alarm")
              if settings[key]]
    for name, accounts in settings["aliases"].items():
        for account in accounts if isinstance(accounts, list) else (accounts,):
            wanted.append(("aliases: " + name, account))
    for rule in settings["notices"]:
        if "mailbox" in rule:
            wanted.append(("notices: mailbox", rule["mailbox"]))
    for key, account in wanted:
        if account not in known:
            raise SettingsError(f"{key} must name an account; there is no {account}")


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
    if any([port in settings["listeners"] for port in settings["pop3_listeners"]]):
        raise SettingsError(f"{path}: listeners and pop3_listeners must not share a port")
    return settings
