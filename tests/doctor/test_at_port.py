"""What `doctor` makes of what a board says of itself, in states that pass or seldom come."""

import time

import pytest

from host_tools import accounts
from host_tools.doctor import at_port, complaints
from host_tools.doctor.at_port import Told
from host_tools.doctor.finding import NOTE, OK, PROBLEM
from host_tools.errors import UserError

CARD = {"part": "card", "state": "ok", "type": "SDHC", "octets": 8 << 30, "free": 4 << 30,
        "errors": 0, "healed": 0}
NETWORK = {"part": "network", "link": "wifi", "address": "192.168.1.5", "connected": "yes",
           "gateway": "192.168.1.1", "dns": "192.168.1.1"}
OFF = {"part": "network", "link": "wifi", "address": "", "connected": "no"}
SERVICE = {"part": "service", "service": "smtp", "port": 25}
LOST = {"event": "card_lost", "why": "[Errno 5] EIO"}
EMPTY = {"event": "no_card", "why": "no card answers"}
NO_FAT = {"event": "no_card", "why": "no FAT volume on the card"}
NO_WIFI = {"event": "link_failed", "why": "Wi-Fi home: no such network"}
PASSWORD = {"event": "link_failed", "why": "Wi-Fi home: wrong password"}


def told(*parts: dict, events=()) -> Told:
    found = Told(events=list(events))
    for part in parts:
        found.parts.setdefault(part["part"], []).append(part)
    return found


def judged(*parts: dict, events=()) -> dict[str, list[tuple[str, str]]]:
    """{part: [(level, text)]}"""
    findings: dict[str, list[tuple[str, str]]] = {}
    for each in at_port.judge(told(*parts, events=events), "/dev/ttyACM0"):
        assert each.advice or each.level == OK
        findings.setdefault(each.part, []).append((each.level, each.text))
    return findings


def test_nothing_at_all():
    assert judged() == {}


def test_a_part_that_says_little():
    """Another firmware's may lack what ours says."""
    for part in ({"part": "device", "why": "the heap has no room for that now"},
                 {"part": "device", "peer": "192.168.1.20"}, {"part": "tls", "state": "none"},
                 {"part": "mailbox", "mailbox": "me", "why": "closed"},
                 {"part": "time", "set": "no", "now": 0}, {"part": "of tomorrow"}):
        judged(part)


def test_an_answer_that_is_cut(monkeypatch):
    """What was said until then counts; where nothing was, there is no board to tell of."""
    def answers(device, command):
        if command == "status":
            yield {"event": "status", **CARD}
        raise UserError(f"{device}: the board says no more; part of the answer is missing")

    monkeypatch.setattr(at_port.ask, "answers", answers)
    found = at_port.ask_all("/dev/ttyACM0")
    assert found.part("card")["state"] == "ok"
    assert [each.level for each in found.findings] == [PROBLEM]
    monkeypatch.setattr(at_port.ask, "answers", lambda device, command: answers(device, "log"))
    with pytest.raises(UserError):
        at_port.ask_all("/dev/ttyACM0")


# --- card

def test_a_card_that_is_just_being_looked_at():
    [(level, text)] = judged({"part": "card", "state": "missing", "why": ""})["card"]
    assert level == NOTE and "cannot be read" not in text


def test_a_card_that_came_before_there_was_a_network():
    """Nothing in the log says that it came."""
    assert [level for level, _ in judged(CARD, events=[EMPTY])["card"]] == [OK]


def test_the_last_reason_alone():
    state = {"part": "card", "state": "missing", "why": NO_FAT["why"]}
    [(level, text)] = judged(state, events=[EMPTY, NO_FAT])["card"]
    assert level == PROBLEM and "no FAT file system" in text


def test_a_card_that_is_back():
    """That it was lost is worth knowing, since nobody may have pulled it."""
    found = judged(CARD, events=[LOST, EMPTY, {"event": "card_back"}])["card"]
    assert [level for level, _ in found] == [OK, NOTE]


def test_a_card_that_has_room_again():
    full = {"event": "card_full", "error": "[Errno 28] ENOSPC"}
    assert [level for level, _ in judged(CARD, events=[full])["card"]] == [OK]
    found = judged({**CARD, "free": 1000}, events=[full])["card"]
    assert sorted(level for level, _ in found) == [NOTE, OK, PROBLEM]


def test_a_fault_is_over_with_the_next_letter():
    fault = {"event": "card_fault", "error": "[Errno 5] EIO"}
    assert len(complaints.judge([fault, {"event": "card_back"}])) == 1
    assert complaints.judge([fault, {"event": "accepted", "peer": "192.168.1.20"}]) == []


def test_a_mailbox_is_as_its_state_says():
    closed = {"event": "mailbox_closed", "mailbox": "me", "why": "[Errno 5] EIO"}
    box = {"part": "mailbox", "mailbox": "me", "messages": 3, "octets": 5}
    assert PROBLEM not in dict(judged(CARD, box, events=[closed])["accounts"])
    assert "card" in judged(CARD, {**box, "why": "[Errno 5] EIO"})


# --- network

def test_a_board_that_is_just_joining():
    [(level, text)] = judged(OFF)["network"]
    assert level == PROBLEM and "is gone" not in text
    assert "is gone" in judged(OFF, SERVICE)["network"][0][1]


def test_what_is_in_the_way_of_a_network():
    """However much was said since, and of two reasons the last."""
    many = [{"event": "refused", "peer": f"192.168.1.{last}", "why": "x", "advice": "y"}
            for last in range(20)]
    [(level, text)] = judged(OFF, events=[NO_WIFI, PASSWORD, *many])["network"]
    assert level == PROBLEM and "does not take its password" in text


def test_a_network_that_is_there():
    down = {"event": "link_down"}
    assert [level for level, _ in judged(NETWORK, events=[NO_WIFI, down])["network"]] == [OK]
    away = {"event": "fallback_address", "address": "192.168.9.9"}
    assert [level for level, _ in judged(NETWORK, events=[away])["network"]] == [OK]
    here = {**away, "address": NETWORK["address"]}
    assert [level for level, _ in judged(NETWORK, events=[here])["network"]] == [OK, NOTE]


# --- time

def test_a_server_that_has_gone_silent():
    """The clock goes on: mail has its dates."""
    clock = {"part": "time", "set": "yes", "now": int(time.time()), "server": "gateway"}
    silent = {"event": "no_time", "server": "192.168.1.1", "why": "[Errno 110] ETIMEDOUT"}
    assert judged(clock)["time"] == [(OK, "set, by gateway")]
    assert judged({**clock, "server": "none"})["time"] == [(OK, "set")]
    del clock["server"]  # before there is a network
    assert judged(clock)["time"] == [(OK, "set")]
    assert "by None" not in str(judged({**clock, "now": 1}))
    clock["server"] = "gateway"
    [(level, text)] = judged(clock, events=[silent])["time"]
    assert level == NOTE and "says nothing now" in text
    [(level, _)] = judged({**clock, "set": "no", "now": 0}, events=[silent])["time"]
    assert level == PROBLEM
    set_again = {"event": "clock_set", "server": "10.0.0.1"}  # by name before, by address now
    assert judged(clock, events=[{**silent, "server": "ntp"}, set_again])["time"][0][0] == OK


# --- devices and servers

def test_one_device_back_is_not_all():
    silent = [{"event": "device_silent", "peer": f"192.168.1.{last}", "helo": "c", "mailbox": "me"}
              for last in (20, 21)]
    back = {"event": "device_back", "peer": "192.168.1.20", "helo": "c"}
    [finding] = complaints.judge([*silent, back])
    assert "192.168.1.21" in finding.text


def test_one_server_told_is_not_all():
    away = [{"event": "notice_put_off", "mailbox": "me", "server": server, "why": "away"}
            for server in ("192.168.1.5:1883", "192.168.1.6:80")]
    [finding] = complaints.judge([*away, {"event": "notified", "mailbox": "me", "way": "mqtt",
                                          "server": "192.168.1.5:1883"}])
    assert "192.168.1.6:80" in finding.text


# --- why a board does not start

def texts(wrong: str, said: str) -> list[str]:
    return [each.text for each in at_port._failed(wrong, said)]


def test_what_its_last_fault_said_may_be_over():
    wrong = "settings.json: hostname must be a host name"
    assert wrong in texts(wrong, "")[0] and wrong in texts(wrong, wrong)[0]
    for over in (wrong, "accounts.txt, line 1: x", "notices: rule 1: x",
                 "catch_all must name an account; there is no ghost"):
        assert texts("", over) == []
    assert "three starts failed" in texts("", "3 starts failed, the last one with: x")[0]
    assert "TLS key" in texts("", "tls_key.der and tls_cert.der are no key")[0]
    [text] = texts("", "Traceback (most recent call last):\n  File\nOSError: 5")
    assert text.endswith("OSError: 5") and "setting" not in text


def test_what_it_would_not_start_with():
    me = (accounts.line("me", "pw") + "\n").encode()
    for settings, lines, words in (
            (None, None, ""), (b"{}", me, ""), (b'{"catch_all": "me"}', None, ""),
            (b"{", me, "settings.json is not JSON"), (b"[]", me, "settings.json: want an object"),
            (b'{"hostname": "a b"}', me, "settings.json: hostname must be"),
            (b'{"catch_all": "you"}', me, "must name an account; there is no you"),
            (b"{}", b"me:x\n", "accounts.txt, line 1: "), (b"{}", b"\xff", "")):
        assert words in at_port._wrong(settings, lines)
    assert at_port._wrong(b"{}", b"\xff") and not at_port._wrong(b"{}", me)
