"""Received fields as servers write them (RFC 5321 4.4)."""

import pytest

from host_tools.trace import received
from host_tools.trace.networks import address_of, is_public_name, kind, organisation, same_house

DATE = "; Mon, 2 Mar 2026 10:00:06 +0100"

FORMS = {
    "postfix": (
        "from helo.example.com (rdns.example.com [198.51.100.7]) (using TLSv1.2 with cipher "
        "ECDHE-RSA-AES128-GCM-SHA256 (128/128 bits)) (Client did not present a certificate) "
        "(Authenticated sender: joe) by mx.example.net (Postfix) with ESMTPSA id 4F1B for "
        "<a@example.net>",
        {"helo": "helo.example.com", "reverse": "rdns.example.com", "address": "198.51.100.7",
         "by": "mx.example.net", "software": "Postfix", "protocol": "ESMTPSA", "id": "4F1B",
         "recipient": "a@example.net", "tls": True, "tls_version": "TLS 1.2",
         "cipher": "ECDHE-RSA-AES128-GCM-SHA256", "authenticated": True}),
    "postfix-without-reverse": (
        "from helo.example.com (unknown [IPv6:2001:db8::7]) by mx.example.net (Postfix) with SMTP",
        {"helo": "helo.example.com", "nameless": True, "address": "2001:db8::7",
         "by": "mx.example.net", "software": "Postfix", "protocol": "SMTP", "tls": False}),
    "postfix-submitted": (
        "by mx.example.net (Postfix, from userid 33) id 77",
        {"by": "mx.example.net", "software": "Postfix, from userid 33", "id": "77"}),
    "sendmail": (
        "from helo.example.com (joe@rdns.example.com [198.51.100.7] (may be forged)) by "
        "mx.example.net (8.14.4/8.14.4) with ESMTP id q3I0 (version=TLSv1/SSLv3 "
        "cipher=DHE-RSA-AES256-SHA bits=256 verify=NO) for <a@example.net>",
        {"helo": "helo.example.com", "reverse": "rdns.example.com", "address": "198.51.100.7",
         "unverified": True, "by": "mx.example.net", "software": "8.14.4/8.14.4",
         "protocol": "ESMTP", "id": "q3I0", "recipient": "a@example.net", "tls": True,
         "tls_version": "TLS 1", "cipher": "DHE-RSA-AES256-SHA"}),
    "sendmail-authenticated": (
        "from pc (rdns.example.com [198.51.100.7]) (authenticated bits=0) by mx.example.net "
        "(8.14.4/8.14.4) with ESMTP id q3I0",
        {"helo": "pc", "reverse": "rdns.example.com", "address": "198.51.100.7",
         "by": "mx.example.net", "software": "8.14.4/8.14.4", "protocol": "ESMTP", "id": "q3I0",
         "tls": False, "authenticated": True}),
    "sendmail-submitted": (
        "(from root@localhost) by mx.example.net (8.14.4/8.14.4/Submit) id q3I0",
        {"note": "from root@localhost", "by": "mx.example.net",
         "software": "8.14.4/8.14.4/Submit", "id": "q3I0"}),
    "exim": (
        "from rdns.example.com ([198.51.100.7]:4711 helo=helo.example.com) by mx.example.net with "
        "esmtps (TLS1.3) tls TLS_AES_256_GCM_SHA384 (Exim 4.96) (envelope-from <b@example.com>) "
        "id 1vwzGn-0000Ab-2f for a@example.net",
        {"helo": "helo.example.com", "reverse": "rdns.example.com", "address": "198.51.100.7",
         "by": "mx.example.net", "software": "Exim 4.96", "protocol": "esmtps", "tls": True,
         "tls_version": "TLS 1.3", "cipher": "TLS_AES_256_GCM_SHA384",
         "envelope_from": "b@example.com", "id": "1vwzGn-0000Ab-2f",
         "recipient": "a@example.net"}),
    "exim-without-reverse": (
        "from [198.51.100.7] (helo=helo.example.com) by mx.example.net with asmtp "
        "(TLSv1:AES256-SHA:256) (Exim 4.34) id 1B",
        {"helo": "helo.example.com", "address": "198.51.100.7", "by": "mx.example.net",
         "software": "Exim 4.34", "protocol": "asmtp", "tls": True, "tls_version": "TLS 1",
         "cipher": "AES256-SHA",
         "authenticated": True, "id": "1B"}),
    "exim-said-its-reverse": (
        "from rdns.example.com ([198.51.100.7]) by mx.example.net with esmtp (Exim 4.96) id 1B",
        {"helo": "rdns.example.com", "reverse": "rdns.example.com", "address": "198.51.100.7",
         "by": "mx.example.net", "software": "Exim 4.96", "protocol": "esmtp", "tls": False,
         "id": "1B"}),
    "qmail": (
        "from unknown (HELO helo.example.com) (joe@198.51.100.7) by mx.example.net with SMTP",
        {"helo": "helo.example.com", "nameless": True, "address": "198.51.100.7",
         "by": "mx.example.net", "protocol": "SMTP", "tls": False}),
    "qmail-invoked": ("(qmail 77 invoked by uid 89)", {"note": "qmail 77 invoked by uid 89"}),
    "exchange": (
        "from A.example.com (2001:db8:10a6::22) by B.example.com (2001:db8:10a6::23) with "
        "Microsoft SMTP Server (version=TLS1_2, cipher=TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384) id "
        "15.20.1.22 via Frontend Transport",
        {"helo": "A.example.com", "address": "2001:db8:10a6::22", "by": "B.example.com",
         "by_address": "2001:db8:10a6::23", "protocol": "Microsoft SMTP Server", "tls": True,
         "tls_version": "TLS 1.2", "cipher": "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
         "id": "15.20.1.22", "via": "Frontend Transport"}),
    "exchange-link-local": (
        "from A.example.com ([fe80::1%6]) by A.example.com ([fe80::1%6]) with mapi id 15.1",
        {"helo": "A.example.com", "address": "fe80::1", "by": "A.example.com",
         "by_address": "fe80::1", "protocol": "mapi", "id": "15.1"}),
    "smtpsvc": (
        "from BAY130-W1 ([198.51.100.7]) by bay0.example.com with Microsoft "
        "SMTPSVC(6.0.3790.3959)",
        {"helo": "BAY130-W1", "address": "198.51.100.7", "by": "bay0.example.com",
         "protocol": "Microsoft SMTPSVC", "software": "6.0.3790.3959"}),
    "amavis": (
        "from mx.example.net ([127.0.0.1]) by localhost (mx.example.net [127.0.0.1]) "
        "(amavisd-new, port 10024) with LMTP id uc",
        {"helo": "mx.example.net", "address": "127.0.0.1", "by": "localhost",
         "by_address": "127.0.0.1", "software": "amavisd-new, port 10024", "protocol": "LMTP",
         "tls": False, "id": "uc"}),
    "gmail": (
        "by 2002:a05:6000:2c0f:b0:439:b2d6:a5f7 with SMTP id x1",
        {"by": "2002:a05:6000:2c0f:b0:439:b2d6:a5f7",
         "by_address": "2002:a05:6000:2c0f:b0:439:b2d6:a5f7", "protocol": "SMTP", "tls": False,
         "id": "x1"}),
    "fetchmail": (
        "from pop.example.com [198.51.100.7] by localhost with POP3 (fetchmail-6.3.9) for "
        "<a@localhost> (single-drop)",
        {"helo": "pop.example.com", "address": "198.51.100.7", "by": "localhost",
         "protocol": "POP3", "software": "fetchmail-6.3.9", "recipient": "a@localhost"}),
    "communigate": (
        "from <list-admin@example.org> (CommuniGate Pro RULES 3.4) by example.net (CommuniGate Pro "
        "RULES 3.4) with RULES id 34",
        {"note": "list-admin@example.org", "by": "example.net",
         "software": "CommuniGate Pro RULES 3.4", "protocol": "RULES", "id": "34"}),
    "zmailer": (
        'from rdns.example.com ([198.51.100.7]:40866 "EHLO helo.example.com" '
        "rhost-flags-OK-OK-OK-OK) by vger.example.net with ESMTP id S24 (ORCPT <rfc822;a@b>)",
        {"helo": "helo.example.com", "reverse": "rdns.example.com", "address": "198.51.100.7",
         "by": "vger.example.net", "protocol": "ESMTP", "id": "S24", "tls": False}),
    "gateway": (
        "from a.example.com (198.51.100.7) by b.example.com (192.0.2.1) with IBM ESMTP SMTP "
        "Gateway: Authorized Use Only!",
        {"helo": "a.example.com", "address": "198.51.100.7", "by": "b.example.com",
         "by_address": "192.0.2.1", "protocol": "ESMTP", "tls": False}),
    "exchange-5.5": (
        "by A with Internet Mail Service (5.5.2653.19) id <K7>",
        {"by": "A", "protocol": "Internet Mail Service", "software": "5.5.2653.19", "id": "<K7>"}),
    "picopost": (
        "from camera ([192.168.1.20])\tby picopost with UTF8SMTPSA id 0123abcd.00000007"
        "\tfor <a@picopost>",
        {"helo": "camera", "address": "192.168.1.20", "by": "picopost", "protocol": "UTF8SMTPSA",
         "tls": True, "authenticated": True, "id": "0123abcd.00000007",
         "recipient": "a@picopost"}),
}


@pytest.mark.parametrize("name", FORMS)
def test_what_servers_write(name):
    line, wanted = FORMS[name]
    found = received.parse((line + DATE).encode())
    assert found.raw == line + DATE and found.when == (2026, 3, 2, 10, 0, 6, 60)
    assert found.date == DATE[2:]
    got = {key: value for key, value in vars(found).items()
           if key not in ("raw", "date", "when") and (value not in (None, False) or key in wanted)}
    assert got == wanted


@pytest.mark.parametrize("protocol, smtp, tls, authenticated", [
    ("SMTP", True, False, False), ("ESMTP", True, False, False), ("ESMTPA", True, False, True),
    ("ESMTPS", True, True, False), ("ESMTPSA", True, True, True), ("LMTP", True, False, False),
    ("LMTPSA", True, True, True), ("UTF8SMTP", True, False, False),
    ("UTF8SMTPS", True, True, False), ("UTF8LMTPSA", True, True, True),
    ("smtps", True, True, False), ("HTTPS", False, True, False), ("HTTP", False, False, False),
    ("local", False, None, False), ("ESMTP/TLS", True, True, False)])
def test_mail_transmission_types(protocol, smtp, tls, authenticated):
    found = received.parse(f"from a by b with {protocol} id 1{DATE}".encode())
    assert (found.is_smtp, found.tls, found.authenticated) == (smtp, tls, authenticated)


@pytest.mark.parametrize("line, date", [
    ("from a by b (c; d) with SMTP; Mon, 2 Mar 2026 10:00:06 +0100 (CET; winter)",
     "Mon, 2 Mar 2026 10:00:06 +0100 (CET; winter)"),
    ("from a by b (never ends; 2026-03-02T10:00:06+01:00", "2026-03-02T10:00:06+01:00"),
    ("from a; by b; Mon, 2 Mar 2026 10:00:06 +0100", "Mon, 2 Mar 2026 10:00:06 +0100"),
    ("from a by b (never ends; Mon, 2 Mar 2026 10:00:06 +0100", "Mon, 2 Mar 2026 10:00:06 +0100"),
    ("from a by b with SMTP Mon, 2 Mar 2026 10:00:06 +0100", "Mon, 2 Mar 2026 10:00:06 +0100"),
    ("from a by b with SMTP; yesterday", "yesterday"),
    ("from a by b with SMTP", "")])
def test_where_the_date_is(line, date):
    found = received.parse(line.encode())
    assert found.date == date and found.helo == "a"
    assert found.when == ((2026, 3, 2, 10, 0, 6, 60) if "2026" in date else None)


def test_nothing_at_all_and_clauses_that_come_twice():
    assert received.parse(b"").helo is None
    assert received.parse(b"from by with id for ;").by is None
    found = received.parse(b"from a by b for <c@d> from e (g [198.51.100.7]) by f (Exim)")
    assert (found.helo, found.by, found.recipient) == ("a", "b", "c@d")
    assert found.address is found.reverse is found.software is None


@pytest.mark.parametrize("address, expected", [
    ("193.51.24.1", "public"), ("2a00:1450::1", "public"), ("127.0.0.1", "loopback"),
    ("::1", "loopback"), ("::ffff:127.0.0.1", "loopback"), ("10.1.2.3", "private"),
    ("172.31.0.1", "private"), ("172.32.0.1", "public"), ("100.64.0.1", "private"),
    ("fe80::1", "private"), ("fd00::1", "private"), ("2002:a05:6000::1", "private"),
    ("256.1.1.1", "impossible"), ("0.1.2.3", "impossible"), ("224.0.0.1", "impossible"),
    ("255.255.255.255", "impossible"), ("1.2.3.99999", "impossible"), (None, None)])
def test_kinds_of_addresses(address, expected):
    assert kind(address) == expected


def test_addresses_and_names():
    assert address_of("[IPv6:2001:db8::1]") == "2001:db8::1"
    assert address_of("fe80::1%eth0") == "fe80::1"
    assert address_of("example.com") is address_of("10:24") is address_of("") is None
    assert organisation("a.b.example.co.uk") == "example.co.uk"
    assert organisation("soleil.uvsq.fr.") == "uvsq.fr"
    assert organisation("printer.lan") == organisation("localhost") == organisation("[::1]") == ""
    assert same_house("MX.example.com.", "out.example.com")
    assert same_house("a.google.com", "smtp.gmail.com")
    assert not same_house("a.example.co.uk", "b.other.co.uk")
    assert not same_house("", "") and not same_house("a.lan", "b.lan")
    assert not is_public_name("a..com") and not is_public_name("1.2.3.4")
