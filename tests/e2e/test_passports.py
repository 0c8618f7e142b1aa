"""What a whole appliance learns of devices: each transcript of tests/smtp/zoo is played from an
address of its own; then a PC looks at the card.
"""

from pathlib import Path

import pytest

from host_tools.card import devices
from host_tools.card.check import Check
from host_tools.card.source import open_card
from tests.e2e.conftest import KINDS
from tests.support import dialogues
from tests.support.appliance import Appliance
from tests.support.wire import Pop3

_KEEN = Path(__file__).parents[1] / "passports" / "keen.py"
ZOO = dialogues.parse_all(Path(__file__).parents[1] / "smtp" / "zoo")
# As many as have room, on each kind of sockets others.
_HALVES = (ZOO[:30], ZOO[25:])
# What is particular about some of them.
_QUIRKS = {
    "alarm_dialer": ["no-ehlo", "hangs-up"],
    "alarm_panel": ["no-ehlo", "pipelines"],
    "bmc_supermicro": ["no-ehlo", "odd-helo", "hangs-up"],
    "camera_foscam": ["no-ehlo", "odd-path", "hangs-up"],
    "camera_hikvision": ["odd-helo", "odd-path", "login"],
    "camera_reolink": ["tls", "login"],
    "micropython_umail": ["odd-path", "bare-lf", "tls", "login"],
    "nas_synology": ["tls", "login"],
    "printer_hp": ["tls"],
    "printer_xerox": ["login"],
    "script_netcat": ["no-ehlo", "pipelines"],
    "script_swaks": ["login-fails", "login"],
    "smarthost_exim": [],
    "switch_cisco": ["no-ehlo", "bare-lf"],
}
_REFUSED = {
    "printer_ricoh": "No such mailbox here",
    "script_swaks": "wrong password for 'girl'",
    "smarthost_postfix": "No such mailbox here",
    "torrent_client": "No such mailbox here",
}


@pytest.mark.parametrize("board, scripts", list(zip(KINDS, _HALVES, strict=True)), ids=KINDS)
def test_the_zoo(tmp_path, board, scripts):
    card = tmp_path / "card.img"
    with Appliance(card, board, {"girl": "pw"}, {"passports": True}, main=_KEEN) as appliance:
        for number, script in enumerate(scripts, 1):
            dialogues.play(script, appliance.ports[script.port], source=f"127.0.0.{number}")
            appliance.wait_for("entered")
        letters = Pop3(appliance.pop3, "girl", "pw").take_all()
        assert not appliance.faults()
    with open_card(card) as opened:
        check = Check(opened)
        assert not [finding for finding in check.run() if "DEV" in finding.where]
        found = {each["peer"].rpartition(".")[2]: each  # of the LAN that the board is in
                 for each in map(devices.as_json, devices.passports(opened))}
    assert len(found) == len(scripts)
    assert sum(device["octets"] for device in found.values()) == sum(map(len, letters))
    for number, script in enumerate(scripts, 1):
        name = script.name.removesuffix(".txt")
        device = found[str(number)]
        assert device["letters"] == script.delivered and device["port"] == script.port, name
        # Whether what came early was seen before the greeting is up to the network.
        quirks = [quirk for quirk in device["quirks"] if quirk != "early"]
        assert quirks == _QUIRKS.get(name, quirks), name
        assert device["why"] == _REFUSED.get(name, ""), name
        assert bool(device["advice"]) == (name in _REFUSED), name


def test_it_stays_over_a_start(tmp_path):
    card = tmp_path / "card.img"
    script = next(script for script in ZOO if script.name == "camera_axis.txt")
    for count in (1, 2):
        with Appliance(card, "pico_w", {"girl": "pw"}, {"passports": True}) as appliance:
            dialogues.play(script, appliance.ports[script.port], source="127.0.0.9")
            appliance.wait_for("closed")
        with open_card(card) as opened:  # the end in order has entered it
            [passport] = devices.passports(opened)
        assert passport.letters == count and passport.peer == "127.0.0.9"
