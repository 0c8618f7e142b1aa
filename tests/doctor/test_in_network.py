"""What `doctor` finds of services, TLS and names from this computer."""

import datetime
import socket
import threading
import xml.etree.ElementTree as ElementTree
from contextlib import contextmanager

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from host_tools.deploy.services import greetings
from host_tools.doctor import autoconfig, in_network
from host_tools.doctor.finding import NOTE, OK, PROBLEM, Finding
from tests.support.appliance import Appliance


@pytest.fixture(scope="module")
def appliance(tmp_path_factory):
    with Appliance(tmp_path_factory.mktemp("doctor") / "card.img") as running:
        yield running


def found(appliance) -> list[in_network.Service]:
    return [in_network.ask(name, "127.0.0.1", port)
            for name, port in appliance.ready["ports"].items()]


def of(findings: list[Finding], part: str, level: str) -> list[str]:
    return [each.text for each in findings if (each.part, each.level) == (part, level)]


def test_all_services_answer(appliance):
    services = found(appliance)
    findings = in_network.judge("127.0.0.1", services, appliance.ready["tls"])
    assert len(of(findings, "services", OK)) == 5 and not of(findings, "TLS", PROBLEM)
    [certificate] = of(findings, "TLS", OK)
    assert certificate.endswith(", as the board says")
    assert in_network.names_in(services) == ["xyz.com", "xyz.com.local"]
    assert [each.name for each in services if each.starttls] == ["pop3", "smtp", "submission"]
    assert len(of(findings, "TLS", NOTE)) == 1  # of logins in the clear


def test_no_login_in_the_clear(tmp_path):
    with Appliance(tmp_path / "card.img", settings={"require_tls": True}) as running:
        services = found(running)
    assert not any(each.login_in_clear for each in services)
    assert not of(in_network.judge("127.0.0.1", services, None), "TLS", NOTE)


def test_ports_of_ones_own(tmp_path):
    """Which of them are in TLS their names do not tell."""
    settings = {"listeners": {"2025": {}, "2465": {"tls": True}},
                "pop3_listeners": {"110": {}, "2995": {"tls": True}}}
    with Appliance(tmp_path / "card.img", settings=settings) as running:
        services = found(running)
        greeted = greetings({each.name: each.port for each in services}, "127.0.0.1")  # `deploy`
    assert all(words.startswith(("220 ", "+OK ")) for _, words in greeted.values())
    assert {each.name: (each.why, each.in_tls) for each in services} == {
        "smtp2025": ("", False), "smtp2465": ("", True), "pop3": ("", False),
        "pop3_2995": ("", True)}
    assert servers(autoconfig.xml("post", "h", services)) == [
        ("incomingServer", "pop3", "h", str(running.offset + 2995), "SSL"),
        ("incomingServer", "pop3", "h", str(running.offset + 110), "STARTTLS"),
        ("outgoingServer", "smtp", "h", str(running.offset + 2465), "SSL"),
        ("outgoingServer", "smtp", "h", str(running.offset + 2025), "STARTTLS")]


def test_a_certificate_that_is_not_the_boards(appliance):
    findings = in_network.judge("127.0.0.1", found(appliance), "00" * 32)
    [finding] = [each for each in findings if each.part == "TLS" and each.level != NOTE]
    assert finding.level == PROBLEM and "do not type a password" in finding.advice


def test_two_certificates():
    services = [in_network.Service("smtps", 465, certificate=b"a"),
                in_network.Service("pop3s", 995, certificate=b"b")]
    assert of(in_network.judge("h", services, None), "TLS", PROBLEM) == [
        "its services show different certificates"]


@contextmanager
def server(*replies: bytes):
    """What says its replies, one at the start and one to each line, and hangs up; its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def serve() -> None:
            connection, _ = listener.accept()
            with connection, connection.makefile("rwb") as lines:
                for reply in replies:
                    lines.write(reply + b"\r\n")
                    lines.flush()
                    if not lines.readline():
                        return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(10)


@pytest.mark.parametrize("name", ["smtp", "pop3"])
def test_who_says_something_else(name):
    with server(b"HTTP/1.0 400 no") as port:
        [finding] = in_network.judge("h", [in_network.ask(name, "127.0.0.1", port)], None)
    assert finding.level == PROBLEM and "400 no" in finding.text


@pytest.mark.parametrize("name", ["smtp", "pop3", "smtps", "pop3s"])
def test_who_hangs_up(name):
    """However Python calls it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=lambda: listener.accept()[0].close(), daemon=True).start()
        asked = in_network.ask(name, "127.0.0.1", listener.getsockname()[1])
    assert asked.why == "it hangs up"


def test_who_does_not_listen_or_answer(monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        assert in_network.ask("smtp", "127.0.0.1", port).why == "nobody listens there"
    monkeypatch.setattr(in_network, "_PATIENCE", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for name in ("smtp", "pop3", "pop3s"):
            asked = in_network.ask(name, "127.0.0.1", silent.getsockname()[1])
            assert asked.why == "no answer"
            [finding] = in_network.judge("h", [asked], None)
            assert finding.level == PROBLEM and "networks" in finding.advice


def test_starttls_that_finds_no_room():
    with server(b"220 x ESMTP", b"250-x\r\n250 STARTTLS", b"454 4.7.0 no room", b"221 x") as port:
        asked = in_network.ask("smtp", "127.0.0.1", port)
    [finding] = [each for each in in_network.judge("h", [asked], None) if each.level != OK]
    assert asked.no_room and finding.part == "TLS" and "STARTTLS fails: it says 454" in finding.text
    assert "heap" in finding.advice


def test_a_board_without_tls_is_no_news():
    services = [in_network.Service("pop3s", 995, why="it hangs up")]
    assert not of(in_network.judge("h", services, ""), "services", PROBLEM)
    assert of(in_network.judge("h", services, None), "services", PROBLEM)


def test_what_the_advice_is_about():
    """Who answers, and how, says where to look."""
    for why, word in (("it says 421 4.3.2 Too busy, try again later", "fewer programs"),
                      ("TLS fails: WRONG_VERSION_NUMBER", "another machine's"),
                      ("it says 554 5.7.1 Not for your network", "`networks`"),
                      ("nobody listens there", "`networks`")):
        [finding] = in_network.judge("h", [in_network.Service("smtps", 465, why)], None)
        assert finding.level == PROBLEM and word in finding.advice, finding


def test_nobody_at_any_port():
    """That is one trouble; and with another one each has its own line."""
    services = [in_network.Service(name, port, "no answer")
                for name, port in in_network.PORTS.items()]
    [finding] = in_network.judge("h", services, None)
    assert "25, 110, 465, 587, 995" in finding.text and "`networks`" in finding.advice
    services[0].why = ""
    assert len(of(in_network.judge("h", services, None), "services", PROBLEM)) == 4


def test_starttls_that_breaks_off():
    """Without TLS it goes on serving: one trouble, not two."""
    with server(b"220 x ESMTP", b"250-x\r\n250 STARTTLS", b"220 go on", b"junk") as port:
        asked = in_network.ask("smtp", "127.0.0.1", port)
    findings = in_network.judge("h", [asked], None)
    assert of(findings, "services", OK) and not of(findings, "services", PROBLEM)
    assert "STARTTLS fails" in of(findings, "TLS", PROBLEM)[0]


def test_a_port_that_there_is_not():
    assert in_network.ask("smtp", "127.0.0.1", 70_000).why


def test_a_certificate_of_others():
    """One without names, as routers have it, and one that is none."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "router")])
    now = datetime.datetime(2026, 1, 1)
    made = x509.CertificateBuilder(name, name, key.public_key(), 7, now, now).sign(
        key, hashes.SHA256()).public_bytes(Encoding.DER)
    for certificate in (made, b"none"):
        service = in_network.Service("smtps", 465, certificate=certificate)
        assert in_network.names_in([service]) == []


# --- names --------------------------------------------------------------------------------------

@pytest.mark.parametrize("answers, certified, expected", [
    (["192.168.1.5"], ["post", "post.local"], [(OK, "post.local is 192.168.1.5")]),
    (["192.168.1.9"], [], [(PROBLEM, "post.local is 192.168.1.9 here, and the board is at "
                                     "192.168.1.5")]),
    ([], [], [(NOTE, "this computer does not find post.local")]),
    (["192.168.1.5"], ["old", "old.local"],
     [(OK, "post.local is 192.168.1.5"), (NOTE, "the certificate is for old, old.local, not for "
                                                "post")])])
def test_names(monkeypatch, answers, certified, expected):
    monkeypatch.setattr(in_network, "resolved", lambda name: answers if name == "post.local" else 1)
    findings = in_network.judge_names("post", "192.168.1.5", certified)
    assert [(each.level, each.text) for each in findings] == expected
    assert all(each.advice for each in findings if each.level != OK)


def test_a_name_of_the_real_dns(monkeypatch):
    """mDNS has none of those: `mail.xyz.com.local` is not looked for."""
    asked = []
    monkeypatch.setattr(in_network, "resolved", lambda name: asked.append(name) or [])
    [finding] = in_network.judge_names("mail.xyz.com", "192.168.1.5", [])
    assert asked == ["mail.xyz.com"] and finding.level == NOTE
    assert "name server" in finding.advice and "avahi" not in finding.advice


def test_this_computers_own_name():
    assert "127.0.0.1" in in_network.resolved("localhost")
    assert in_network.resolved("no.such.name.invalid") == []


def test_a_resolver_that_does_not_come_back(monkeypatch):
    gone = threading.Event()
    monkeypatch.setattr(in_network, "_NAME_PATIENCE", 0.1)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: [] if gone.wait(30) else [])
    assert in_network.resolved("slow.local") == []
    gone.set()


# --- autoconfig ---------------------------------------------------------------------------------

def servers(text: str) -> list[tuple[str, ...]]:
    provider = ElementTree.fromstring(text).find("emailProvider")
    return [(each.tag, each.get("type"), *(each.findtext(tag) for tag in
                                           ("hostname", "port", "socketType")))
            for each in provider if each.get("type")]


def test_autoconfig_prefers_what_is_in_tls():
    text = autoconfig.xml("post", "post.local", [
        in_network.Service(name, port, starttls=port in (25, 110, 587))
        for name, port in in_network.PORTS.items()])
    assert text.startswith("<?xml")
    assert servers(text) == [
        ("incomingServer", "pop3", "post.local", "995", "SSL"),
        ("incomingServer", "pop3", "post.local", "110", "STARTTLS"),
        ("outgoingServer", "smtp", "post.local", "465", "SSL"),
        ("outgoingServer", "smtp", "post.local", "587", "STARTTLS"),
        ("outgoingServer", "smtp", "post.local", "25", "STARTTLS")]
    provider = ElementTree.fromstring(text).find("emailProvider")
    assert [each.text for each in provider.findall("domain")] == ["post", "post.local"]
    assert {each.findtext("username") for each in provider if each.get("type")} == {
        "%EMAILLOCALPART%"}


def test_autoconfig_without_tls():
    text = autoconfig.xml("a&b", "192.168.1.5", [in_network.Service("pop3", 110),
                                                 in_network.Service("smtp", 25)])
    assert servers(text) == [("incomingServer", "pop3", "192.168.1.5", "110", "plain"),
                             ("outgoingServer", "smtp", "192.168.1.5", "25", "plain")]
    assert ElementTree.fromstring(text).find("emailProvider").findtext("domain") == "a&b"
