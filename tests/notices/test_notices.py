"""Notices of new letters, from SMTP to real servers: on both kinds of sockets."""

from __future__ import annotations

import json
from email.header import Header
from pathlib import Path

import pytest

from tests.e2e.conftest import KINDS
from tests.notices.servers import PASSWORD, USER, BlackHole, Broker, Web
from tests.support.appliance import Appliance, free_port_offset
from tests.support.wire import Pop3, send

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
