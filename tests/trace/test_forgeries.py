"""What looks forged or skewed is called out, and what is honest is not."""

import pytest

from host_tools.trace.report import report
from host_tools.trace.suspicions import NOTE, SUSPICION
from tests.trace.messages import GMAIL, HONEST, changed, one_hop


def found(message: bytes, severity: str = SUSPICION, trust=()) -> dict[str, tuple[int | None, str]]:
    """{code: (hop, why)}; a code comes once."""
    each = [(one.code, (one.hop, one.why)) for one in report(message, list(trust)).suspicions
            if one.severity == severity]
    assert len(dict(each)) == len(each)
    return dict(each)


def test_an_honest_message_is_not_suspected():
    assert found(HONEST) == {}
    # What the sender's own servers wrote cannot be proven, which is no fault of theirs.
    assert list(found(HONEST, NOTE)) == ["unproven"]
    assert found(HONEST, NOTE)["unproven"][1].startswith("Hops 1 and 2 are what the sender's side "
                                                         "says. What gate.univ.example.fr wrote")


# Below what the recipient's server wrote stands what the sender made up.
_MADE_UP = ("Received: from office.mybank.com (office.mybank.com [198.51.100.7])\n"
            "\tby mail.mybank.com (Postfix) with ESMTPS id 77;\n"
            "\tMon, 2 Mar 2026 10:00:01 +0100\n")
_TAKEN = "by gate.univ.example.fr (Postfix) with ESMTP id 4F1B; Mon, 2 Mar 2026 10:00:06 +0100"


def test_three_forgeries_in_one_message():
    forged = one_hop("from www.otherbank.com (static-9.hoster.example.net [203.0.113.9]) "
                     + _TAKEN, _MADE_UP.replace("2 Mar 2026 10:00", "2 Mar 2026 12:00"))
    suspicions = found(forged)
    assert {code: hop for code, (hop, _) in suspicions.items()} == {
        "broken-chain": 2, "helo": 2, "time-runs-back": 2}


# --- 1: a line that does not fit --------------------------------------------------------------

def test_a_line_below_that_does_not_fit():
    suspicions = found(one_hop("from static-9.hoster.example.net (static-9.hoster.example.net "
                               "[203.0.113.9]) " + _TAKEN, _MADE_UP))
    assert suspicions == {"broken-chain": (2, (
        "Hop 1 brought the message to mail.mybank.com, but hop 2 took it from "
        "static-9.hoster.example.net (203.0.113.9): something is missing between them, or hop 1 "
        "was made up."))}


@pytest.mark.parametrize("client", [
    "from mail.mybank.com (mail.mybank.com [198.51.100.9])",
    "from out3.mybank.com (out3.mybank.com [198.51.100.9])",  # of the same organisation
    "from filter ([192.168.1.1])",  # within a network
])
def test_the_same_line_where_it_fits(client):
    assert found(one_hop(f"{client} {_TAKEN}", _MADE_UP)) == {}


# --- 2: a name that is another's --------------------------------------------------------------

@pytest.mark.parametrize("client, says", [
    (b"from www.mybank.com (static-9.hoster.example.net [203.0.113.9])",
     "called itself www.mybank.com; its address 203.0.113.9 belongs to "
     "static-9.hoster.example.net."),
    (b"from www.mybank.com (unknown [203.0.113.9])",
     "called itself www.mybank.com; its address 203.0.113.9 has no name that would confirm it."),
    (b"from mx.univ.example.fr (static-9.hoster.example.net [203.0.113.9])",
     "as if it were of example.fr like the server; its address 203.0.113.9 belongs to "
     "static-9.hoster.example.net."),
    (b"from [198.51.100.1] (static-9.hoster.example.net [203.0.113.9])",
     "said it had the address 198.51.100.1, but it had 203.0.113.9."),
])
def test_a_helo_name_that_is_anothers(client, says):
    suspicions = found(one_hop(client.decode() + " " + _TAKEN).replace(
        b"From: a@sender.example.com", b"From: My bank <service@mybank.com>"))
    assert list(suspicions) == ["helo"] and suspicions["helo"][0] == 1
    assert says in suspicions["helo"][1]


@pytest.mark.parametrize("client", [
    b"from mail.sender.example.com (out7.sender.example.com [203.0.113.9])",
    b"from laptop (static-9.hoster.example.net [203.0.113.9])",
    b"from [192.168.1.5] (static-9.hoster.example.net [203.0.113.9])",
    b"from mail.sender.example.com ([203.0.113.9])",
    b"from camera ([192.168.1.20])",
    # Said, but neither by who has From's name nor against what the address is called.
    b"from www.mybank.com (unknown [203.0.113.9])",
    b"from mail.sender.co.jp (out.sender.com [203.0.113.9])",
])
def test_helo_names_that_are_not_anothers(client):
    assert found(one_hop(client.decode() + " " + _TAKEN)) == {}


def test_a_name_that_does_not_lead_back():
    line = "from mail.mybank.com (mail.mybank.com [203.0.113.9] (may be forged)) " + _TAKEN
    assert found(one_hop(line)) == {} and "unverified" in found(one_hop(line), NOTE)


def test_who_has_logged_in_may_be_called_anything():
    line = ("from www.mybank.com (static-9.hoster.example.net [203.0.113.9]) by "
            "gate.univ.example.fr with %s; Mon, 2 Mar 2026 10:00:06 +0100")
    assert list(found(one_hop(line % "ESMTPS"))) == ["helo"]
    assert found(one_hop(line % "ESMTPSA")) == {}


# --- 3: times ---------------------------------------------------------------------------------

@pytest.mark.parametrize("date, code, severity, says", [
    (b"Sat, 2 Mar 2019 10:00:01", "date-early", SUSPICION, "2557 d"),
    (b"Mon, 2 Mar 2026 08:30:00", "date-early", NOTE, "1 h 30 min before hop 1"),
    (b"Mon, 2 Mar 2026 11:30:00", "date-late", SUSPICION, "1 h 29 min after hop 1"),
    (b"Tue, 2 Mar 2027 10:00:01", "date-late", SUSPICION, "364 d 23 h after hop 1"),
])
def test_a_date_that_is_off(date, code, severity, says):
    forged = changed(b"Mon, 2 Mar 2026 10:00:01", date)
    assert says in found(forged, severity)[code][1]
    assert set(found(forged)) == ({code} if severity == SUSPICION else set())


def test_a_date_that_is_off_by_less_than_an_hour():
    for time in (b"09:10:00", b"10:50:00"):
        soon = changed(b"Mon, 2 Mar 2026 10:00:01", b"Mon, 2 Mar 2026 " + time)
        assert found(soon) == {} and list(found(soon, NOTE)) == ["unproven"]


def test_time_that_runs_back():
    # At the third hop 3 min are a clock's error, 10 are not.
    assert found(changed(b"10:00:06 +0100", b"09:57:06 +0100")) == {}
    suspicions = found(changed(b"10:00:06 +0100", b"09:50:06 +0100"))
    assert suspicions == {"time-runs-back": (3, (
        "Hop 3 is 9 min 59 s before hop 2, from which it came: one of the two clocks is wrong, or "
        "one of the lines."))}
    hops = report(changed(b"10:00:06 +0100", b"09:50:06 +0100")).path.hops
    assert hops[2].delay == -599 and hops[3].delay == 601


def test_a_hop_that_took_longer_than_servers_wait():
    late = HONEST.replace(b"Mon, 02 Mar 2026 10:00:10", b"Mon, 09 Mar 2026 10:00:10")
    assert found(late)["long-delay"] == (7, (
        "Hop 7 is 7 d after hop 6: servers give a message up after five days."))


def test_a_weekday_that_is_another():
    suspicions = found(changed(b"Date: Mon,", b"Date: Fri,"))
    assert suspicions == {"weekday": (None, (
        "2 March 2026 was a Monday, not a Friday (in Date): no program gets that wrong, somebody "
        "changed it."))}


@pytest.mark.parametrize("identifier, software", [
    ("1vwzGn-0000Ab-2f", "(Exim 4.96)"), ("1vwzGn-00000000AbC-1x2f", "(Exim 4.97)"),
    ("62290633012345", "(8.18.1/8.18.1)")])
def test_an_id_that_has_another_time(identifier, software):
    line = f"from a by b {software} with SMTP id {identifier}; Mon, %s 10:00:06 +0100"
    honest, forged = (one_hop(line % date) for date in ("2 Mar 2026", "2 Mar 2020"))
    assert found(honest) == {}
    assert found(forged)["queue-id"][0] == 1


# --- addresses --------------------------------------------------------------------------------

@pytest.mark.parametrize("client, code", [
    ("(mail.other.example.com [256.1.1.1])", "impossible-address"),
    ("(mail.other.example.com [0.1.2.3])", "impossible-address"),
    ("(mail.other.example.com [127.0.0.1])", "inner-address"),
])
def test_addresses_that_cannot_come_from_outside(client, code):
    forged = HONEST.replace(GMAIL[GMAIL.index(b"("):], client.encode()).replace(
        b"from mail-wr1-f41.google.com", b"from mail.other.example.com").replace(
        b"by mail-wr1-f41.google.com", b"by mail.other.example.com")
    suspicions = found(forged)
    assert suspicions[code][0] == 3
    assert set(suspicions) <= {code, "broken-chain"}


@pytest.mark.parametrize("client", [
    "from m0098419.ppops.net (localhost [127.0.0.1]) by mx0a.filter.example.com",
    "from pc.other.example.com ([10.1.2.3]) by gate.univ.example.fr"])
def test_inner_addresses_that_may_be_a_second_name(client):
    line = client + " with SMTP; Mon, 2 Mar 2026 10:00:06 +0100"
    assert found(one_hop(line)) == {} and "inner-address" in found(one_hop(line), NOTE)


def test_private_addresses_within():
    assert report(HONEST).path.hops[6].kind == "private"
    assert "inner-address" not in found(HONEST, NOTE)


# --- whom to believe --------------------------------------------------------------------------

def test_trusted_are_our_servers_from_the_top():
    path = report(HONEST).path
    assert [hop.trusted for hop in path.hops] == [False, False, True, True, True, True, True]
    assert path.border.received.address == "209.85.221.41"
    path = report(HONEST, ["google.com"]).path
    assert all(hop.trusted for hop in path.hops)


def test_a_line_that_claims_to_be_ours_is_not_trusted():
    """What stands below the line of the server that took it from outside is nobody's word."""
    claim = _MADE_UP.replace("mail.mybank.com", "mx.univ.example.fr")
    path = report(one_hop("from static-9.hoster.example.net (static-9.hoster.example.net "
                          "[203.0.113.9]) " + _TAKEN, claim)).path
    assert [hop.trusted for hop in path.hops] == [False, True]


# --- the header -------------------------------------------------------------------------------

def test_people_of_several_domains():
    mixed = changed(b"<4c7b8a@gmail.com>", b"<4c7b8a@host.example.net>",
                    changed(b"Path: <alice@gmail.com>", b"Path: <x@bulk.example.org>"))
    assert found(mixed) == {}
    assert set(found(mixed, NOTE)) == {"return-path", "message-id", "unproven"}
    shown = changed(b"From: Alice", b'From: "service@mybank.com"')
    assert "service@mybank.com" in found(shown)["name-is-address"][1]
    assert found(changed(b"From: Alice", b'From: "alice@googlemail.com"')) == {}
    report_to = changed(b"Return-Path: <alice@gmail.com>", b"Return-Path: <>")
    assert report(report_to).people.return_path == "<>" and found(report_to) == {}


def test_fields_that_stand_there_twice():
    assert found(changed(b"\nTo: bob", b"\nFrom: Eve <eve@gmail.com>\nTo: bob")).keys() == {
        "repeated-field"}


def test_notes_about_what_is_missing():
    assert set(found(b"Subject: x\n\nbody", NOTE)) == {"no-received", "no-date", "no-author"}
    line = "from a by b with SMTP; %s"
    assert found(one_hop(line % "soon"), NOTE)["no-time"][1] == (
        "Hop 1 has no date that can be read.")
    clockless = one_hop(line % "Thu, 1 Jan 1970 00:05:00 -0000 (time since start, no clock yet)")
    assert found(clockless, NOTE)["no-time"][1] == "Hop 1's server had no clock: it wrote 1970."
    assert found(clockless) == {} and report(clockless).path.total is None


def test_a_received_line_under_what_the_author_wrote():
    below = HONEST.replace(b"Subject: A letter\n", b"Subject: A letter\nReceived: from a by "
                           b"pc.lan; Mon, 2 Mar 2026 10:00:02 +0100\n")
    assert found(below) == {} and found(below, NOTE)["received-below"][0] == 1
