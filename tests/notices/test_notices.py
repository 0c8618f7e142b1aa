"""Notices of new letters, from SMTP to real servers: on both kinds of sockets."""

from __future__ import annotations

import json
import time
from email.header import Header
from pathlib import Path

import pytest

from host_tools.emulator.card_image import CardImage
from tests.e2e.conftest import KINDS
from tests.notices.servers import PASSWORD, USER, BlackHole, Broker, Web
from tests.support.appliance import Appliance
from tests.support.ports import free_port_offset
from tests.support.running import Running
from tests.support.wire import Lines, Pop3, send

LWIP = Path(__file__).parents[1] / "support" / "lwip_notices.py"
QUICK = Path(__file__).parents[1] / "support" / "quick_notices.py"
# The router's ports, at which the emulated board finds this computer.
MQTT, WEB, OTHER = 1883, 8123, 8124
SERVER = "host.lan"
MOTION = (b"From: Camera Garden <cam@lan>\r\nSubject: Motion in the garden\r\n"
          b"Date: Mon, 30 Nov 2026 07:05:09 +0100\r\n\r\nSomething moves.\r\nMore.\r\n")


@pytest.fixture
def offset():
    return free_port_offset((25, 110, MQTT, WEB, OTHER))


@pytest.fixture(params=KINDS)
def start(request, tmp_path, offset):
    """start(rule, ...): an appliance with these rules. It must end without a fault."""
    running = []

    def begin(*rules, **more):
        appliance = Appliance(
            tmp_path / "card.img", request.param, settings={"notices": list(rules)},
            main=QUICK, offset=offset, more=("--in-place",), **more)
        running.append(appliance)
        return appliance

    yield begin
    for appliance in running:
        if appliance.process.poll() is None:
            appliance.stop()
        assert appliance.faults() == []


def mqtt(**more):
    return {"server": SERVER, "port": MQTT, "topic": "picopost/girl", "user": USER,
            "password": PASSWORD, **more}


def test_a_real_broker_gets_what_is_promised(start, tmp_path, offset):
    with Broker(tmp_path, offset + MQTT) as broker:
        appliance = start({"mailbox": "girl", "mqtt": mqtt()})
        assert send(appliance.smtp, MOTION).startswith(b"250")
        topic, told = broker.next()
        octets = told.pop("octets")
        assert topic == "picopost/girl" and told == {
            "mailbox": "girl", "name": "Camera Garden", "from": "cam@lan",
            "subject": "Motion in the garden", "date": "2026-11-30T07:05:09+01:00",
            "text": "Something moves.", "attachments": []}
        event = appliance.wait_for("notified")
        assert (event["mailbox"], event["way"], event["server"]) == (
            "girl", "mqtt", f"{SERVER}:{MQTT}")
        reader = Pop3(appliance.pop3, "girl", "s3cret word")
        assert reader.sizes() == {1: octets}
        reader.quit()
        assert broker.messages.empty()
        assert PASSWORD not in json.dumps(appliance.events)


def test_ntfy_and_a_webhook(start, offset):
    with Web(offset + WEB) as web:
        appliance = start({"ntfy": f"http://{SERVER}:{WEB}/alerts?auth=abc"},
                          {"subject": "MOTION", "from": "CAM@", "post":
                           f"http://{SERVER}:{WEB}/api/webhook/secret"},
                          {"subject": "motion", "from": "printer", "post":
                           f"http://{SERVER}:{WEB}/never"},
                          {"mailbox": "boy", "post": f"http://{SERVER}:{WEB}/never"})
        assert send(appliance.smtp, MOTION).startswith(b"250")
        path, headers, told = web.next()
        assert (path, told) == ("/?auth=abc", {
            "topic": "alerts", "title": "Motion in the garden",
            "message": "Camera Garden\nSomething moves."})
        assert headers == {
            "Host": f"{SERVER}:{WEB}", "User-Agent": "picopost", "Connection": "close",
            "Content-Type": "application/json", "Content-Length": headers["Content-Length"]}
        path, _, told = web.next()
        assert path == "/api/webhook/secret" and told["subject"] == "Motion in the garden"
        appliance.wait_for("notified", way="ntfy")
        appliance.wait_for("notified", way="post")
        assert web.requests.empty() and "webhook" not in json.dumps(appliance.events)


HOSTILE = [
    # A subject that would end a header, or JSON.
    ('=?utf-8?q?a=0D=0AX-Evil:_1=0D=0A=0D=0A{"b"?=', "nobody <x@y>", None),
    ('"quotes" \\ and }\x7f.', '"a\\"b" <x@y>', '"quotes" \\ and } .'),
    ("=?utf-8?b?7aCA8J+Ys8O8?=", "x@y", "\ufffd\ufffd\ufffd\U0001f633\xfc"),  # half a surrogate
    ("\xe9\xff", "\xe9 <x@y>", "\xe9\xff"),  # raw windows-1252
    ("x" * 900, "y" * 900 + "@lan", "x" * 200),
    ("", "", ""),
]


def test_text_from_strangers_stays_text(start, tmp_path, offset):
    """In the values of JSON that a strict parser takes, bounded; none of it in a header."""
    with Broker(tmp_path, offset + MQTT) as broker, Web(offset + WEB) as web:
        appliance = start({"mqtt": mqtt(), "post": f"http://{SERVER}:{WEB}/a",
                           "ntfy": f"http://{SERVER}:{WEB}/b"})
        names = None
        for subject, sender, shown in HOSTILE:
            letter = f"Subject: {subject}\r\nFrom: {sender}\r\n\r\ntext\r\n".encode("latin-1")
            assert send(appliance.smtp, letter).startswith(b"250")
            _, told = broker.next()
            if shown is not None:
                assert told["subject"] == shown
            assert len(json.dumps(told)) < 4_000 and "\n" not in told["subject"]
            for _ in range(2):
                _, headers, body = web.next()
                assert "X-Evil" not in headers and (names or set(headers)) == set(headers)
                names = set(headers)
                assert body.get("title", body.get("subject")) in (told["subject"], "Mail for girl")


def test_attachments_and_words_are_decoded(start, tmp_path, offset):
    parts = b"".join(
        b"--b\r\nContent-Type: image/jpeg\r\nContent-Transfer-Encoding: base64\r\n"
        b"Content-Disposition: attachment; filename=\"%d.jpg\"\r\n\r\n%s\r\n"
        % (number, b"\r\n".join([b"QUJD" * 18] * 200)) for number in range(7))
    letter = (b"From: =?utf-8?q?Kamera_H=C3=B6fchen?= <cam@lan>\r\nSubject: "
              + Header("Bewegung: Höfchen", "utf-8").encode().encode()
              + b"\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nLook.\r\n"
              + parts + b"--b--\r\n")
    with Broker(tmp_path, offset + MQTT) as broker:
        appliance = start({"subject": "bewegung: höf", "mqtt": mqtt()})
        assert send(appliance.smtp, letter).startswith(b"250")
        told = broker.next()[1]
        assert (told["name"], told["subject"], told["text"]) == (
            "Kamera Höfchen", "Bewegung: Höfchen", "Look.")
        assert told["attachments"] == ["0.jpg", "1.jpg", "2.jpg", "3.jpg", "4.jpg"]


def test_a_broker_that_is_down_at_first(start, tmp_path, offset):
    appliance = start({"mqtt": mqtt()})
    assert send(appliance.smtp, MOTION).startswith(b"250")
    event = appliance.wait_for("notice_put_off")
    assert event["server"] == f"{SERVER}:{MQTT}" and event["why"]
    with Broker(tmp_path, offset + MQTT) as broker:
        appliance.wait_for("notified")
        # The first one may have come before the subscriber, and then it is nobody's.
        assert send(appliance.smtp, MOTION.replace(b"garden", b"house")).startswith(b"250")
        appliance.wait_for("notified")
        told = [broker.next()[1]["subject"]]
        if told[0] == "Motion in the garden":
            told.append(broker.next()[1]["subject"])
        assert told[-1] == "Motion in the house" and broker.messages.empty()


def test_a_wrong_password(start, tmp_path, offset):
    with Broker(tmp_path, offset + MQTT) as broker:
        appliance = start({"mqtt": mqtt(password="wr0ng")})
        assert send(appliance.smtp, MOTION).startswith(b"250")
        event = appliance.wait_for("notice_failed")
        # Mosquitto calls it 5.
        assert event["why"] in ("wrong user or password", "this user may not connect")
        assert "password" in event["advice"] and event["server"] == f"{SERVER}:{MQTT}"
        assert "wr0ng" not in json.dumps(appliance.events) and broker.messages.empty()


def test_what_a_server_answers(start, offset):
    """5xx and 429 are tried again, 4xx is not."""
    with Web(offset + WEB, (503, 429, 200)) as web, Web(offset + OTHER, (404,)) as other:
        appliance = start({"post": f"http://{SERVER}:{WEB}/"},
                          {"post": f"http://{SERVER}:{OTHER}/x"})
        assert send(appliance.smtp, MOTION).startswith(b"250")
        event = appliance.wait_for("notice_failed")
        assert event["why"] == "it answers HTTP 404" and event["server"].endswith(str(OTHER))
        appliance.wait_for("notified")
        assert web.requests.qsize() == 3 and other.requests.qsize() == 1
        assert [event["why"] for event in appliance.events
                if event["event"] == "notice_put_off"] == ["it answers HTTP 503"]


@pytest.mark.parametrize("drip", [b"", b"H"])
def test_a_server_that_does_not_answer(start, offset, drip):
    """It holds up neither letters nor other servers, nor the board's end."""
    with BlackHole(offset + OTHER, drip) as hole, Web(offset + WEB) as web:
        appliance = start({"post": f"http://{SERVER}:{OTHER}/"},
                          {"post": f"http://{SERVER}:{WEB}/"})
        assert send(appliance.smtp, MOTION).startswith(b"250")
        assert hole.arrived.get(timeout=60) == 1
        for number in range(12):
            letter = MOTION.replace(b"garden", b"garden %d" % number)
            assert send(appliance.smtp, letter).startswith(b"250")
        for _ in range(13):
            assert web.next()[2]["text"] == "Something moves."
        assert appliance.wait_for("notice_put_off")["why"] == "it does not answer"
        assert [event["event"] for event in appliance.events].count("accepted") == 13


def test_a_burst_goes_as_fast_as_without(start, offset, tmp_path):
    """With a server that holds each notice until its time is up."""
    def burst(appliance) -> float:
        began = time.monotonic()
        with Lines(appliance.smtp) as smtp:
            smtp.reply()
            smtp.say(b"EHLO abc.com")
            for _ in range(60):
                for command in (b"MAIL FROM:<a@b.c>", b"RCPT TO:<girl@xyz.com>", b"DATA"):
                    assert smtp.say(command)[:1] in b"23"
                assert smtp.say(MOTION + b".").startswith(b"250")
        return time.monotonic() - began

    with BlackHole(offset + OTHER) as hole:
        appliance = start({"subject": "motion", "post": f"http://{SERVER}:{OTHER}/"})
        with_notices = [burst(appliance) for _ in range(3)]
        assert hole.connections
        appliance.stop()
        appliance = start({"mailbox": "boy", "led": True})
        without = [burst(appliance) for _ in range(3)]
    # One SYN, or one answer, that was waited for would be 1.0 s or more.
    assert min(with_notices) < 3 * min(without), (with_notices, without)


def test_the_250_comes_first(start, offset):
    """Pipelined too: while its client has not got it nobody is told."""
    with Web(offset + WEB) as web:
        appliance = start({"post": f"http://{SERVER}:{WEB}/"})
        for _ in range(20):
            with Lines(appliance.smtp) as smtp:
                smtp.reply()
                for command in (b"EHLO abc.com", b"MAIL FROM:<a@b.c>", b"RCPT TO:<girl@xyz.com>",
                                b"DATA"):
                    assert smtp.say(command)[:1] in b"23"
                assert web.requests.empty()
                assert smtp.say(MOTION + b".").startswith(b"250")
                answered = time.monotonic()
                web.next()
                assert answered < web.arrived


def test_two_mailboxes_and_the_led(start, offset):
    """A copy each; what POP3 fetched is seen."""
    with Web(offset + WEB) as web:
        appliance = start({"mailbox": "girl", "led": True, "post": f"http://{SERVER}:{WEB}/g"},
                          {"mailbox": "boy", "post": f"http://{SERVER}:{WEB}/b"})
        assert send(appliance.smtp, MOTION, to=(b"girl@xyz.com", b"boy@xyz.com")
                    ).startswith(b"250")
        told = sorted((web.next()[::2] for _ in range(2)), key=lambda pair: pair[0])
        assert [(path, body["mailbox"]) for path, body in told] == [("/b", "boy"), ("/g", "girl")]
        # The LED comes before the servers.
        assert [event["mail"] for event in appliance.events if event["event"] == "led"] == ["yes"]
        for user, password in appliance.users.items():
            reader = Pop3(appliance.pop3, user, password)
            assert reader.text(1).endswith(b"More.\r\n")
            reader.quit()
            if user == "boy":
                break
            assert appliance.wait_for("led")["mail"] == "yes"
            assert appliance.wait_for("led")["mail"] == "no"


def test_lwip_with_all_its_connections_taken(tmp_path, offset):
    """Five clients have them: the notice waits, then has its turn, and the next client too."""
    with Web(offset + WEB) as web, Appliance(
            tmp_path / "card.img", settings={"notices": [{"post": f"http://{SERVER}:{WEB}/"}]},
            main=LWIP, offset=offset, more=("--in-place",)) as appliance:
        five = [Lines(appliance.smtp) for _ in range(5)]
        for session in five:
            assert session.reply().startswith(b"220")
        for command in (b"EHLO abc.com", b"MAIL FROM:<a@b.c>", b"RCPT TO:<girl@xyz.com>", b"DATA",
                        MOTION + b"."):
            assert five[0].say(command)[:1] in b"23"
        assert "ENOMEM" in appliance.wait_for("notice_put_off")["why"]
        assert web.requests.empty()
        assert five.pop().say(b"QUIT").startswith(b"221")
        assert web.next()[2]["subject"] == "Motion in the garden"
        appliance.wait_for("notified")
        with Lines(appliance.smtp) as sixth:
            assert sixth.reply().startswith(b"220")
        for session in five:
            session.close()
        assert not appliance.faults()


def test_lwip_large_notices(tmp_path, offset):
    """Longer than what counts as an answer, to a broker: nothing waits inside C."""
    wide = "\u00fc".encode()
    letter = b"Subject: %s\r\nFrom: %s <%s@lan>\r\n\r\n%s\r\n" % (
        wide * 200, wide * 200, b"f" * 190, wide * 200)
    with Broker(tmp_path, offset + MQTT) as broker, Appliance(
            tmp_path / "card.img", settings={"notices": [{"mqtt": mqtt()}]}, main=LWIP,
            offset=offset, more=("--in-place",)) as appliance:
        for _ in range(3):
            assert send(appliance.smtp, letter).startswith(b"250")
            assert broker.next()[1]["subject"] == "ü" * 200
            appliance.wait_for("notified")
        assert not appliance.faults()


def test_an_appliance_that_does_not_find_the_name(start, offset):
    appliance = start({"post": f"http://nas.lan:{WEB}/"})
    assert send(appliance.smtp, MOTION).startswith(b"250")
    why = appliance.wait_for("notice_put_off")["why"]
    assert "asked for nas.lan: it knows no such name" in why


def test_a_server_that_never_comes(start, offset):
    """After a while the log says that nobody was told, and why; later letters have their turn."""
    appliance = start({"post": f"http://{SERVER}:{WEB}/secret"})
    assert send(appliance.smtp, MOTION).startswith(b"250")
    event = appliance.wait_for("notice_failed")
    assert event["server"] == f"{SERVER}:{WEB}" and event["mailbox"] == "girl"
    assert event["why"] and "does it listen there" in event["advice"]
    assert "secret" not in json.dumps(appliance.events)
    with Web(offset + WEB) as web:
        assert send(appliance.smtp, MOTION).startswith(b"250")
        assert web.next()[2]["subject"] == "Motion in the garden"


@pytest.mark.filterwarnings("ignore:SD")
def test_a_card_that_is_pulled_and_comes_back(tmp_path, offset):
    """Before its letter was told of: it is, when the card is there again. Not of another card's
    letter that has the same number."""
    rule = {"post": f"http://{SERVER}:{WEB}/"}
    with Running(tmp_path, {"notices": [rule]}, main=QUICK, offset=offset) as running:
        running.wait_for("ready")
        assert send(running.smtp, MOTION).startswith(b"250")
        running.wait_for("notice_put_off")
        card = running.board.sd_card
        card.remove()
        running.wait_for("card_lost")
        with Web(offset + WEB) as web:
            card.insert()
            running.wait_for("card_back")
            assert web.next()[2]["subject"] == "Motion in the garden"
            running.wait_for("notified")
        assert send(running.smtp, MOTION).startswith(b"250")
        running.wait_for("notice_put_off")
        card.remove()
        running.wait_for("card_lost")
        with CardImage.create(tmp_path / "other.img") as other:
            card.insert(other, serial=2)
            running.wait_for("card_back")
            with Web(offset + WEB) as web:
                for number in range(3):
                    letter = b"Subject: other %d\r\n\r\ntext\r\n" % number
                    assert send(running.smtp, letter).startswith(b"250")
                    assert web.next()[2]["subject"] == f"other {number}"
                    running.wait_for("notified")
                assert web.requests.empty()
            card.remove()
            running.wait_for("card_lost")
            card.insert(running.card, serial=1)
            running.wait_for("card_back")
        assert not any(event["event"] in ("fault", "console") for event in running.passed)


def test_a_letter_that_is_gone(start, tmp_path, offset):
    """Deleted before its server was there: nobody is told of what nobody will find."""
    appliance = start({"mqtt": mqtt()})
    for letter in (MOTION, MOTION.replace(b"garden", b"house")):
        assert send(appliance.smtp, letter).startswith(b"250")
    appliance.wait_for("notice_put_off")
    reader = Pop3(appliance.pop3, "girl", "s3cret word")
    reader.command(b"DELE 1")
    reader.quit()
    appliance.wait_for("deleted")
    with Broker(tmp_path, offset + MQTT):
        appliance.wait_for("notified")
        assert send(appliance.smtp, MOTION.replace(b"garden", b"shed")).startswith(b"250")
        appliance.wait_for("notified")
        assert sum(event["event"] == "notified" for event in appliance.events) == 2


def test_more_letters_than_the_queue_has_room_for(start, offset):
    """The oldest notices go; all letters are kept, and the last letters are told of."""
    with BlackHole(offset + OTHER), Web(offset + WEB) as web:
        appliance = start({"subject": "motion", "post": f"http://{SERVER}:{OTHER}/"},
                          {"subject": "number", "post": f"http://{SERVER}:{WEB}/"})
        assert send(appliance.smtp, MOTION).startswith(b"250")
        for number in range(40):
            assert send(appliance.smtp, b"Subject: number %d\r\n\r\n\r\n" % number
                        ).startswith(b"250")
        told = [web.next()[2]["subject"]]
        while told[-1] != "number 39":
            told.append(web.next()[2]["subject"])
        assert told == sorted(told, key=lambda subject: int(subject.split()[1]))
        reader = Pop3(appliance.pop3, "girl", "s3cret word")
        assert len(reader.sizes()) == 41
        reader.quit()
