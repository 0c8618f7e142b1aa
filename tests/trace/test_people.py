"""Who sent a message, to whom, with what."""

from host_tools.trace import header, people
from host_tools.trace.people import domain


def test_all_that_a_header_says_of_people():
    found = people.read(header.read(
        b"Return-Path: <bounce@example.org>\nDelivered-To: bob@example.net\n"
        b"X-Original-To: bob@example.net\nEnvelope-To: <office@example.net>\n"
        b"From: =?utf-8?q?Ren=C3=A9?= <rene@example.com>, al@example.com\n"
        b"Sender: list@example.org\nReply-To: list-reply@example.org\nTo: Bob <bob@example.net>\n"
        b"Cc: c@example.net\nBcc: d@example.net\nSubject: =?utf-8?b?w6k=?=\n"
        b"Message-ID: <1.2@Host.Example.com>\nUser-Agent: Agent 1\n"
        b"X-Originating-IP: [198.51.100.7]\n\n"))
    assert found.author == [("René", "rene@example.com"), ("", "al@example.com")]
    assert found.sender == [("", "list@example.org")]
    assert found.reply_to == [("", "list-reply@example.org")]
    assert found.to == [("Bob", "bob@example.net")]
    assert found.cc == [("", "c@example.net")] and found.bcc == [("", "d@example.net")]
    assert found.return_path == "bounce@example.org" and found.subject == "é"
    assert found.delivered_to == ["bob@example.net", "office@example.net"]
    assert found.message_id_domain == "host.example.com"
    assert found.program == "Agent 1" and found.web_address == "198.51.100.7"


def test_what_is_not_said():
    found = people.read(header.read(b"X-Mailer: Mailer 2\nUser-Agent: Agent 1\nReturn-Path: \n"
                                    b"X-Originating-IP: home\n\n"))
    assert found.author == found.to == found.delivered_to == []
    assert found.return_path == found.web_address == found.message_id_domain == ""
    assert found.program == "Mailer 2"
    assert people.read(header.read(b"Return-Path: <>\n\n")).return_path == "<>"
    assert domain("a@B.c") == "b.c" and domain("a") == ""
