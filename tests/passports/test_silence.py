"""The letter about a device that has gone silent: when it comes, when not, and what it says."""

from email import message_from_bytes

import pytest

from tests.passports.vm import open_vm

HOUR = 3600


@pytest.fixture(scope="module")
def vm():
    with open_vm() as machine:
        yield machine


def regular(vm, every=1200, times=12, **given):
    """A camera that writes so often; then it is silent."""
    given.setdefault("silence_alarm", "girl")
    vm.exec(f"begin(**{given!r}); v.now = 1_800_000_000")
    vm.exec(f"for _ in range({times}):\n    session('192.168.1.20', b'cam-3')\n    serve({every})")


def alarms(vm) -> list[str]:
    return [event for event, _ in vm.eval("v.events")]


def test_three_intervals_of_silence_bring_one_letter(vm):
    regular(vm)
    vm.exec("serve(2300)")  # one interval has passed already
    assert alarms(vm) == [] and vm.eval("letters()")[0] == 0
    vm.exec("serve(700)")
    assert alarms(vm) == ["device_silent"]
    vm.exec("serve(20_000)")
    assert alarms(vm) == ["device_silent"]
    count, text = vm.eval("letters()")
    assert count == 1
    letter = message_from_bytes(text)
    assert letter["From"] == "picopost <MAILER-DAEMON@xyz.com>" and letter["To"] == "<girl@xyz.com>"
    assert letter["Subject"] == "device 192.168.1.20 (HELO cam-3) has gone silent"
    assert letter["Auto-Submitted"] == "auto-generated" and letter["Return-Path"] == "<>"
    assert letter["Message-ID"] and letter["Date"].endswith("+0000")
    body = letter.get_payload()
    assert "each 20 min" in body and "12 letters" in body and "cable or Wi-Fi" in body
    assert letter.get_content_type() == "text/plain" and not letter.defects


def test_it_is_told_of_again_after_it_has_written(vm):
    regular(vm)
    vm.exec("serve(4 * 1200)")
    vm.exec("for _ in range(2):\n    session('192.168.1.20', b'cam-3')\n    serve(1200)")
    assert alarms(vm) == ["device_silent", "device_back"]
    vm.exec("serve(4 * 1200)")
    assert alarms(vm) == ["device_silent", "device_back", "device_silent"]
    assert vm.eval("letters()")[0] == 2


def test_not_twice_over_a_start(vm):
    regular(vm)
    vm.exec("serve(4 * 1200); card = v.disk")
    vm.exec("begin(card, silence_alarm='girl'); serve(4 * 1200)")
    assert alarms(vm) == [] and vm.eval("letters()")[0] == 1


def test_the_name_from_the_settings(vm):
    regular(vm, clients={"192.168.1.20": {"name": "caméra"}})
    vm.exec("serve(4 * 1200)")
    body = message_from_bytes(vm.eval("letters()")[1]).get_payload(decode=True).decode()
    assert "caméra 192.168.1.20" in body


def test_not_within_an_hour(vm):
    regular(vm, every=120)
    vm.exec("serve(3300)")
    assert alarms(vm) == []
    vm.exec("serve(600)")
    assert alarms(vm) == ["device_silent"]


def test_not_of_who_never_wrote_regularly(vm):
    vm.exec("begin(silence_alarm='girl')")
    for pause in (70, 4000, 200, 9000, 80, 70, 5000, 600, 90, 7000, 100, 3000):
        vm.exec(f"session('192.168.1.20', b'cam-3'); serve({pause})")
    vm.exec("serve(80_000)")
    assert alarms(vm) == []
    regular(vm, times=7)  # nor of who has done so too seldom
    vm.exec("serve(80_000)")
    assert alarms(vm) == []


def test_without_the_setting_nobody_is_told(vm):
    regular(vm, silence_alarm=None)
    vm.exec("serve(20_000)")
    assert alarms(vm) == [] and vm.eval("letters()")[0] == 0


def test_our_own_outage_is_no_silence(vm):
    """Hours without a network, or off, however long by the clock: then one interval to be heard."""
    regular(vm)
    vm.exec(f"serve({10 * HOUR}, serving=False); v.now += {10 * HOUR}; serve(1100)")
    assert alarms(vm) == []
    vm.exec("session('192.168.1.20', b'cam-3'); serve(1200)")
    vm.exec(f"card = v.disk; pull(); v.now += {100 * HOUR}")  # the power is cut
    vm.exec("begin(card, silence_alarm='girl'); serve(1100)")
    assert alarms(vm) == []
    vm.exec("session('192.168.1.20', b'cam-3'); serve(1200)")
    assert alarms(vm) == []
    found = vm.eval("passports()")["192.168.1.20", b"cam-3"]
    assert found["every"] == pytest.approx(1200, rel=0.1)  # and the outage counts for none


def test_who_was_nearly_due_gets_an_interval_after_a_start(vm):
    regular(vm, every=4 * HOUR)
    for _ in range(4):  # and starts that are more often than it writes hide no silence
        vm.exec(f"serve(2 * {HOUR} + 400); card = v.disk; begin(card, silence_alarm='girl')")
        assert alarms(vm) == []
    vm.exec(f"serve(4 * {HOUR} - 10)")
    assert alarms(vm) == []
    vm.exec("serve(900)")
    assert alarms(vm) == ["device_silent"]


def test_without_a_clock(vm):
    vm.exec("begin(silence_alarm='girl'); v.now = 0")
    vm.exec("for _ in range(12):\n    session('192.168.1.20', b'cam-3')\n    serve(1200)")
    vm.exec("serve(4 * 1200)")
    assert alarms(vm) == ["device_silent"]
    assert "last letter at an unknown time" in vm.eval("letters()")[1].decode()


def test_where_the_mailbox_is_full_it_is_said_and_tried_again(vm):
    regular(vm, mailboxes={"girl": {"max_octets": 10}})
    vm.exec("serve(4 * 1200)")
    assert set(alarms(vm)) == {"alarm_failed"}
    vm.exec("v.office._rules = {}; serve(301)")
    assert alarms(vm)[-1] == "device_silent" and vm.eval("letters()")[0] == 1


def test_a_power_cut_while_it_is_told_of_loses_no_alarm(vm):
    """Sooner a second letter than none."""
    regular(vm)
    vm.exec("v.office.visits.alarm = None; serve(4 * 1200); pull(); card = bytes(v.disk.data)")
    given = {"silence_alarm": "girl"}
    letters = []
    for cut in range(1, 60):
        vm.exec("pull() if v.office else None")
        if not vm.eval(f"cut_entering(card, {cut}, 100, [], {given!r}, 5000)"):
            break
        vm.exec("serve(4000)")
        letters.append(vm.eval("letters()")[0])
    assert cut > 5 and set(letters) == {1, 2}
