"""Devices with what their pages say to type, the faults these name, and the lines they quote."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.docs import devices, pages, programs
from tests.docs.conftest import collect, happened
from tests.docs.devices import STARTTLS, TLS, Way
from tests.support.appliance import Appliance

PAGES = {name: page for name, page in pages.read().items() if page.path.parent.name == "devices"}
_LOGIN = ("alice", "PASSWORD")

Act = Callable[[Appliance], None]


def _sends(page: str, way: Way, **told) -> Act:
    """The page's device, with something else typed into it than the page says."""

    def act(appliance: Appliance) -> None:
        device = devices.typed(PAGES[page]).told(**told)
        device.send(appliance, devices.secret(way, appliance))

    return act


def _crowd(appliance: Appliance) -> None:
    devices.crowd(devices.typed(PAGES["camera"]), appliance, Way(25), 4)


@dataclass(frozen=True)
class Fault:
    """What a device does in a section of a page, and what after the change that it names for the
    device; None: there it names a setting alone.
    """

    act: Act
    mended: Act | None = None


FAULTS = {
    ("printer", "Its TLS is too old"):
        Fault(_sends("printer", Way(25), tls=devices.old_tls())),
    ("printer", "Its address book has addresses outside"):
        Fault(_sends("printer", Way(25), recipient="alice@example.com"),
              _sends("printer", Way(25))),
    ("printer", "SSL is on, the port is 25"):
        Fault(lambda appliance: devices.tls_unasked(appliance, 25),
              _sends("printer", Way(465, TLS, _LOGIN))),
    ("nas", "It does not accept the certificate"):
        Fault(_sends("nas", Way(587, STARTTLS, _LOGIN), tls=devices.known_certificates()),
              _sends("nas", Way(25))),
    ("nas", "Port 587 without a login"):
        Fault(_sends("nas", Way(587, STARTTLS)), _sends("nas", Way(587, STARTTLS, _LOGIN))),
    ("nas", "It writes to an address from before"):
        Fault(_sends("nas", Way(25), recipient="admin@example.com"), _sends("nas", Way(25))),
    ("camera", "It wants a user and a password, and has its own"):
        Fault(_sends("camera", Way(25, login=("admin", "12345"))),
              _sends("camera", Way(25, login=_LOGIN))),
    ("camera", "SSL is off, the port is 465"):
        Fault(_sends("camera", Way(465), impatient=3), _sends("camera", Way(25))),
    ("camera", "A recorder with many cameras"): Fault(_crowd),
    ("ups", "Mail for root"): Fault(programs.apcupsd_without_configuration),
    ("ups", "The card wants a certificate that somebody signed"):
        Fault(_sends("ups", Way(465, TLS, _LOGIN), tls=devices.known_certificates()),
              _sends("ups", Way(25))),
    ("ups", "The card has an old password"):
        Fault(_sends("ups", Way(25, login=("alice", "0ld"))),
              _sends("ups", Way(25, login=_LOGIN))),
    ("cron", "No MAILTO"): Fault(programs.cron_without_mailto, programs.cron_with_mailto),
    ("cron", "msmtp does not know the certificate"):
        Fault(programs.msmtp_without_fingerprint, programs.msmtp_in_tls),
    ("cron", "Port 587 without a login"):
        Fault(programs.msmtp_at_587_without_login, programs.msmtp_in_tls),
    ("home_assistant", "`verify_ssl` is left out"):
        Fault(programs.home_assistant_verifies, programs.home_assistant_in_tls),
    ("home_assistant", "`port` is left out"):
        Fault(programs.home_assistant_without_port, programs.home_assistant),
    ("home_assistant", "Somebody's address outside"):
        Fault(programs.home_assistant_to_somebody, programs.home_assistant),
}
# How a page's device sends its test message, where it is none of devices.DEVICES.
TESTS = {"cron": programs.cron_test, "home_assistant": programs.home_assistant}


def _attempt(appliance: Appliance, act: Act) -> None:
    """A device does not stop at an error."""
    try:
        act(appliance)
    except (smtplib.SMTPException, OSError):
        pass


def _said(events: list[dict]) -> list[str]:
    # Once, however often the device tries.
    return list(dict.fromkeys(pages.shown(event) for event in events))


@pytest.mark.parametrize("name, row", [
    (name, row) for name in devices.DEVICES for row in range(len(devices.ways(PAGES[name])))])
def test_what_is_typed(appliance, name, row):
    """Each row of a page's table brings the letter into alice's mailbox, as that page's device."""
    way = devices.secret(devices.ways(PAGES[name])[row], appliance)
    device = devices.typed(PAGES[name])
    try:
        events = happened(appliance, lambda: device.send(appliance, way))
    finally:
        letters = collect(appliance)
    assert [event["event"] for event in events] == ["accepted"]
    assert len(letters) == 1 and letters[0].endswith(device.letter)
    protocol = b"ESMTP" if device.esmtp or way.tls != devices.NO_TLS else b"SMTP"
    protocol += b"S" * (way.tls != devices.NO_TLS or device.opportunistic)
    assert b" with %s%s id " % (protocol, b"A" * bool(way.login)) in letters[0]


@pytest.mark.parametrize("name", PAGES)
def test_the_line_of_success(appliance, tmp_path, name):
    act = TESTS.get(name) or _sends(name, devices.ways(PAGES[name])[0])
    try:
        events = happened(appliance, lambda: act(appliance))
    finally:
        letters = collect(appliance)
    assert _said(events) == [pages.quoted(PAGES[name].worked["log"])]
    assert len(letters) == 1


@pytest.mark.parametrize("name, title", [
    (name, fault.title) for name, page in PAGES.items() for fault in page.faults])
def test_a_fault_and_its_cure(appliance, with_settings, name, title):
    """The log says what the page says it does; with the change the letter arrives."""
    fault = FAULTS[name, title]
    section = PAGES[name].section(title)
    setting = section.block("json")
    assert len(section.blocks) == 1 + bool(setting) and (setting or fault.mended)
    try:
        events = happened(appliance, lambda: _attempt(appliance, fault.act))
    finally:
        letters = collect(appliance)
    assert (_said(events), letters) == ([pages.quoted(section["log"])], [])
    if fault.mended:
        try:
            events = happened(appliance, lambda: fault.mended(appliance))
        finally:
            letters = collect(appliance)
        assert ([event["event"] for event in events], len(letters)) == (["accepted"], 1)
    if setting:
        with with_settings(setting) as changed:
            events = happened(changed, lambda: fault.act(changed))
            assert len(collect(changed)) == 1
        assert [event["event"] for event in events] == ["accepted"]


@pytest.mark.parametrize("act", [programs.msmtp_at_465, programs.home_assistant_at_465])
def test_what_a_sentence_says_of_port_465(appliance, act):
    happened(appliance, lambda: act(appliance))
    letter, = collect(appliance)
    assert b" with ESMTPSA id " in letter


def test_a_device_that_trusts_the_certificate_checks_it(appliance):
    """The faults about certificates are about nothing else."""
    device = devices.typed(PAGES["nas"]).told(
        tls=ssl.create_default_context(cadata=appliance.certificate()))
    device.tls.check_hostname = False
    way = devices.secret(Way(587, STARTTLS, _LOGIN), appliance)
    happened(appliance, lambda: device.send(appliance, way))
    assert len(collect(appliance)) == 1
