"""Every setting that is wrong: the console says which and what it may be, and so does `doctor`."""

import json

import pytest

from host_tools import firmware_modules  # noqa: F401  makes picopost importable
from host_tools.doctor import complaints
from host_tools.doctor.finding import PROBLEM
from tests.doctor.scenes import on_flash, starts

from picopost import settings as firmware_settings  # isort: skip

WRONG = {
    "hostname": "a b",
    "domains": "xyz.com",
    "aliases": {"x": 1},
    "catch_all": 7,
    "default_mailbox": [],
    "recipient_delimiter": "*",
    "listeners": {"0": {}},
    "pop3_listeners": {"110": {"auth": True}},
    "require_tls": "yes",
    "log_subjects": 1,
    "clients": {"192.168.1.300": {}},
    "sessions_per_address": 0,
    "max_message_size": 1,
    "mailboxes": {"*": {"keep": 1}},
    "passports": "on",
    "silence_alarm": 7,
    "notices": {"led": True},
    "time_server": True,
    "address": "192.168.1.5",
    "fallback_address": "dhcp",
    "wifi": "home",
}


def why(folder, before=None, settings=None) -> str:
    """Of the safe mode that such a start ends in; `doctor` and the console have the same words."""
    events = starts(folder, "safe_mode", settings, before=before)
    [finding] = complaints.judge(events)
    assert finding.level == PROBLEM and finding.advice
    said = events[-1]["why"]
    assert finding.text.endswith(said)
    return said


def test_all_of_them_are_here():
    assert set(WRONG) == set(firmware_settings._KEYS)


@pytest.mark.parametrize("key", WRONG)
def test_a_wrong_value(tmp_path, key):
    may_be = firmware_settings._KEYS[key][2]
    assert why(tmp_path, settings={key: WRONG[key]}) == f"settings.json: {key} must be {may_be}"


def test_what_fits_no_single_setting(tmp_path):
    (tmp_path / "a").mkdir()
    said = why(tmp_path / "a", settings={"hostnam": "x"})
    assert "no setting is called hostnam; there are address, aliases" in said
    (tmp_path / "b").mkdir()
    said = why(tmp_path / "b", settings={"pop3_listeners": {"25": {}}})
    assert "must not share a port" in said


@pytest.mark.parametrize("rule, words", [
    ({"mailbox": "girl"}, "wants at least one of led, mqtt, ntfy, post"),
    ({"led": True, "to": "x"}, "has no to; there are from, led, "),
    ({"post": "https://192.168.1.5/"}, "post must be http://SERVER:PORT/...; a SERVER is ")])
def test_a_rule_for_notices(tmp_path, rule, words):
    said = why(tmp_path, settings={"notices": [rule]})
    assert said.startswith("notices: rule 1: " + words)


@pytest.mark.parametrize("content, words", [
    (b"{", "settings.json is not JSON"), (b"[]", "settings.json: want an object")])
def test_no_settings(tmp_path, content, words):
    assert words in why(tmp_path, on_flash("settings.json", content))


@pytest.mark.parametrize("key, value", [
    ("catch_all", "ghost"), ("default_mailbox", "ghost"), ("aliases", {"a": ["girl", "ghost"]}),
    ("silence_alarm", "ghost"), ("notices", [{"mailbox": "ghost", "led": True}])])
def test_an_account_that_there_is_not(tmp_path, key, value):
    assert "must name an account; there is no ghost" in why(tmp_path, settings={key: value})


def test_accounts(tmp_path):
    said = why(tmp_path, on_flash("accounts.txt", json.dumps({}).encode()))
    assert said.startswith("accounts.txt, line 1: ")
