"""The setting `notices`: what it may be, and what an owner hears of the rest."""

import pytest

from tests.support.vm import Vm

URL = "http://192.168.1.5/alerts"
MQTT = {"server": "192.168.1.5", "topic": "a/b"}


@pytest.fixture(scope="module")
def vm():
    with Vm() as machine:
        machine.exec("from picopost import settings")
        yield machine


def refusal(vm, notices, known=("alice",)):
    vm.exec(f"""
try:
    read = settings.check({{"notices": {notices!r}}})
    settings.check_accounts(read, {known!r})
    refused = ""
except settings.SettingsError as error:
    refused = str(error)
""")
    return vm.eval("refused")


@pytest.mark.parametrize("rule", [
    {"led": True}, {"mailbox": "alice", "from": "cam", "subject": "Motion é", "ntfy": URL},
    {"mqtt": MQTT}, {"mqtt": {**MQTT, "port": 8883, "user": "u", "password": "p w"}},
    {"ntfy": "http://ntfy.lan:8080/alerts?auth=abc"}, {"post": "http://ha.lan:8123/api/webhook/x"},
    {"post": "http://10.0.0.1"}, {"post": "http://10.0.0.1/?a=b&c=%20"}])
def test_taken(vm, rule):
    assert refusal(vm, [rule]) == ""


@pytest.mark.parametrize("rule, words", [
    ({}, "rule 1: wants at least one of led, mqtt, ntfy, post"),
    ({"mailbox": "alice"}, "wants at least one of"), ("x", "wants at least one of"),
    ({"led": 1}, "led must be true or false"), ({"led": True, "form": "x"}, "has no form; there"),
    ({"led": True, "mailbox": "bob"}, "notices: mailbox must name an account; there is no bob"),
    ({"led": True, "mailbox": 7}, "mailbox must be"),
    ({"led": True, "from": ""}, "from must be"), ({"led": True, "subject": "x" * 65}, "subject"),
    ({"ntfy": "https://ntfy.sh/a"}, "without https"), ({"ntfy": "http://10.0.0.1/"}, "TOPIC"),
    ({"ntfy": "http://10.0.0.1/a/b"}, "TOPIC"), ({"ntfy": "http://10.0.0.1"}, "TOPIC"),
    ({"ntfy": "http://nas.local/a"}, ".local"), ({"post": "http://10.0.0.256/"}, "post must be"),
    ({"post": "http://10.0.0/"}, "post"),
    ({"post": "http://a..b/"}, "post"), ({"post": "http://u:p@10.0.0.1/"}, "post"),
    ({"post": "http://10.0.0.1:0/"}, "post"), ({"post": "http://10.0.0.1:65536/"}, "post"),
    ({"post": "http://10.0.0.1:/"}, "post"), ({"post": "http:///x"}, "post"),
    ({"post": "http://10.0.0.1/a b"}, "post"), ({"post": "http://10.0.0.1/a\r\nX: y"}, "post"),
    ({"post": "http://10.0.0.1/é"}, "post"), ({"post": "http://10.0.0.1/" + "x" * 200}, "post"),
    ({"mqtt": URL}, "mqtt must be"), ({"mqtt": {"server": "10.0.0.1"}}, "mqtt must be"),
    ({"mqtt": {**MQTT, "topic": "a/#"}}, "without + and #"),
    ({"mqtt": {**MQTT, "password": "p"}}, "mqtt"), ({"mqtt": {**MQTT, "port": 0}}, "mqtt"),
    ({"mqtt": {**MQTT, "port": True}}, "mqtt"), ({"mqtt": {**MQTT, "passwort": "p"}}, "mqtt"),
    ({"mqtt": {**MQTT, "server": "a.local"}}, ".local")])
def test_refused(vm, rule, words):
    refused = refusal(vm, [rule])
    assert "notices: " in refused and words in refused


def test_how_many(vm):
    assert refusal(vm, [{"led": True}] * 8) == ""
    assert "up to 8 rules" in refusal(vm, [{"led": True}] * 9)
    assert "up to 8 rules" in refusal(vm, {"led": True})
    assert "rule 2: led" in refusal(vm, [{"led": True}, {"led": None}])


def test_a_card_cannot_remove_an_account_that_a_rule_names(vm):
    vm.exec("""
from picopost.post_office import PostOffice
read = settings.check({"notices": [{"mailbox": "alice", "led": True}, {"led": True}]})
named = list(PostOffice(read, {"alice": None}, "/sd").wanted_accounts())
""")
    assert vm.eval("named") == [("notices: mailbox", "alice")]


@pytest.mark.parametrize("server, taken", [
    ("gateway", True), (None, True), ("192.168.1.1", True), ("pool.ntp.org", True),
    ("192.168.1", False), ("fritz.local", False), ("a..b", False), ("", False), (7, False)])
def test_a_server_for_the_time(vm, server, taken):
    vm.exec(f"""
try:
    settings.check({{"time_server": {server!r}}})
    refused = ""
except settings.SettingsError as error:
    refused = str(error)
""")
    assert ("time_server must be" in vm.eval("refused")) != taken
