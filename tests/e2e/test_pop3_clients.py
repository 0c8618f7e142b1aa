"""Mail programs that fetch, against the whole appliance on sockets of each kind.

What a program cannot do has no test: poplib, getmail and s-nail have no SASL that we have, nor has
fetchmail one for POP3; curl says nothing but SASL where it is offered; getmail has no STLS.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing

import pytest

from host_tools import tls_identity
from tests.e2e import clients, letters
from tests.e2e.conftest import KINDS
from tests.e2e.letters import LETTERS
from tests.e2e.pop3_clients import PROGRAMS, WAYS, Errand
from tests.support.appliance import Appliance
from tests.support.cutting_proxy import CuttingProxy
from tests.support.wire import Pop3

# Each program has a mailbox of its own; a test fills it and leaves it empty.
USERS = {name: f"pa55-{name}" for name in PROGRAMS}
# In the order of the mailbox; the third is the large one, and there is one behind it.
MAIL = {mark: LETTERS[mark] for mark in ("small", "eight_bit", "large", "awkward")}
BEFORE_THE_CUT = {"small", "eight_bit"}
# Of the server's octets: in the middle of the large letter, whatever TLS and headers add.
_CUT_AFTER = 150_000


@pytest.fixture(scope="module", params=KINDS)
def appliance(request, tmp_path_factory):
    """A running appliance with USERS; when the module's tests are done it has had no fault."""
    card = tmp_path_factory.mktemp(request.param) / "card.img"
    with Appliance(card, request.param, USERS) as running:
        yield running
        assert running.faults() == []


def program_ways() -> list:
    return [pytest.param(program, way, id=f"{program}-{way}")
            for program in PROGRAMS for way in PROGRAMS[program].ways]


@pytest.fixture
def filled(appliance: Appliance, program: str) -> Iterator[str]:
    """The user whose mailbox has MAIL; it is emptied after the test, however that went."""
    for message in MAIL.values():
        clients.send(appliance, [f"{program}@{appliance.hostname}"], message)
    yield program
    Pop3(appliance.pop3, program, USERS[program]).take_all()


def in_mailbox(appliance: Appliance, user: str) -> int:
    """None of its events comes later."""
    before = len(appliance.events)
    with closing(Pop3(appliance.pop3, user, USERS[user])) as pop3:
        count = len(pop3.sizes())
        pop3.quit()
    wait_until_closed(appliance, before)
    return count


def check(program: str, messages: list[bytes], marks: set[str]) -> None:
    """They are the letters with these marks and no others, unaltered but for what its Program
    says.
    """
    if PROGRAMS[program].exact:
        messages = [letters.without_trace(message) for message in messages]
    assert letters.by_mark(messages) == {mark: MAIL[mark] for mark in MAIL if mark in marks}


@pytest.mark.parametrize("program, way", program_ways())
def test_keeps_then_deletes(appliance, home, filled, program, way):
    """Who remembers fetches nothing twice; and all is gone from the server only in the end."""
    how = PROGRAMS[program]
    errand = Errand(appliance, WAYS[way], home, filled)
    check(program, how.fetch(errand, True, 0).messages, set(MAIL))
    if how.remembers:
        assert how.fetch(errand, True, how.idle).messages == []
    assert in_mailbox(appliance, filled) == len(MAIL)
    got = how.fetch(errand, False, None).messages
    # Some fetch what they delete, some know that they have it.
    assert how.remembers and not got or letters.by_mark(got).keys() == MAIL.keys()
    assert in_mailbox(appliance, filled) == 0


def resumptions() -> list:
    """Each program in its first way, where it keeps, and in its last, where it deletes."""
    return [pytest.param(program, how.ways[-1 if mode == "delete" else 0], mode,
                         id=f"{program}-{mode}")
            for program, how in PROGRAMS.items() for mode in ("keep", "delete")]


@pytest.mark.parametrize("program, way, mode", resumptions())
def test_resumes_after_a_killed_connection(appliance, home, filled, program, way, mode):
    """The connection breaks in the middle of the third message. The server has deleted nothing
    then; the next run, or this one if it connects again, gets all that is missing, and who resumes
    does not get the rest again.
    """
    how, keep = PROGRAMS[program], mode == "keep"
    errand = Errand(appliance, WAYS[way], home, filled)
    with CuttingProxy(errand.port, _CUT_AFTER) as proxy:
        errand.through = proxy.port
        before = len(appliance.events)
        got = how.fetch(errand, keep, None).messages
        assert proxy.cut.is_set()
        assert proxy.connections == 1 + how.reconnects
        if how.reconnects:
            check(program, got, set(MAIL))
            assert in_mailbox(appliance, filled) == (len(MAIL) if keep else 0)
            return
        wait_until_closed(appliance, before)
        first = letters.by_mark(got)
        assert in_mailbox(appliance, filled) == len(MAIL)
        whole = {mark for mark in first if first[mark].endswith(MAIL[mark])}
        assert whole == BEFORE_THE_CUT
        assert first.keys() - whole == ({"large"} if how.partial else set())
        second = how.fetch(errand, keep, 0).messages
    check(program, second, MAIL.keys() - (whole if mode in how.resumes else set()))
    assert in_mailbox(appliance, filled) == (len(MAIL) if keep else 0)


def wait_until_closed(appliance: Appliance, before: int) -> None:
    """Until the appliance has noticed that the sessions with a program are over, which began when
    there were `before` events. One of an earlier session may come later than that.
    """
    def count(name: str, start: int = 0) -> int:
        return sum(event["event"] == name and event["service"].startswith("pop3")
                   for event in appliance.events[start:])

    while not count("connected", before) or count("closed") < count("connected"):
        appliance.wait_for("closed")


@pytest.mark.parametrize("program, way", [
    pytest.param(program, way, id=f"{program}-{way}") for program in PROGRAMS
    for way in PROGRAMS[program].ways if not WAYS[way].tls])
def test_wrong_password(appliance, home, program, way):
    errand = Errand(appliance, WAYS[way], home, program, "wr0ng-s3cret")
    status, complaint = PROGRAMS[program].denied
    before = len(appliance.events)
    fetched = PROGRAMS[program].fetch(errand, True, status)
    assert fetched.messages == []
    assert re.search(complaint, fetched.said), fetched.said
    wait_until_closed(appliance, before)
    refused = [event for event in appliance.events[before:] if event["event"] == "refused"]
    assert refused and all(event["user"] == program for event in refused)
    assert "wr0ng-s3cret" not in str(refused)
    # The right one is taken all the same; and the next who errs does not wait for this one.
    assert in_mailbox(appliance, program) == 0


@pytest.mark.parametrize("program, tls", [
    pytest.param(program, tls, id=f"{program}-{tls}") for program in PROGRAMS
    for tls in PROGRAMS[program].distrusts])
def test_untrusted_certificate(appliance, home, program, tls):
    """A certificate of the same names, as an appliance would have that was set up anew."""
    way = next(WAYS[way] for way in PROGRAMS[program].ways if WAYS[way].tls == tls)
    other = tls_identity.make(appliance.hostname, (clients.HOST,))[1]
    status, complaint = PROGRAMS[program].distrusts[tls]
    before = len(appliance.events)
    fetched = PROGRAMS[program].fetch(
        Errand(appliance, way, home, program, certificate=other), True, status)
    assert fetched.messages == []
    assert re.search(complaint, fetched.said), fetched.said
    wait_until_closed(appliance, before)
    assert not [event for event in appliance.events[before:] if event["event"] == "login"]


@pytest.mark.parametrize("program", ["poplib"])
def test_poplib_reads_sizes_lists_and_tops(appliance, filled, program):
    with closing(clients.log_in(appliance, "poplib")) as client:
        messages = [clients.retrieve(client, number) for number in range(1, len(MAIL) + 1)]
        sizes = [len(message) for message in messages]
        assert client.stat() == (len(messages), sum(sizes))
        assert client.list()[1] == [b"%d %d" % pair for pair in enumerate(sizes, 1)]
        for number, message in enumerate(messages, 1):
            header, _, body = message.partition(b"\r\n\r\n")
            top = b"".join(line + b"\r\n" for line in client.top(number, 1)[1])
            assert top == header + b"\r\n\r\n" + body[:body.index(b"\r\n") + 2]
        client.quit()


@pytest.mark.parametrize("program", ["curl"])
def test_curl_lists(appliance, home, filled, program):
    """Each message with its size, as it is when it is fetched."""
    errand = Errand(appliance, WAYS["plain_PLAIN"], home, "curl")
    sizes = [len(message) for message in PROGRAMS["curl"].fetch(errand, True, 0).messages]
    listing = clients.run([*clients.curl(), "--user", f"curl:{USERS['curl']}",
                           f"pop3://{clients.HOST}:{appliance.pop3}/"], home)
    assert listing.splitlines() == [b"%d %d" % pair for pair in enumerate(sizes, 1)]
