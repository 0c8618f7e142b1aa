"""Delivery reports as they stand in a mailbox, read by CPython's `email`, written inside the VM."""

import email
import re
from email import policy
from pathlib import Path

import pytest

from tests.support.vm import Vm

STORE = Path(__file__).parents[1] / "store"
HEAD = b"From: boy@abc.com\nTo: girl@xyz.com\nSubject: Hello\n"
ARRIVAL = b"Mon, 23 Nov 2026 10:00:00 +0000"
DELIVERED = (b"girl@xyz.com", None, None)
REFUSED = (b"bob@xyz.com", b"rfc822;bob+2Bold@abc.com",
           b"552 5.2.2 Message bigger than the mailbox may be")


@pytest.fixture
def vm():
    with Vm(heap_kib=3000, extra_path=(STORE,)) as machine:
        machine.exec("from vm_store import *\nfrom picopost.smtp import report\nimport asyncio")
        machine.exec("open_box('a')")
        machine.exec("""
def write(*arguments):
    asyncio.run(report.write(block, boxes['a'], b'xyz.com', *arguments, nothing))
""")
        yield machine


def write(vm, outcomes, envelope_id=None, head=HEAD, reverse_path=b"boy@abc.com", arrival=ARRIVAL):
    vm.exec(f"write({reverse_path!r}, {envelope_id!r}, {outcomes!r}, {head!r}, {arrival!r})")


def read(vm, number=1):
    """The report as POP3 sends it, parsed."""
    wire = vm.eval(f"wire('a', {number})")
    assert wire.endswith(b"\r\n.\r\n")
    text = re.sub(rb"^\.", b"", wire[:-3], flags=re.MULTILINE)
    assert len(text) == vm.eval("listing('a')")[number - 1][0]
    assert all(len(line) <= 998 for line in text.split(b"\r\n"))
    message = email.message_from_bytes(text, policy=policy.default)
    assert not message.defects and not any(part.defects for part in message.walk())
    return message


def blocks(message):
    """The groups of fields in the second part: [per-message, per-recipient, ...]."""
    part = list(message.iter_parts())[1]
    if part.get_content_type() == "message/delivery-status":
        return [dict(group.items()) for group in part.get_payload()]
    text = re.sub(r"^.*?\n\n", "", part.as_bytes(policy=policy.SMTPUTF8).decode().replace(
        "\r\n", "\n"), count=1, flags=re.DOTALL)
    return [dict(line.split(": ", 1) for line in group.split("\n"))
            for group in text.strip().split("\n\n")]


def types(message):
    return [part.get_content_type() for part in message.iter_parts()]


# --- what it says ------------------------------------------------------------------------------

def test_report_is_one_of_rfc_6522_and_3464(vm):
    write(vm, [DELIVERED, REFUSED], b"QQ+3D314")
    report = read(vm)
    assert report["Return-Path"] == "<>"
    assert report["From"] == "Mail Delivery System <MAILER-DAEMON@xyz.com>"
    assert report["To"] == "boy@abc.com"
    assert report["Auto-Submitted"] == "auto-replied"
    assert report["MIME-Version"] == "1.0"
    assert report["Subject"] == "Your message was not delivered to everybody"
    assert report["Date"].datetime.year >= 2024
    assert re.fullmatch(r"<[0-9a-f]+\.[0-9a-f]{16}@xyz\.com>", report["Message-ID"])
    assert report.get_content_type() == "multipart/report"
    assert report["Content-Type"].params["report-type"] == "delivery-status"
    assert report["Content-Transfer-Encoding"] is None
    assert types(report) == ["text/plain", "message/delivery-status", "text/rfc822-headers"]
    assert blocks(report) == [
        {"Reporting-MTA": "dns; xyz.com", "Original-Envelope-Id": "QQ=314",
         "Arrival-Date": ARRIVAL.decode()},
        {"Final-Recipient": "rfc822; girl@xyz.com", "Action": "delivered", "Status": "2.0.0"},
        {"Original-Recipient": "rfc822; bob+old@abc.com", "Final-Recipient": "rfc822; bob@xyz.com",
         "Action": "failed", "Status": "5.2.2",
         "Diagnostic-Code": "smtp; 552 5.2.2 Message bigger than the mailbox may be"}]
    text, _, head = report.iter_parts()
    assert text.get_content().replace("\r\n", "\n") == (
        "This is the mail system of xyz.com. Your message was\n\n- delivered to <girl@xyz.com>\n\n"
        "- NOT delivered to <bob@xyz.com>\n"
        "  552 5.2.2 Message bigger than the mailbox may be\n")
    assert head.get_payload(decode=True).replace(b"\r\n", b"\n") == HEAD


@pytest.mark.parametrize("outcomes, subject", [
    ([DELIVERED], "Your message was delivered"),
    ([REFUSED], "Your message was not delivered")])
def test_subject_and_actions_agree(vm, outcomes, subject):
    write(vm, outcomes)
    report = read(vm)
    assert report["Subject"] == subject
    message, recipient = blocks(report)
    assert "Original-Envelope-Id" not in message
    assert recipient["Action"] == ("delivered" if outcomes == [DELIVERED] else "failed")


def test_a_reply_without_a_status_gets_that_of_its_code(vm):
    write(vm, [(b"a@b", None, b"554 - No")])
    assert blocks(read(vm))[1]["Status"] == "5.0.0"
    assert blocks(read(vm))[1]["Diagnostic-Code"] == "smtp; 554 No"


def test_without_a_head_there_are_two_parts(vm):
    write(vm, [DELIVERED], head=b"")
    assert types(read(vm)) == ["text/plain", "message/delivery-status"]


def test_two_reports_differ_in_message_id_and_boundary(vm):
    write(vm, [DELIVERED])
    write(vm, [DELIVERED])
    one, two = read(vm, 1), read(vm, 2)
    assert one["Message-ID"] != two["Message-ID"]
    assert one.get_boundary() != two.get_boundary()


# --- UTF-8 (RFC 6533) --------------------------------------------------------------------------

def test_utf8_addresses_make_a_global_report(vm):
    path = "jürgen@bücher.example"
    write(vm, [(path.encode(), b"utf-8;" + path.encode(), None), DELIVERED],
          reverse_path="björn@abc.com".encode())
    report = read(vm)
    assert report["Content-Transfer-Encoding"] == "8bit"
    assert types(report) == ["text/plain", "message/global-delivery-status", "text/rfc822-headers"]
    assert blocks(report)[1:] == [
        {"Original-Recipient": "utf-8; " + path, "Final-Recipient": "utf-8; " + path,
         "Action": "delivered", "Status": "2.0.0"},
        {"Final-Recipient": "rfc822; girl@xyz.com", "Action": "delivered", "Status": "2.0.0"}]
    text, status, _ = report.iter_parts()
    assert f"<{path}>" in text.get_content()
    assert text["Content-Transfer-Encoding"] == status["Content-Transfer-Encoding"] == "8bit"
    assert f"To: <{'björn@abc.com'}>\r\n".encode() in vm.eval("wire('a', 1)")


def test_an_original_recipient_alone_can_be_utf8(vm):
    write(vm, [(b"girl@xyz.com", "utf-8;mädchen@xyz.com".encode(), None)])
    assert types(read(vm))[1] == "message/global-delivery-status"
    assert blocks(read(vm))[1]["Original-Recipient"] == "utf-8; mädchen@xyz.com"


@pytest.mark.parametrize("head, kind", [
    ("Subject: grüß\n".encode(), "message/global-headers"),
    (b"Subject: gr\xfc\xdf\n", "text/rfc822-headers")])
def test_a_head_above_ascii_is_declared(vm, head, kind):
    write(vm, [DELIVERED], head=head)
    report = read(vm)
    assert types(report)[1:] == ["message/delivery-status", kind]
    *_, status, last = report.iter_parts()
    assert report["Content-Transfer-Encoding"] == last["Content-Transfer-Encoding"] == "8bit"
    assert status["Content-Transfer-Encoding"] is None
    assert head in vm.eval("text('a', 1)")


# --- nothing from the wire makes a line of its own ---------------------------------------------

EVIL = b"x\r\nSubject: evil\n\nevil\0\r"


def test_line_ends_and_nul_never_come_through(vm):
    write(vm, [(EVIL, b"rfc822;" + EVIL, b"550 %s %s" % (EVIL, EVIL)),
               (b"a@b", b"rfc\n822;a+0D+0ASubject:x", None)],
          b"id+0D+0ASubject:+20evil+00", reverse_path=EVIL, arrival=EVIL)
    report = read(vm)
    assert len(report.get_all("Subject")) == 1
    message, one, two = blocks(report)
    assert message["Original-Envelope-Id"].strip() == "id  Subject: evil"
    for fields in (message, one, two):
        assert not [name for name in fields if name.lower() in ("subject", "evil")]
    assert two["Original-Recipient"] == "rfc 822; a  Subject:x"
    wire = vm.eval("wire('a', 1)")
    assert b"\0" not in wire and b"\r" not in wire.replace(b"\r\n", b"")
    assert not re.search(rb"^evil|^Subject: evil", wire, re.MULTILINE)


def test_values_are_bounded(vm):
    long = b"y" * 3000
    write(vm, [(long, b"rfc822;" + long, b"550 5.1.1 " + long)], long, head=b"X: y\n" * 999)
    report = read(vm)
    assert blocks(report)[1]["Final-Recipient"] == "rfc822; " + "y" * 512
    assert len(list(report.iter_parts())[2].get_payload()) <= 1024 * 6 // 5
    assert report.get_payload()


@pytest.mark.parametrize("head", [
    b"From me\n>From you\nFrom: x\n", b".\n..\n. x\n", b"\n\n", b"no colon\n \n\tfold\n",
    b"--boundary\n--\n", b"X: " + b"y" * 900 + b"\n", b"A: b\rC: d\0\n",
    bytes(range(1, 9)) + b"\n"],
    ids=lambda head: repr(head[:20]))
def test_odd_heads_come_back_as_they_are(vm, head):
    write(vm, [DELIVERED], head=head)
    report = read(vm)
    assert types(report) == ["text/plain", "message/delivery-status", "text/rfc822-headers"]
    last = list(report.iter_parts())[2].get_payload(decode=True).replace(b"\r\n", b"\n")
    assert last == head.replace(b"\r", b"?").replace(b"\0", b"?")


# --- the store ---------------------------------------------------------------------------------

def many(count):
    return [(b"recipient%d@xyz.com" % number, b"rfc822;original%d@abc.com" % number,
             REFUSED[2] if number % 3 else None) for number in range(count)]


def test_a_hundred_recipients_get_a_segment_of_their_own(vm):
    write(vm, many(100), b"ID")
    write(vm, [DELIVERED])
    assert vm.eval("files('a')") == ["0000.MBX", "0001.MBX"]
    report = read(vm)
    groups = blocks(report)
    assert len(groups) == 101
    for number, fields in enumerate(groups[1:]):
        assert fields["Final-Recipient"] == f"rfc822; recipient{number}@xyz.com"
        assert fields["Original-Recipient"] == f"rfc822; original{number}@abc.com"
        assert fields["Action"] == ("failed" if number % 3 else "delivered")
    text = next(report.iter_parts()).get_content()
    assert len(re.findall(r"^- ", text, re.MULTILINE)) == 100
    assert list(report.iter_parts())[2].get_payload(decode=True).replace(b"\r\n", b"\n") == HEAD


def test_memory_does_not_grow_with_the_recipients(vm):
    vm.exec("""
import gc
def probe():
    global peak
    gc.collect()
    peak = max(peak, gc.mem_alloc())
clean = report._clean
def probing(value):
    probe()
    return clean(value)
report._clean = probing
""")
    peaks = []
    for count in (1, 1, 100):  # the first loads what is needed
        vm.exec(f"outcomes = {many(count)!r}\ngc.collect()\npeak = before = gc.mem_alloc()")
        vm.exec(f"write(b'boy@abc.com', None, outcomes, {HEAD!r}, b'')")
        peaks.append(vm.eval("peak - before"))
    assert peaks[2] < peaks[1] + 1500  # octets in the VM; a group of fields takes 300


def test_every_length_around_a_block_is_whole(vm):
    """The pieces of a report meet the edge of the block in all ways."""
    head = b"X: " + b"y" * 600 + b"\n"
    write(vm, many(10), head=head)
    short = 4096 - vm.eval("boxes['a'].active_end")
    for shift in range(short - 45, short + 45):
        write(vm, many(10), head=b"X: " + b"y" * (600 + shift) + b"\n")
        number = vm.eval("boxes['a'].index.live")
        report = read(vm, number)
        assert len(blocks(report)) == 11
        assert len(list(report.iter_parts())[2].get_payload()) == len(head) + shift + 1
    assert 20 < vm.eval("len(files('a'))") < 80  # both ways were taken


def test_reports_are_found_again_without_an_index(vm):
    write(vm, [DELIVERED])
    write(vm, many(100))
    before = vm.eval("listing('a')")
    vm.exec("boxes['a'].close()\n"
            "for name in os.listdir('/sd/a'):\n"
            "    if name.endswith('.PIX'): os.remove('/sd/a/' + name)\n"
            "open_box('a')")
    assert vm.eval("listing('a')") == before
    assert len(blocks(read(vm, 2))) == 101


@pytest.mark.parametrize("count", [1, 100])
def test_a_card_that_fails_raises_and_keeps_no_half(vm, count):
    """Whole it may show up, when the card is lost between the record and its sync."""
    write(vm, [DELIVERED])
    before = vm.eval("listing('a'), files('a')")
    whole = 0
    for writes in range(200):
        vm.exec(f"disk.fail_after = disk.written + {writes}")
        outcome = vm.eval(f"failed(lambda: write(b'a@b', None, {many(count)!r}, {HEAD!r}, b''))")
        vm.exec("disk.fail_after = -1")
        if outcome is None:
            break
        assert outcome == "OSError"
        vm.exec("start_again()")
        if vm.eval("listing('a'), files('a')") != before:
            whole += 1
            assert len(vm.eval("listing('a')")) == 2
            assert len(blocks(read(vm, 2))) == count + 1
            vm.exec("delete('a', [2]); sweep('a'); reopen('a')")
            assert vm.eval("listing('a')") == before[0]
            before = before[0], vm.eval("files('a')")
    assert whole <= 2 < writes  # and it did fail at several places


def test_a_closed_mailbox_raises(vm):
    vm.exec("boxes['a'].close()")
    for count in (1, 100):
        assert vm.eval(
            f"failed(lambda: write(b'a@b', None, {many(count)!r}, {HEAD!r}, b''))") == "OSError"


def test_a_report_that_is_cancelled_leaves_nothing(vm):
    vm.exec(f"""
waits = [0]
async def never():
    waits[0] += 1
    if waits[0] == 3:
        await asyncio.sleep(60)
async def cancelled():
    task = asyncio.create_task(report.write(block, boxes['a'], b'xyz.com', b'a@b', None,
                                            {many(100)!r}, b'', b'', never))
    while waits[0] < 3:
        await asyncio.sleep_ms(1)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        return True
""")
    assert vm.eval("asyncio.run(cancelled())") is True
    assert vm.eval("files('a'), listing('a'), boxes['a'].writing") == ([], [], [])


def test_the_null_reverse_path_gets_no_report(vm):
    assert vm.eval(f"failed(lambda: write(b'', None, [{DELIVERED!r}], b'', b''))") == "ValueError"
    assert vm.eval("listing('a')") == []
