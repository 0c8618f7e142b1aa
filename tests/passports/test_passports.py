"""What is learnt of devices, and what stays of it: the firmware's office and card, in the VM."""

import pytest

from tests.passports.vm import CAMERA, NAS, open_vm


@pytest.fixture(scope="module")
def vm():
    with open_vm() as machine:
        yield machine


def passports(vm) -> dict:
    return vm.eval("passports()")


def device(vm, key=CAMERA) -> dict:
    return passports(vm)[key]


# --- learning ---------------------------------------------------------------------------------


def test_a_device_that_sends(vm):
    vm.exec("begin(); v.now = 1_800_000_000")
    vm.exec("session('192.168.1.20', b'cam-3', 2, 700, account='', tls=True); enter()")
    found = device(vm)
    assert (found["letters"], found["octets"], found["sessions"]) == (2, 1400, 1)
    assert found["first"] == found["seen"] == found["wrote"] == 1_800_000_000
    assert found["refusals"] == found["refused"] == found["quirks"] & ~1024 == 0
    vm.exec("v.now += 600; session('192.168.1.20', b'cam-3', port=587); enter()")
    found = device(vm)
    assert (found["letters"], found["octets"], found["port"]) == (3, 2400, 587)
    assert found["wrote"] - found["first"] == 600


def test_a_refusal_and_what_to_do(vm):
    vm.exec("""begin(clients={'192.168.1.20': {'name': 'camera'}}); v.now = 1_800_000_000
session('192.168.1.20', b'cam-3', 0, reply='AUTH_WRONG', detail="no such user 'cam'")
v.now += 3 * 86400""")
    [fields] = vm.eval("shown()")
    assert fields["device"] == "camera" and fields["quirks"] == "login-fails"
    assert fields["why"] == "no such user 'cam'" and "name and password" in fields["advice"]
    assert fields["last"] == "3 days ago" and fields["letters"] == 0
    vm.exec("session('192.168.1.20', b'cam-3')")  # it has been put right
    [fields] = vm.eval("shown()")
    assert "advice" not in fields and fields["refusals"] == 1


def test_a_reason_that_is_cut_is_told_whole_where_it_is_known(vm):
    vm.exec("begin(); session('192.168.1.20', b'cam-3', 0, reply='TLS_BUSY'); enter()")
    assert len(device(vm)["why"]) == 36
    [fields] = vm.eval("shown()")
    assert fields["why"] == "No room for another TLS session, try again later"


@pytest.mark.parametrize("of, quirks", [
    ("extended=False", {"no-ehlo"}), ("odd=True", {"odd-path"}), ("tls=True", {"tls"}),
    ("account='girl'", {"login"}), ("ending='hung up'", {"hangs-up"}),
    ("letters=0, ending='hung up'", {"hangs-up"}),
    ("ending='timed out'", {"stays"}), ("quirks=1 | 16 | 32", {"early", "bare-lf", "pipelines"}),
    ("reply='TLS_FAILED'", {"tls-fails"}), ("", set())])
def test_quirks_have_names(vm, of, quirks):
    vm.exec(f"begin(); session('192.168.1.20', b'cam-3', {of})")
    [fields] = vm.eval("shown()")
    assert set(filter(None, fields.get("quirks", "").split(","))) == quirks


def test_who_only_looks_at_the_port_gets_none(vm):
    vm.exec("begin(); session('192.168.1.20', b'', 0); enter()")
    assert passports(vm) == {}


def test_who_is_lost_before_its_name_is_the_device_at_that_address(vm):
    vm.exec("begin(); session('192.168.1.20', b'cam-3'); enter()")
    vm.exec("session('192.168.1.20', b'', 0, reply='TLS_FAILED', port=465); enter()")
    assert device(vm)["refusals"] == 1 and len(passports(vm)) == 1
    vm.exec("session('192.168.1.21', b'', 0, reply='TLS_FAILED', port=465); enter()")
    vm.exec("session('192.168.1.21', b'nas'); enter()")
    assert device(vm, NAS)["refusals"] == 1 and len(passports(vm)) == 2


@pytest.mark.parametrize("helo, moves", [("cam-3", True), ("localhost.localdomain", False),
                                         ("[192.168.1.20]", False), ("192.168.1.20", False)])
def test_a_device_that_moves_keeps_its_passport_with_a_name_of_its_own(vm, helo, moves):
    vm.exec(f"begin(); name = {helo!r}.encode()")
    vm.exec("for _ in range(3):\n    session('192.168.1.20', name); serve(600)")
    vm.exec("session('192.168.1.30', name); enter()")
    found = passports(vm)
    assert len(found) == (1 if moves else 2)
    assert found["192.168.1.30", helo.encode()]["letters"] == (4 if moves else 1)


def test_twins_have_a_passport_each(vm):
    """Of one make, with one name, from the first letter on at two addresses."""
    vm.exec("""begin()
for _ in range(4):
    session('192.168.1.20', b'ipcam')
    serve(200)
    session('192.168.1.21', b'ipcam')
    serve(400)
""")
    assert sorted(one["letters"] for one in passports(vm).values()) == [4, 4]


def test_letters_of_a_minute_are_one_visit(vm):
    vm.exec("""begin()
for _ in range(3):
    for _ in range(5):
        session('192.168.1.20', b'cam-3')
        serve(10)
    assert v.office.visits.used == visits.SIZE
    serve(550)
""")
    found = device(vm)
    assert found["letters"] == 15 and found["intervals"] == 2 and found["every"] == 600


# --- the table --------------------------------------------------------------------------------


def test_an_update_is_two_blocks_and_leaves_the_fat_alone(vm):
    """The journal and the sector: once for all that a device has sent meanwhile."""
    vm.exec("begin(); session('192.168.1.20', b'cam-3'); serve(301)")
    vm.exec("written, read = v.disk.written, v.disk.read; fat = bytes(v.disk.data[:16 * 512])")
    vm.exec("for _ in range(20):\n    session('192.168.1.20', b'cam-3')")
    assert vm.eval("v.disk.written == written and v.disk.read == read")  # nothing but RAM so far
    vm.exec("serve(250)")
    assert vm.eval("v.disk.written == written")
    vm.exec("serve(51)")
    assert vm.eval("v.disk.written - written") == 2 and vm.eval("v.disk.read - read") <= 10
    assert vm.eval("bytes(v.disk.data[:16 * 512]) == fat")
    assert device(vm)["letters"] == 21


def test_nothing_is_written_while_somebody_is_at_work(vm):
    patience = vm.eval("limits.PASSPORTS_PATIENCE")
    vm.exec("begin(); session('192.168.1.20', b'cam-3'); server.at_work = True")
    try:
        vm.exec(f"written = v.disk.written; serve(300 + {patience} - 1)")
        assert vm.eval("v.disk.written == written")
        vm.exec("serve(2)")
        assert vm.eval("v.disk.written > written")
    finally:
        vm.exec("server.at_work = False")


def test_visits_that_are_remembered_are_bounded(vm):
    most = vm.eval("limits.MAX_VISITS")
    vm.exec(f"""
begin()
import gc
def crowd():
    for n in range({most} + 5):
        session('10.0.0.%d' % n, b'x%d' % n)
crowd()
gc.collect()
before = gc.mem_alloc()
for _ in range(20):
    crowd()
gc.collect()
""")
    assert vm.eval("gc.mem_alloc() - before") < 200
    vm.exec("serve(1)")  # at once: there is room for no more
    assert len(passports(vm)) == most
    assert max(one["letters"] for one in passports(vm).values()) == 21


def test_what_is_loaded_for_a_moment_leaves(vm):
    vm.exec("begin(silence_alarm='girl'); session('192.168.1.20', b'cam-3'); serve(301)")
    vm.exec("import sys")
    assert vm.eval("sorted([name for name in sys.modules if '.passports.' in name])") == [
        "picopost.passports.visits"]


def test_a_start_keeps_it(vm):
    vm.exec("begin(); session('192.168.1.20', b'cam-3'); serve(1000)")
    vm.exec("session('192.168.1.21', b'nas'); card = v.disk; begin(card)")  # an orderly end between
    assert set(passports(vm)) == {CAMERA, NAS}
    assert vm.eval("office_served()") == 1001


def test_what_lies_between_two_starts_is_no_interval(vm):
    """The device may have written elsewhere meanwhile, or in vain."""
    vm.exec("""begin()
for _ in range(3):
    session('192.168.1.20', b'cam-3')
    serve(600)
card = v.disk
begin(card)
serve(90)
session('192.168.1.20', b'cam-3')
enter()
""")
    assert device(vm)["intervals"] == 2 and device(vm)["letters"] == 4


def test_each_card_has_its_own(vm):
    vm.exec("begin(); session('192.168.1.20', b'cam-3'); serve(400); card = v.disk; pull()")
    vm.exec("insert(new_card())")
    assert passports(vm) == {} and vm.eval("office_served()") == 0
    vm.exec("session('192.168.1.21', b'nas'); enter(); pull(); insert(card)")
    assert set(passports(vm)) == {CAMERA}


def test_a_card_that_fails_ends_nothing_else(vm):
    """As any error of the card: the appliance takes it anew."""
    vm.exec("begin(); session('192.168.1.20', b'cam-3'); v.disk.fail_after = v.disk.written")
    vm.exec("enter()")
    assert vm.eval("v.office.volume.failure") and vm.eval("v.events") == []
    vm.exec("v.disk.fail_after = -1; card = v.disk; pull(); insert(card)")
    vm.exec("session('192.168.1.20', b'cam-3'); enter()")
    assert device(vm)["letters"] == 1


def test_two_at_it(vm):
    """Who shows them while others are entered."""
    vm.exec("""begin()
from picopost.passports import table
for n in range(3):
    session('10.0.0.%d' % n, b'x%d' % n)
steps = table.enter(v.office.visits, v.office.volume)
for _ in range(4):
    next(steps)
assert list(table.enter(v.office.visits, v.office.volume)) == []
session('10.0.0.0', b'x0')
for _ in steps:
    pass
""")
    assert sorted(one["letters"] for one in passports(vm).values()) == [1, 1, 2]


def test_one_who_gives_up_in_the_midst_leaves_it_to_the_next(vm):
    """`status` at the console, ended by "q"; or the heap is full for a moment."""
    vm.exec("""begin()
async def give_up(error):
    pauses = 0
    pause = v.office.pause
    async def impatient():
        nonlocal pauses
        pauses += 1
        if pauses == 3:
            raise error
        await pause()
    v.office.pause = impatient
    try:
        await show.show(v.office, None)
    except BaseException as ended:
        assert ended is error
    finally:
        v.office.pause = pause
from picopost.passports import show
for error in asyncio.CancelledError(), MemoryError():
    session('192.168.1.20', b'cam-3')
    asyncio.run(give_up(error))
    enter()
""")
    assert device(vm)["letters"] == 2


def test_a_heap_without_room_for_the_log_ends_nothing(vm):
    vm.exec("""begin()
session('192.168.1.20', b'cam-3')
def full(*_, **fields):
    raise MemoryError
log, load = event_log.log, visits.load
event_log.log = visits.load = full
try:
    enter()
finally:
    event_log.log, visits.load = log, load
session('192.168.1.20', b'cam-3')
enter()
""")
    assert device(vm)["letters"] == 1


def test_a_card_that_is_changed_while_they_are_entered(vm):
    vm.exec("""begin()
from picopost.passports import table
session('192.168.1.20', b'cam-3')
enter()
session('192.168.1.20', b'cam-3')
steps = table.enter(v.office.visits, v.office.volume)
for _ in range(3):
    next(steps)
pull()
insert(new_card())
session('192.168.1.21', b'nas')
for _ in steps:
    pass
enter()
""")
    assert set(passports(vm)) == {NAS}


def test_a_name_that_is_in_the_way_costs_the_passports_alone(vm):
    vm.exec("""begin()
card = v.disk
import os
os.mkdir('/sd/PICOPOST.DEV')
begin(card)
deliver(b'Subject: a\\r\\n\\r\\na\\r\\n.\\r\\n')
session('192.168.1.20', b'cam-3')
serve(301)
""")
    assert {event for event, _ in vm.eval("v.events")} == {"passports_failed"}
    assert vm.eval("letters()")[0] == 1


def test_a_torn_passport_is_ignored_and_its_place_used_again(vm):
    vm.exec("""begin()
session('192.168.1.20', b'cam-3')
session('192.168.1.21', b'nas')
serve(301)
card = v.disk
pull()
at = bytes(card.data).find(b'cam-3')
card.data[at + 40] ^= 1
insert(card)
""")
    assert set(passports(vm)) == {NAS}
    vm.exec("session('192.168.1.22', b'ups'); enter()")
    assert {one["slot"] for one in passports(vm).values()} == {0, 1}


def test_a_full_table(vm):
    """Who has brought no letter gives way first, then who has been silent for longest; and for who
    has brought none itself nobody does who has."""
    most = vm.eval("limits.MAX_PASSPORTS")
    vm.exec(f"""begin()
for n in range({most}):
    session('10.0.0.%d' % n, b'x%d' % n, 0 if n == 7 else 1, reply='AUTH_WRONG')
    enter()
    serve(10)
session('10.0.1.1', b'new')
enter()
""")
    found = {peer for peer, _ in passports(vm)}
    assert len(found) == most and "10.0.1.1" in found and "10.0.0.7" not in found
    vm.exec("serve(1); session('10.0.1.2', b'scan', 0, reply='AUTH_WRONG'); enter()")
    assert {peer for peer, _ in passports(vm)} == found
    vm.exec("session('10.0.1.3', b'newer'); enter()")
    assert {peer for peer, _ in passports(vm)} == found - {"10.0.0.0"} | {"10.0.1.3"}


def test_an_address_with_ever_new_names_displaces_only_itself(vm):
    """A container's name is another at each start; a stranger's too."""
    vm.exec("""begin()
session('192.168.1.20', b'cam-3')
enter()
for n in range(40):
    session('10.0.0.1', b'box%d' % n, 1, reply='AUTH_WRONG')
    serve(10)
    enter()
for n in range(2):
    session('10.0.0.1', b'scan%d' % n, 0, reply='AUTH_WRONG')
    enter()
""")
    found = passports(vm)
    assert CAMERA in found
    names = {int(helo[3:]) for peer, helo in found if peer == "10.0.0.1"}
    assert names == set(range(40 - vm.eval("limits.PASSPORTS_PER_ADDRESS"), 40))


# --- power cuts -------------------------------------------------------------------------------

_LETTER = b"Subject: a\r\n\r\nkept\r\n.\r\n"


@pytest.mark.parametrize("made", [False, True], ids=["as it is made", "as it is updated"])
@pytest.mark.parametrize("kept", [0, 1, 77, 150, 300, 511])
def test_a_power_cut_at_any_block(vm, made, kept):
    """No letter is lost, and each passport is as it was or as it was to be."""
    before, after = {"192.168.1.20": 1, "192.168.1.21": 1}, {"192.168.1.20": 2, "192.168.1.21": 1}
    if not made:
        before = {}
        after = {"192.168.1.20": 1}
    vm.exec(f"begin(); deliver({_LETTER!r})")
    if made:
        vm.exec("session('192.168.1.20', b'cam-3'); session('192.168.1.21', b'nas')")
    vm.exec("pull(); card = bytes(v.disk.data)")
    for cut in range(1, 60):
        if not vm.eval(f"cut_entering(card, {cut}, {kept}, [('192.168.1.20', b'cam-3')], {{}})"):
            break
        assert vm.eval("letters()")[0] == 1
        found = {peer: one["letters"] for (peer, _), one in passports(vm).items()}
        assert found in (before, after), cut
        # And it goes on.
        vm.exec("session('192.168.1.22', b'ups'); enter()")
        assert len(passports(vm)) == len(found) + 1
        vm.exec(f"deliver({_LETTER!r})")
        assert vm.eval("letters()")[0] == 2
        vm.exec("pull()")
    assert cut == 3 if made else cut > 10
