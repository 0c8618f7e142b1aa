"""Servers in their order, what stays within one of them, and whose lines are believed."""

import pytest

from host_tools.trace.report import Report, report

_DATE = "; Mon, 2 Mar 2026 10:00:06 +0100"


def way(*lines: str) -> Report:
    """Of Received lines, the newest first."""
    return report("".join(f"Received: {line}{_DATE}\n" for line in lines).encode() + b"\n")


@pytest.mark.parametrize("line, internal", [
    ("from localhost by mx.example.net", True),
    ("from root by mx.example.net with local (Exim 4.96)", True),
    ("from x.example.com (localhost [127.0.0.1]) by mx.example.net", True),
    ("from mx.example.net (mx.example.net [198.51.100.7]) by mx.example.net", True),
    ("from mx.example.net ([192.168.1.1]) by mx.example.net", True),
    ("by mx.example.net (Postfix, from userid 33)", True),
    ("(qmail 77 invoked by uid 89)", True),
    ("from <list-admin@example.net> (CommuniGate Pro RULES 3.4) by mx.example.net", True),
    ("from mx.example.net ([203.0.113.9]) by mx.example.net", False),  # so he says
    ("from mx.example.net (pc.example.org [203.0.113.9]) by mx.example.net", False),
    ("from pc.example.net by mx.example.net", False),
    ("from camera ([192.168.1.20]) by picopost", False),
])
def test_what_stays_within_a_server(line, internal):
    found = way(line)
    assert found.path.hops[0].internal is internal and len(found.path.servers) == 1


def test_a_server_without_a_client_is_another_unless_its_name_is_the_same():
    found = way("by b.example.net with SMTP", "by a.example.net with SMTP",
                "by a.example.net with SMTP")
    assert [server.names for server in found.path.servers] == [["a.example.net"],
                                                               ["b.example.net"]]
    assert [server.hops for server in found.path.servers] == [[1, 2], [3]]


def test_addresses_are_those_of_the_server_that_has_the_name():
    fits, breaks = "from a.example.net (a.example.net [198.51.100.7])", (
        "from c.example.org (c.example.org [203.0.113.9])")
    for client, addresses in ((fits, ["198.51.100.7"]), (breaks, [])):
        found = way(f"{client} by b.example.net", "from x by a.example.net")
        assert found.path.servers[0].addresses == addresses


@pytest.mark.parametrize("client, broken", [
    ("from c.example.org (c.example.org [203.0.113.9])", True),
    ("from c.example.org ([203.0.113.9])", True),
    ("from laptop (unknown [203.0.113.9])", True),
    ("from laptop ([203.0.113.9])", False),  # no names are looked up
    ("from c.example.org ([192.168.1.1])", False),  # a gateway's address in its network
    ("from c.example.org (localhost [127.0.0.1])", False),
    ("from other.sender.com ([203.0.113.9])", False),
    ("from c.example.org ([198.51.100.7])", False),  # the same, with a second name
    ("", False),
])
def test_where_a_chain_breaks(client, broken):
    found = way(f"{client} by b.example.net", "from x by a.sender.com ([198.51.100.7])")
    assert ("broken-chain" in {each.code for each in found.suspicions}) is broken


def test_no_chain_from_names_within_a_network():
    for name in ("exchange1", "mail.corp", "printer.lan", "localhost"):
        found = way("from c.example.org ([203.0.113.9]) by b.example.net", f"from x by {name}")
        assert "broken-chain" not in {each.code for each in found.suspicions}


def test_what_was_fetched_is_not_ours():
    """A program in our network brought it from a provider: the provider's lines are no longer
    ours, though that program's address is.
    """
    found = way("from fetcher ([192.168.1.5]) by inbox.univ.fr with ESMTP",
                "from a.sender.com (a.sender.com [198.51.100.7]) by mx.provider.com")
    assert [hop.trusted for hop in found.path.hops] == [False, True]
    found = way("from fetcher ([192.168.1.5]) by inbox.univ.fr with ESMTP",
                "from a.sender.com (a.sender.com [198.51.100.7]) by mx.univ.fr")
    assert [hop.trusted for hop in found.path.hops] == [True, True]


def test_delays_pass_over_what_has_no_time():
    lines = [f"from b by c; Mon, 2 Mar 2026 10:00:{second:02} +0100" for second in (9, 5)]
    message = f"Received: {lines[0]}\nReceived: from a by b; ?\nReceived: {lines[1]}\n\n"
    found = report(message.encode())
    assert [hop.delay for hop in found.path.hops] == [None, None, 4] and found.path.total == 4
