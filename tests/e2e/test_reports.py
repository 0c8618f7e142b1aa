"""Delivery status notifications to local senders (RFC 3461), by the whole appliance."""

import email
import email.policy

import pytest

from tests.e2e.conftest import KINDS
from tests.support.appliance import Appliance
from tests.support.wire import Lines, Pop3

USERS = {"girl": "pw", "boy": "pw", "small": "pw"}
BIG = b"Subject: scan\r\nMessage-ID: <1@xyz.com>\r\n\r\n" + b"x" * 70 * 140 + b"\r\n"


@pytest.fixture(scope="module", params=KINDS)
def appliance(request, tmp_path_factory):
    card = tmp_path_factory.mktemp(request.param) / "card.img"
    with Appliance(card, request.param, USERS, {
            "mailboxes": {"small": {"max_octets": 5000}},
            "aliases": {"both": ["boy", "small"]}}) as running:
        yield running
        assert running.faults() == []


def submit(appliance, sender: bytes, recipients: list[bytes], text: bytes,
           parameters: bytes = b"", chunked: bool = False) -> bytes:
    """The reply behind the message; `recipients` with their parameters."""
    with Lines(appliance.smtp) as session:
        session.reply()
        for command in (b"EHLO x", b"MAIL FROM:<%s>%s" % (sender, parameters),
                        *(b"RCPT TO:%s" % recipient for recipient in recipients)):
            reply = session.say(command)
            assert reply.startswith(b"250"), reply
        if chunked:
            session.socket.sendall(b"BDAT %d LAST\r\n%s" % (len(text), text))
        else:
            assert session.say(b"DATA").startswith(b"354")
            session.socket.sendall(text + b".\r\n")
        return session.reply()


def collect(appliance, user: str) -> list[bytes]:
    return Pop3(appliance.pop3, user, "pw").take_all()


def report(text: bytes) -> tuple[email.message.Message, list[email.message.Message]]:
    """The fields about the message and about each recipient."""
    message = email.message_from_bytes(text, policy=email.policy.default)
    assert message["Return-Path"] == "<>" and message["Auto-Submitted"] == "auto-replied"
    assert message.get_content_type() == "multipart/report"
    person, status, head = message.iter_parts()
    assert person.get_content_type() == "text/plain"
    assert head.get_content_type() == "text/rfc822-headers" and "scan" in head.get_content()
    first, *rest = status.get_payload()
    return first, rest


@pytest.mark.parametrize("chunked", [False, True])
def test_success_is_told_where_it_was_asked_for(appliance, chunked):
    reply = submit(appliance, b"girl@xyz.com",
                   [b"<boy@xyz.com> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Bob+2B1@xyz.com",
                    b"<girl@xyz.com> NOTIFY=FAILURE"], BIG, b" ENVID=QQ314159", chunked)
    assert reply.startswith(b"250")
    assert collect(appliance, "boy")[0].endswith(BIG)
    letters = collect(appliance, "girl")
    assert letters[0].endswith(BIG) and len(letters) == 2
    message, [about] = report(letters[1])
    assert message["Original-Envelope-Id"] == "QQ314159"
    assert about["Action"] == "delivered" and about["Final-Recipient"] == "rfc822; boy@xyz.com"
    assert about["Original-Recipient"] == "rfc822; Bob+1@xyz.com"


def test_nothing_is_told_unasked_or_to_others(appliance):
    for sender, parameters in ((b"girl@xyz.com", b""), (b"girl@xyz.com", b" NOTIFY=NEVER"),
                               (b"girl@example.com", b" NOTIFY=SUCCESS"),
                               (b"", b" NOTIFY=SUCCESS")):
        assert submit(appliance, sender, [b"<boy@xyz.com>" + parameters], BIG).startswith(b"250")
    assert collect(appliance, "girl") == [] and len(collect(appliance, "boy")) == 4


@pytest.mark.parametrize("recipients", [
    [b"<small@xyz.com>", b"<boy@xyz.com>"], [b"<both@xyz.com>"],
    [b"<small@xyz.com> NOTIFY=FAILURE,SUCCESS", b"<boy@xyz.com> NOTIFY=NEVER"]])
@pytest.mark.parametrize("size", [6000, len(BIG)])
def test_failure_is_told_and_the_others_get_it(appliance, recipients, size):
    """Its size was not declared, so that it is too much for one shows at the end only."""
    text = BIG[:size - 2] + b"\r\n"
    assert submit(appliance, b"girl@xyz.com", recipients, text).startswith(b"250")
    assert collect(appliance, "small") == []
    assert collect(appliance, "boy")[0].endswith(text)
    [letter] = collect(appliance, "girl")
    _, [about] = report(letter)
    assert about["Action"] == "failed" and about["Status"] == "5.2.3"
    assert about["Diagnostic-Code"].startswith("smtp; 552 5.2.3 ")


@pytest.mark.parametrize("sender, recipients", [
    (b"girl@example.com", [b"<small@xyz.com>", b"<boy@xyz.com>"]),  # who could not be told
    (b"girl@xyz.com", [b"<small@xyz.com> NOTIFY=NEVER", b"<boy@xyz.com>"]),  # or must not
    (b"small@xyz.com", [b"<small@xyz.com>", b"<boy@xyz.com>"]),  # or has no room to hear
    (b"girl@xyz.com", [b"<small@xyz.com>"]),
])
def test_or_it_is_refused_for_all(appliance, sender, recipients):
    assert submit(appliance, sender, recipients, BIG).startswith(b"552 5.2.3 ")
    for user in USERS:
        assert collect(appliance, user) == []
