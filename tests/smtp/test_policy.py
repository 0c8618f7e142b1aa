"""Who may do what, whose mail is whose, and who has to wait: inside the VM, without a network."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_tools import firmware_modules  # noqa: F401  makes picopost importable
from tests.support.vm import Vm

from picopost import settings as firmware_settings  # isort: skip

STUB = '''
import time
from collections import OrderedDict
from picopost import limits, settings
from picopost.net.failures import Failures
from picopost.post_office import PostOffice
from picopost import policy

def office(accounts, **given):
    known = OrderedDict([(name, None) for name in accounts])
    read = settings.check(dict(given, hostname="xyz.com"))
    settings.check_accounts(read, known)
    return PostOffice(read, known, "/sd")

def rules(port, peer, listeners, clients):
    policies = policy.Policies(listeners, clients, True)
    if not policies.admits(port, peer):
        return None
    p = policies.of(port, peer)
    return (p.tls, p.starttls, p.require_tls, p.auth, p.require_auth, p.reject_bare, p.wait,
            p.device)
'''


@pytest.fixture(scope="module")
def vm():
    with Vm() as machine:
        machine.exec(STUB)
        yield machine


def resolve(vm, address, accounts=("girl", "boy"), **given):
    local, _, domain = address.partition("@")
    vm.exec(f"o = office({accounts!r}, **{given!r}); o.use_address('192.168.1.5')")
    return vm.eval(f"o.resolve({local.encode()!r}, {domain.encode().lower()!r})")


@pytest.mark.parametrize("address, given, mailboxes", [
    ("girl@xyz.com", {}, ("girl",)),
    ("GIRL@XYZ.com", {}, ("girl",)),
    ("girl", {}, ("girl",)),
    ("girl@xyz.com.local", {}, ("girl",)),
    ("girl@[192.168.1.5]", {}, ("girl",)),
    ("girl@192.168.1.5", {}, ("girl",)),
    ("girl@example.com", {}, ()),
    ("girl@example.com", {"domains": ["Example.com"]}, ("girl",)),
    ("nobody@xyz.com", {}, ()),
    ("postmaster@xyz.com", {}, ("girl",)),
    ("Postmaster", {}, ("girl",)),
    ("postmaster@example.com", {}, ()),
    ("postmaster", {"catch_all": "boy"}, ("boy",)),
    ("postmaster", {"aliases": {"postmaster": "boy"}}, ("boy",)),
    # Plus-addressing, its end and its bounds.
    ("girl+camera@xyz.com", {}, ("girl",)),
    ("girl+a+b", {}, ("girl",)),
    ("+girl", {}, ()),
    ("nobody+girl", {}, ()),
    ("girl+x", {"recipient_delimiter": None}, ()),
    ("girl-x", {"recipient_delimiter": "-"}, ("girl",)),
    ("root+x", {"aliases": {"root": "boy"}}, ("boy",)),
    # Aliases: by name at our domains, by address anywhere; one or several accounts.
    ("alarm@xyz.com", {"aliases": {"Alarm": ["girl", "boy"]}}, ("girl", "boy")),
    ("alarm@example.com", {"aliases": {"alarm": "girl"}}, ()),
    ("alarm@example.com", {"aliases": {"alarm@example.com": "girl"}}, ("girl",)),
    ("girl@xyz.com", {"aliases": {"girl@xyz.com": "boy"}}, ("boy",)),
    ("girl@xyz.com", {"aliases": {"girl": "boy"}}, ("girl",)),
    ("fille-é@xyz.com", {"aliases": {"fille-é": "girl"}}, ("girl",)),
    # Who gets the rest.
    ("nobody@xyz.com", {"catch_all": "boy"}, ("boy",)),
    ("nobody@example.com", {"catch_all": "boy"}, ()),
    ("nobody@example.com", {"default_mailbox": "boy"}, ("boy",)),
    ("nobody@xyz.com", {"default_mailbox": "boy"}, ("boy",)),
    ("nobody@xyz.com", {"default_mailbox": "boy", "catch_all": "girl"}, ("girl",)),
    ("girl@example.com", {"default_mailbox": "boy"}, ("boy",)),
])
def test_whose_mail_it_is(vm, address, given, mailboxes):
    assert resolve(vm, address, **given) == mailboxes


def test_reports_go_to_accounts_own_addresses_only(vm):
    vm.exec("o = office(('girl',), default_mailbox='girl', catch_all='girl', "
            "aliases={'alarm': 'girl'})")
    for address, owner in (("girl@xyz.com", "girl"), ("GIRL@xyz.com.local", "girl"),
                           ("alarm@xyz.com", None), ("nobody@xyz.com", None),
                           ("girl@example.com", None), ("girl+x@xyz.com", None), ("girl", None)):
        local, _, domain = address.encode().partition(b"@")
        assert vm.eval(f"o.owner({local!r}, {domain!r})") == owner, address


def test_postmaster_without_accounts(vm):
    assert resolve(vm, "postmaster", accounts=()) == ()


OPEN = {"25": {}, "465": {"tls": True, "require_auth": True}, "587": {"require_auth": True}}


@pytest.mark.parametrize("port, peer, listeners, clients, rules", [
    (25, "192.168.1.20", OPEN, {}, (False, True, False, True, False, False, False, "")),
    (465, "10.0.0.1", OPEN, {}, (True, False, False, True, True, False, False, "")),
    (587, "172.31.255.255", OPEN, {}, (False, True, False, True, True, False, False, "")),
    (25, "172.32.0.0", OPEN, {}, None),
    (25, "8.8.8.8", OPEN, {}, None),
    (25, "8.8.8.8", {"25": {"networks": ["8.8.8.8"]}}, {},
     (False, True, False, True, False, False, False, "")),
    (25, "192.168.1.20", {"25": {"networks": None}}, {},
     (False, True, False, True, False, False, False, "")),
    (25, "192.168.1.20", {"25": {"networks": []}}, {}, None),
    # The narrowest network says each rule; what none says is the listener's.
    (587, "192.168.1.20", OPEN, {
        "192.168.0.0/16": {"starttls": False, "name": "all", "line_ends": "reject"},
        "192.168.1.20": {"require_auth": False, "name": "camera"},
        "192.168.1.0/24": {"line_ends": "normalize", "auth": "any"}},
     (False, False, False, "any", False, False, False, "camera")),
    (25, "192.168.2.1", OPEN, {
        "192.168.1.0/24": {"auth": False}, "0.0.0.0/0": {"early_talkers": "reject"}},
     (False, True, False, True, False, False, True, "")),
])
def test_rules_of_a_session(vm, port, peer, listeners, clients, rules):
    assert vm.eval(f"rules({port}, {peer!r}, {listeners!r}, {clients!r})") == rules


def test_ports(vm):
    for can_tls, ports in ((True, [25, 465, 587]), (False, [25, 587])):
        assert vm.eval(f"policy.Policies({OPEN!r}, {{}}, {can_tls}).ports()") == ports
    strict = {"25": {"require_tls": True}, "2525": {}}
    assert vm.eval(f"policy.Policies({strict!r}, {{}}, False).ports()") == [2525]


@pytest.mark.parametrize("rules", [{"require_tls": True, "starttls": False},
                                   {"require_auth": True, "auth": False}])
def test_what_is_required_is_not_hidden(vm, rules):
    for setting in ({"listeners": {"25": rules}}, {"clients": {"10.0.0.1": rules}}):
        vm.exec(f"""
try:
    settings.check({setting!r})
    refused = ""
except settings.SettingsError as error:
    refused = str(error)
""")
        assert next(iter(setting)) in vm.eval("refused")


@pytest.mark.parametrize("listener, client, everywhere, private", [
    ({}, {}, False, False), ({}, {}, True, True), ({"require_tls": True}, {}, False, True),
    ({}, {"require_tls": True}, False, True), ({"require_tls": True}, {"require_tls": False},
                                               False, False)])
def test_who_may_log_in_without_tls(vm, listener, client, everywhere, private):
    """By POP3 too, whoever says it: the setting, the listener or the client's rules."""
    policies = f"policy.Policies({{'110': {listener!r}}}, {{'10.0.0.1': {client!r}}}, True, "
    assert vm.eval(policies + f"{everywhere}).of(110, '10.0.0.1').private_logins") == private


def test_settings_that_cannot_be_read_are_no_defaults(vm, tmp_path):
    vm.exec("""
def refused(path):
    try:
        settings.read(path)
        return ""
    except settings.SettingsError as error:
        return str(error)
""")
    assert vm.eval(f"refused({str(tmp_path / 'none')!r})") == ""
    assert "cannot be read" in vm.eval(f"refused({str(tmp_path)!r})")


@given(st.ip_addresses(v=4), st.integers(0, 32), st.ip_addresses(v=4))
def test_networks(vm, address, bits, other):
    network = ipaddress.ip_network((int(address), bits), strict=False)
    got = vm.eval(f"policy._contains(policy.network('{address}/{bits}'), "
                  f"policy.network('{other}')[0])")
    assert got == (other in network)


@pytest.mark.parametrize("text", ["", "1.2.3", "1.2.3.4.5", "1.2.3.256", "1.2.3.4/33", "1.2.3.4/-1",
                                  "1.2.3.4/", "a.b.c.d", "1.2.3.4/x", "::1", "1..2.3", "+1.2.3.4"])
def test_what_is_no_network(vm, text):
    vm.exec(f"""
try:
    policy.network({text!r})
    refused = False
except ValueError:
    refused = True
""")
    assert vm.eval("refused")


_CLOCK = """
import gc
from picopost.net import failures
class Clock:
    now = 0
    def ticks_ms(self):
        return self.now
    def ticks_diff(self, a, b):
        return time.ticks_diff(a, b)
failures.time = clock = Clock()
f = Failures()
"""


def test_who_fails_has_to_wait(vm):
    """Twice as long each time, up to a bound; forgotten after a while; a login forgets at once."""
    vm.exec(_CLOCK)
    delays = [vm.eval("f.begin('10.0.0.1', 'girl')") for _ in range(12)]
    assert delays[:4] == [0, 500, 1000, 2000] and delays[-1] == 8000
    assert vm.eval("f.begin('10.0.0.2', 'girl')") == 0
    assert vm.eval("f.begin('10.0.0.1', 'boy')") == 0
    vm.exec("f.succeeded('10.0.0.1', 'girl')")
    assert vm.eval("f.begin('10.0.0.1', 'girl')") == 0
    vm.exec("f.begin('10.0.0.3', 'girl'); clock.now += limits.FAILURES_KEPT")
    assert vm.eval("f.begin('10.0.0.3', 'girl')") == 500
    vm.exec("clock.now += limits.FAILURES_KEPT + 1")
    assert vm.eval("f.begin('10.0.0.3', 'girl')") == 0


@pytest.mark.parametrize("guessed", ["boy", ""])
def test_a_login_of_ones_own_forgets_no_guesses_at_others(vm, guessed):
    vm.exec("f = Failures()")
    delays = []
    for _ in range(6):
        delays.append(vm.eval(f"f.begin('10.0.0.1', {guessed!r})"))
        assert vm.eval("f.begin('10.0.0.1', 'girl')") == 0
        vm.exec("f.succeeded('10.0.0.1', 'girl')")
    assert delays == [0, 500, 1000, 2000, 4000, 8000]


def test_failures_that_are_remembered_are_bounded(vm):
    most = vm.eval("limits.MAX_FAILING")
    assert most > 17  # one address may guess at all accounts and at none
    vm.exec(_CLOCK)
    vm.exec("""
gc.collect()
before = gc.mem_alloc()
for n in range(80):
    clock.now += 1
    f.begin("10.0.0.%d" % n, "girl")
gc.collect()
""")
    assert vm.eval("gc.mem_alloc() - before") < 500  # nothing for a pair
    assert vm.eval("f.begin('10.0.0.79', 'girl')") and not vm.eval("f.begin('10.0.0.0', 'girl')")
    # That one took the place of the oldest.
    assert not vm.eval(f"f.begin('10.0.0.{80 - most}', 'girl')")
    assert vm.eval(f"f.begin('10.0.0.{80 - most + 2}', 'girl')")


FIXED = {"address": "192.168.1.5", "netmask": "255.255.255.0", "gateway": "192.168.1.1",
         "dns": "192.168.1.1"}


def takes(vm, key, value) -> bool:
    """Whether that may be the setting's value, on a board; deploy, in CPython, judges the same."""
    vm.exec(f"""
try:
    taken = settings.check({{{key!r}: {value!r}}})[{key!r}] == {value!r}
except settings.SettingsError as error:
    assert {key!r} in str(error)
    taken = False
""")
    taken = vm.eval("taken")
    try:
        assert taken is (firmware_settings.check({key: value})[key] == value)
    except firmware_settings.SettingsError:
        assert not taken
    return taken


@pytest.mark.parametrize("key, value, good", [
    ("fallback_address", None, True), ("fallback_address", FIXED, True), ("address", FIXED, True),
    ("address", "dhcp", True), ("fallback_address", "dhcp", False),
    ("address", {"address": "192.168.1.5"}, False),
    *[(key, {**FIXED, part: value}, False) for key in ("address", "fallback_address")
      for part, value in (("address", "192.168.1.300"), ("netmask", "24"), ("gateway", "router"),
                          ("address", "192.168.1.5/24"), ("dns", None), ("dns", ""))],
    ("wifi", {"ssid": "home", "password": "8 octets"}, True),
    ("wifi", {"ssid": "\u00e9" * 16, "password": "x" * 64}, True),
    ("wifi", {"ssid": "cafe", "password": ""}, True),
    ("wifi", {"ssid": "cafe", "password": None}, True),
    ("wifi", {"ssid": "home", "password": "7octets"}, False),
    ("wifi", {"ssid": "home", "password": "x" * 65}, False),
    ("wifi", {"ssid": "home", "password": 12345678}, False),
    ("wifi", {"ssid": "", "password": "8 octets"}, False),
    ("wifi", {"ssid": "\u00e9" * 17, "password": "8 octets"}, False),
    ("wifi", {"ssid": 7, "password": "8 octets"}, False)])
def test_what_no_network_knows_is_refused_before_a_start(vm, key, value, good):
    assert takes(vm, key, value) is good


@pytest.mark.parametrize("rule", ["max_octets", "max_messages", "keep_newest", "keep_days"])
def test_what_a_mailbox_keeps_is_a_number(vm, rule):
    """`true` is one in CPython, and would be the newest letter alone."""
    assert takes(vm, "mailboxes", {"*": {rule: 3}})
    assert not takes(vm, "mailboxes", {"*": {rule: True}})
