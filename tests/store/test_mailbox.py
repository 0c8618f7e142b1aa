"""Mailbox, segments and index inside the VM, on a FAT file system in RAM."""

from pathlib import Path

import pytest

from tests.support.vm import Vm

HERE = Path(__file__).parent


@pytest.fixture
def vm():
    with Vm(heap_kib=3000, extra_path=(HERE,)) as machine:
        machine.exec("from vm_store import *")
        machine.exec("open_box('a'); open_box('b')")
        yield machine


def letter(size: int, mark: str = "x") -> bytes:
    """The wire form of a message whose content has about `size` octets."""
    lines = [f"Subject: {mark}", ""] + [mark * 60] * (size // 62)
    return "".join(line + "\r\n" for line in lines).encode() + b".\r\n"


def deliver(vm, names, wire: bytes):
    return vm.eval(f"deliver({names!r}, {wire!r})")


def test_message_comes_back_with_its_size(vm):
    wire = b"Subject: x\r\n\r\n..dot\r\nFrom me\r\n>From you\r\nend\r\n.\r\n"
    octets = deliver(vm, ["a"], wire)
    back = vm.eval("wire('a', 1)")
    assert back.endswith(wire)
    assert back.startswith(b"Return-Path: <boy@abc.com>\r\n"
                           b"Received: from abc.com ([192.0.2.1])\r\n")
    assert octets == len(back) - 3 - 1  # without the final ".\r\n" and the stuffed dot
    assert vm.eval("listing('a')")[0][0] == octets
    assert b"\n>From me\n>>From you\n" in vm.eval("text('a', 1)")


def test_unique_id_stands_in_the_received_line(vm):
    for size in (10, 9000):
        deliver(vm, ["a"], letter(size))
    for number, (_, uid) in enumerate(vm.eval("listing('a')"), 1):
        assert b" id " + uid + b";\n\t" in vm.eval(f"text('a', {number})")


def test_every_size_around_a_block_is_whole(vm):
    """The block that a message just fits in, or just not, is where off-by-ones live."""
    for size in range(3880, 3960):
        wire = b"y" * size + b"\r\n.\r\n"
        octets = deliver(vm, ["a"], wire)
        vm.exec("last = boxes['a'].index.live; got = wire('a', last)")
        assert vm.eval("got").endswith(b"\r\n" + wire), size
        assert vm.eval("len(got)") == octets + 3, size
    assert vm.eval("len(files('a'))") > 2  # both ways were taken


def test_large_messages_have_segments_of_their_own(vm):
    deliver(vm, ["a"], letter(100))
    deliver(vm, ["a"], letter(20000))
    deliver(vm, ["a"], letter(100))
    assert vm.eval("files('a')") == ["0000.MBX", "0001.MBX"]
    vm.eval("delete('a', [2])")
    assert vm.eval("sweep('a')") == ["0000.MBX"]
    assert len(vm.eval("listing('a')")) == 2


def test_two_mailboxes_get_a_copy_each(vm):
    for size in (100, 20000):
        deliver(vm, ["a", "b"], letter(size))
    for number in (1, 2):
        a, b = (vm.eval(f"wire('{name}', {number})") for name in "ab")
        assert a != b  # each names its own unique-id
        assert len(a) == len(b) and a.split(b"Subject")[1] == b.split(b"Subject")[1]


def test_all_is_there_after_a_restart(vm):
    for size in (100, 20000, 300):
        deliver(vm, ["a"], letter(size))
    before = vm.eval("listing('a')")
    vm.exec("reopen('a')")
    assert vm.eval("listing('a')") == before
    deliver(vm, ["a"], letter(50))
    assert vm.eval("files('a')") == ["0000.MBX", "0001.MBX"]  # the shared segment goes on
    uids = [uid for _, uid in vm.eval("listing('a')")]
    assert len(set(uids)) == 4 and uids == sorted(uids)


def test_unique_ids_are_never_used_again(vm):
    for _ in range(3):
        deliver(vm, ["a"], letter(100))
    last = vm.eval("listing('a')")[-1][1]
    vm.eval("delete('a', [1, 2, 3])")
    vm.exec("sweep('a'); reopen('a')")
    deliver(vm, ["a"], letter(100))
    [(_, uid)] = vm.eval("listing('a')")
    assert uid > last


def test_deleted_stays_deleted_and_the_rest_stays(vm):
    for number in range(40):
        deliver(vm, ["a"], letter(100, chr(65 + number % 26)))
    before = vm.eval("listing('a')")
    gone = [1, 2, 17, 20, 39, 40]
    assert vm.eval(f"delete('a', {gone})") == len(gone)
    kept = [entry for number, entry in enumerate(before, 1) if number not in gone]
    assert vm.eval("listing('a')") == kept
    vm.exec("reopen('a')")
    assert vm.eval("listing('a')") == kept
    assert vm.eval("boxes['a'].index.live, boxes['a'].index.octets") == (
        34, sum(octets for octets, _ in kept))


def test_message_numbers_are_found_in_any_order(vm):
    vm.exec("for i in range(200): deliver(['a'], b'Subject: %d\\r\\n\\r\\n.\\r\\n' % i)")
    vm.exec("delete('a', range(3, 160, 2)); d = drop('a')")
    assert vm.eval("d.count") == 121
    order = [121, 1, 64, 65, 66, 63, 120, 2, 121, 60]
    uids = vm.eval(f"[d.uid_of(n) for n in {order}]")
    straight = vm.eval("[d.uid_of(n) for n in range(1, 122)]")
    assert uids == [straight[number - 1] for number in order]


def test_aborted_message_leaves_nothing(vm):
    deliver(vm, ["a"], letter(100))
    unfinished = letter(20000)[:-3]
    assert vm.eval(f"deliver(['a'], {unfinished!r})") is None
    assert vm.eval("files('a')") == ["0000.MBX"]
    assert len(vm.eval("listing('a')")) == 1


def test_power_cut_in_a_large_message_leaves_nothing(vm):
    deliver(vm, ["a"], letter(100))
    vm.exec("large = boxes['a'].begin(); large.write(bytes(4096))")  # and never a record
    vm.exec("reopen('a')")
    assert vm.eval("files('a')") == ["0000.MBX"]
    assert any(" discarded mailbox=a segment=1 " in line for line in vm.printed)


def test_torn_tail_is_not_built_upon(vm):
    deliver(vm, ["a"], letter(100))
    end = vm.eval("boxes['a']._active_end")
    vm.exec("boxes['a'].close()")
    vm.exec(f"patch('/sd/a/00/0000.MBX', {end}, b'half a letter')")
    vm.exec("open_box('a')")
    deliver(vm, ["a"], letter(100, "n"))
    assert vm.eval("files('a')") == ["0000.MBX", "0001.MBX"]
    assert vm.eval("wire('a', 2)").endswith(letter(100, "n"))


def test_torn_record_is_a_commit_that_never_was(vm):
    deliver(vm, ["a"], letter(100))
    deliver(vm, ["a"], letter(100, "t"))
    vm.exec("boxes['a'].close()")
    vm.exec("patch('/sd/a/INDEX.PIX', 512 + 32 + 20, b'\\0' * 12)")
    vm.exec("open_box('a')")
    assert len(vm.eval("listing('a')")) == 1
    deliver(vm, ["a"], letter(100, "n"))
    assert vm.eval("wire('a', 2)").endswith(letter(100, "n"))


def test_damaged_record_is_not_passed_over(vm):
    """One flipped bit in the middle of the index: nothing is guessed, nothing is touched."""
    for _ in range(3):
        deliver(vm, ["a"], letter(100))
    flipped = vm.eval("peek('/sd/a/INDEX.PIX', 512 + 32 + 16, 1)")[0] ^ 1
    vm.exec(f"boxes['a'].close(); patch('/sd/a/INDEX.PIX', 512 + 32 + 16, bytes([{flipped}]))")
    assert "IndexDamaged" in vm.eval("open_error('a')")
    assert vm.eval("files('a')") == ["0000.MBX"]


def test_record_of_another_mailbox_does_not_pass(vm):
    for name in "ab":
        deliver(vm, [name], letter(100))
        deliver(vm, [name], letter(100))
    foreign = vm.eval("peek('/sd/b/INDEX.PIX', 512, 32)")
    vm.exec(f"boxes['a'].close(); patch('/sd/a/INDEX.PIX', 512, {foreign!r})")
    assert "IndexDamaged" in vm.eval("open_error('a')")


def test_missing_index_with_mail_there_is_not_a_new_mailbox(vm):
    deliver(vm, ["a"], letter(100))
    vm.exec("boxes['a'].close(); os.remove('/sd/a/INDEX.PIX')")
    assert "missing" in vm.eval("open_error('a')")
    assert vm.eval("files('a')") == ["0000.MBX"]


@pytest.mark.parametrize("size", [500, 20000])
def test_write_fault_at_any_block_is_an_error_and_nothing_else(vm, size):
    """The n-th block write of a delivery fails, for each n: never accepted, never visible."""
    deliver(vm, ["a", "b"], letter(100))
    before = vm.eval("disk.written")
    deliver(vm, ["a", "b"], letter(size))
    blocks = vm.eval("disk.written") - before
    count = 2
    for nth in range(0, blocks, 1 if size < 1000 else 5):
        vm.exec(f"disk.fail_after = disk.written + {nth}")
        outcome = vm.eval(f"try_deliver(['a', 'b'], {letter(size)!r})")
        vm.exec("disk.fail_after = -1")
        if not isinstance(outcome, int):
            assert outcome == "OSError 5"
        else:
            count += 1
        assert isinstance(vm.eval(f"try_deliver(['a', 'b'], {letter(size)!r})"), int)
        count += 1
        for name in "ab":
            assert vm.eval(f"boxes['{name}'].index.live") == count, (nth, name)
    for name in "ab":
        assert len(vm.eval(f"listing('{name}')")) == count


def test_full_card_refuses_and_frees(vm):
    vm.exec("fill_up()")
    assert vm.eval(f"try_deliver(['a'], {letter(20000)!r})") == "OSError 28"
    assert vm.eval("files('a')") == []
    vm.exec("os.remove('/sd/FILLER.BIN')")
    deliver(vm, ["a"], letter(20000))
    assert vm.eval("wire('a', 1)").endswith(letter(20000))


def test_sweep_beside_deliveries_keeps_what_arrives(vm):
    for _ in range(100):
        deliver(vm, ["a"], letter(100))
    vm.eval("delete('a', range(1, 101))")
    vm.exec("s = boxes['a'].sweep(); next(s)")
    deliver(vm, ["a"], letter(100, "n"))
    deliver(vm, ["a"], letter(20000, "l"))
    vm.exec("for _ in s: pass")
    assert [vm.eval(f"wire('a', {n})").split(b"Subject: ")[1][:1] for n in (1, 2)] == [b"n", b"l"]


def test_blocks_written_for_a_small_message(vm):
    """Data, its directory entry, the record and its directory entry: nothing else."""
    deliver(vm, ["a"], letter(100))
    before = vm.eval("disk.written")
    deliver(vm, ["a"], b"Subject: s\r\n\r\n.\r\n")
    assert vm.eval("disk.written") - before <= 5
