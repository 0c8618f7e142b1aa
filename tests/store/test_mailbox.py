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
    uids = vm.eval(f"[uid(d, n) for n in {order}]")
    straight = vm.eval("[uid(d, n) for n in range(1, 122)]")
    assert uids == [straight[number - 1] for number in order]


def test_aborted_message_leaves_nothing(vm):
    deliver(vm, ["a"], letter(100))
    unfinished = letter(20000)[:-3]
    assert vm.eval(f"deliver(['a'], {unfinished!r})") is None
    assert vm.eval("files('a')") == ["0000.MBX"]
    assert len(vm.eval("listing('a')")) == 1


def test_power_cut_in_a_large_message_leaves_nothing(vm):
    deliver(vm, ["a"], letter(100))
    vm.exec(f"deliver_half('a', {letter(20000)[:-3]!r})")  # and never a record
    vm.exec("reopen('a')")
    assert vm.eval("files('a')") == ["0000.MBX"]
    assert any(" discarded mailbox=a segment=1 " in line for line in vm.printed)


def test_letter_without_a_record_never_was(vm):
    """The cut fell between data and record: the tail becomes blank, and mail goes on there."""
    deliver(vm, ["a"], letter(100))
    end = vm.eval("boxes['a'].active_end")
    vm.exec("append_unrecorded('a', b'Subject: t\\n\\nnobody was promised this\\n\\n')")
    vm.exec("reopen('a')")
    assert len(vm.eval("listing('a')")) == 1
    assert set(vm.eval(f"peek('/sd/a/00/0000.MBX', {end}, 9999)")) == {10}
    vm.exec("reopen('a')")
    assert sum(" torn_tail " in line for line in vm.printed) == 1
    deliver(vm, ["a"], letter(100, "n"))
    assert vm.eval("files('a')") == ["0000.MBX"]
    assert vm.eval("wire('a', 2)").endswith(letter(100, "n"))


def test_torn_size_in_the_directory_is_made_right(vm):
    """The directory says less than the records: what the chain holds comes back."""
    for mark in "xyz":
        deliver(vm, ["a"], letter(300, mark))
    before = [vm.eval(f"wire('a', {n})") for n in (1, 2, 3)]
    size = vm.eval("boxes['a'].active_end")
    vm.exec("boxes['a'].close()")
    [at] = vm.eval(f"entries_with_size({size})")
    vm.exec(f"disk.data[{at}] = 0; disk.data[{at} + 1] = 1; volume.unmount(); mount()")
    assert vm.eval("os.stat('/sd/a/00/0000.MBX')[6]") != size
    vm.exec("open_box('a')")
    assert [vm.eval(f"wire('a', {n})") for n in (1, 2, 3)] == before
    assert vm.eval("os.stat('/sd/a/00/0000.MBX')[6]") == size
    assert not any("rebuilding" in line for line in vm.printed)


def test_torn_record_is_a_commit_that_never_was(vm):
    deliver(vm, ["a"], letter(100))
    deliver(vm, ["a"], letter(100, "t"))
    vm.exec("boxes['a'].close()")
    vm.exec("patch('/sd/a/INDEX1.PIX', 512 + 32 + 20, b'\\0' * 12)")
    vm.exec("open_box('a')")
    assert len(vm.eval("listing('a')")) == 1
    deliver(vm, ["a"], letter(100, "n"))
    assert vm.eval("wire('a', 2)").endswith(letter(100, "n"))


def damage(vm, how: str) -> None:
    vm.exec(f"boxes['a'].close(); {how}; open_box('a')")


INDEX = "/sd/a/INDEX1.PIX"
DAMAGES = {
    "a flipped bit": f"patch('{INDEX}', 560, bytes([peek('{INDEX}', 560, 1)[0] ^ 1]))",
    "another mailbox's record": f"patch('{INDEX}', 512, peek('/sd/b/INDEX1.PIX', 512, 32))",
    "no header": f"patch('{INDEX}', 8, bytes([peek('{INDEX}', 8, 1)[0] ^ 1]))",
    "no index": f"os.remove('{INDEX}')",
}


@pytest.mark.parametrize("how", DAMAGES)
def test_lost_index_is_written_anew(vm, how):
    """Every letter, size and unique-id comes back from the segments."""
    for name in "ab":
        for size, mark in ((100, "x"), (20000, "y"), (3000, "z"), (5000, "v")):
            deliver(vm, [name], letter(size, mark))
    before = vm.eval("listing('a')")
    texts = [vm.eval(f"wire('a', {n})") for n in range(1, 5)]
    damage(vm, DAMAGES[how])
    assert vm.eval("listing('a')") == before
    assert [vm.eval(f"wire('a', {n})") for n in range(1, 5)] == texts
    assert any(" rebuilding " in line for line in vm.printed)
    vm.printed.clear()
    deliver(vm, ["a"], letter(100, "n"))
    vm.exec("reopen('a')")
    assert vm.eval("listing('a')")[:4] == before and len(vm.eval("listing('a')")) == 5
    assert not any(" rebuilding " in line for line in vm.printed)


def test_lost_index_does_not_promote_what_was_never_whole(vm):
    deliver(vm, ["a"], letter(100))
    vm.exec(f"deliver_half('a', {letter(20000)[:-3]!r})")
    damage(vm, DAMAGES["no index"])
    assert len(vm.eval("listing('a')")) == 1
    assert vm.eval("files('a')") == ["0000.MBX"]


def test_letters_that_a_pc_put_there_are_taken_in(vm):
    """A segment dropped into the folder, and letters appended to one: new unique-ids."""
    deliver(vm, ["a"], letter(100))
    deliver(vm, ["a"], letter(100, "d"))
    vm.eval("delete('a', [2])")
    before = vm.eval("listing('a')")
    foreign = b"From pc Mon Nov 23 10:00:00 2026\nSubject: p\n\n.dot\n>From q\n\n"
    vm.exec("boxes['a'].close()")
    vm.exec(f"f = open('/sd/a/00/0007.MBX', 'wb'); f.write({foreign * 2!r}); f.close()")
    vm.exec(f"f = open('/sd/a/00/0000.MBX', 'ab'); f.write({foreign!r}); f.close()")
    vm.exec("open_box('a')")
    after = vm.eval("listing('a')")
    assert after[:1] == before and len(after) == 4  # the deleted one stays deleted
    assert len({uid for _, uid in after}) == 4
    for number in (2, 3, 4):
        assert vm.eval(f"wire('a', {number})") == b"Subject: p\r\n\r\n..dot\r\nFrom q\r\n.\r\n"
    vm.exec("reopen('a')")
    assert vm.eval("listing('a')") == after
    deliver(vm, ["a"], letter(100, "n"))
    assert vm.eval("wire('a', 5)").endswith(letter(100, "n"))


def test_segments_that_a_pc_removed_are_missed_once(vm):
    for size in (100, 20000, 20000):
        deliver(vm, ["a"], letter(size))
    before = vm.eval("listing('a')")
    vm.exec("boxes['a'].close(); os.remove('/sd/a/00/0001.MBX'); open_box('a')")
    assert vm.eval("listing('a')") == [before[0], before[2]]
    vm.printed.clear()
    vm.exec("reopen('a')")
    assert vm.eval("listing('a')") == [before[0], before[2]]
    assert not any(" rebuilding " in line for line in vm.printed)


def test_files_that_are_no_mail_are_left_alone(vm):
    deliver(vm, ["a"], letter(100))
    vm.exec("f = open('/sd/a/00/0009.MBX', 'wb'); f.write(b'my notes'); f.close(); reopen('a')")
    vm.exec("f = open('/sd/a/00/0000.MBX', 'ab'); f.write(b'my notes'); f.close(); reopen('a')")
    deliver(vm, ["a"], letter(100, "n"))
    vm.exec("reopen('a')")
    assert vm.eval("files('a')")[0] == "0000.MBX" and "0009.MBX" in vm.eval("files('a')")
    assert vm.eval("peek('/sd/a/00/0009.MBX', 0, 99)") == b"my notes"
    assert vm.eval("peek('/sd/a/00/0000.MBX', 0, 9999)").endswith(b"my notes")
    assert len(vm.eval("listing('a')")) == 2


def test_sparse_segments_and_indexes_are_packed(vm):
    """Two thirds are deleted: the rest moves together, with unique-ids and texts unchanged."""
    for number in range(400):
        deliver(vm, ["a"], letter(1500, chr(65 + number % 26)))
    assert vm.eval("len(files('a'))") == 3
    size_on_card = "sum(os.stat('/sd/a/00/' + n)[6] for n in files('a'))"
    full = vm.eval(size_on_card)
    vm.eval("delete('a', [n for n in range(1, 401) if n % 3])")
    before = vm.eval("listing('a')")
    texts = vm.eval("[digest('a', n) for n in range(1, 134)]")
    vm.exec("sweep('a')")
    assert vm.eval("listing('a')") == before
    assert vm.eval("[digest('a', n) for n in range(1, 134)]") == texts
    assert vm.eval("(boxes['a'].index.slots, boxes['a'].index.live)") == (133, 133)
    assert vm.eval(size_on_card) < 0.6 * full
    assert len([n for n in vm.eval("os.listdir('/sd/a')") if n.endswith("PIX")]) == 1
    deliver(vm, ["a"], letter(100, "n"))
    vm.exec("reopen('a')")
    assert vm.eval("listing('a')")[:133] == before
    assert vm.eval("wire('a', 134)").endswith(letter(100, "n"))


def test_packing_gives_way_to_a_reader(vm):
    """A POP3 session that comes in the middle of a sweep sees all its letters."""
    for number in range(300):
        deliver(vm, ["a"], letter(1500, chr(65 + number % 26)))
    vm.eval("delete('a', [n for n in range(1, 301) if n % 3])")
    before = vm.eval("listing('a')")
    for steps in (5, 40, 60, 90, 130, 150):
        vm.exec(f"s = boxes['a'].sweep()\nfor _ in range({steps}):\n try: next(s)\n"
                " except StopIteration: break")
        vm.exec("boxes['a'].take(); d = drop('a')")
        vm.exec("for _ in s: pass")
        listed = vm.eval("[(d.octets_of(n), uid(d, n)) for n in range(1, d.count + 1)]")
        assert listed == before
        assert vm.eval("len(wire('a', 50))") == before[49][0] + 3
        vm.exec("boxes['a'].in_use = False")
    vm.exec("sweep('a'); reopen('a')")
    assert vm.eval("listing('a')") == before


@pytest.mark.parametrize("size", [500, 20000])
def test_write_fault_at_any_block_is_an_error_and_nothing_else(vm, size):
    """From the n-th block on every write fails, for each n: never accepted, never half there.

    A copy that one of two mailboxes got before the card was lost may show: it is whole, and the
    sender, who heard no 250, brings it again.
    """
    deliver(vm, ["a", "b"], letter(100, "f"))
    before = vm.eval("disk.written")
    deliver(vm, ["a", "b"], letter(size, "f"))
    blocks = vm.eval("disk.written") - before
    accepted = 2
    for nth in range(0, blocks + 1, 1 if size < 1000 else 5):
        vm.exec(f"disk.fail_after = disk.written + {nth}")
        outcome = vm.eval(f"try_deliver(['a', 'b'], {letter(size)!r})")
        vm.exec("disk.fail_after = -1; start_again()")
        assert isinstance(outcome, int) or outcome == "OSError 5"
        accepted += isinstance(outcome, int)
        assert isinstance(vm.eval(f"try_deliver(['a', 'b'], {letter(size, 'n')!r})"), int)
        accepted += 1
        for name in "ab":
            texts = [vm.eval(f"wire('{name}', {n})").split(b"Subject: ")[1]
                     for n in range(1, vm.eval(f"boxes['{name}'].index.live") + 1)]
            assert all(letter(100, chr(text[0])) == b"Subject: " + text
                       or letter(size, chr(text[0])) == b"Subject: " + text for text in texts)
            extra = len(texts) - accepted
            assert 0 <= extra <= 1
            if extra:
                assert not isinstance(outcome, int)
                numbers = [n for n, text in enumerate(texts, 1) if text[:1] == b"x"]
                vm.eval(f"delete('{name}', [{numbers[-1]}])")
    for name in "ab":
        assert len(vm.eval(f"listing('{name}')")) == accepted


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


def test_unique_ids_go_on_after_packing_and_restart(vm):
    """The newest letters are deleted and their records packed away: their UIDs stay used."""
    for _ in range(200):
        deliver(vm, ["a"], letter(100))
    last = vm.eval("listing('a')")[-1][1]
    vm.eval("delete('a', range(5, 201))")
    vm.exec("sweep('a'); reopen('a')")
    assert vm.eval("boxes['a'].index.slots") == 4
    deliver(vm, ["a"], letter(100))
    assert vm.eval("listing('a')")[-1][1] > last


def test_letters_in_two_segments_are_one(vm):
    """Compaction was cut between copy and record, and then the index was lost."""
    for number in range(200):
        deliver(vm, ["a"], letter(1500, chr(65 + number % 26)))
    before = vm.eval("listing('a')")
    vm.exec("box = boxes['a']")
    vm.exec("f = open('/sd/a/00/0000.MBX', 'rb'); whole = f.read(6000); f.close()")
    vm.exec("end = whole.find(b'\\nFrom ', 3000) + 1; box.put(whole[:end], end)")
    damage(vm, DAMAGES["no index"])
    assert vm.eval("listing('a')") == before


def test_torn_size_that_shows_the_start_of_a_letter(vm):
    deliver(vm, ["a"], letter(100))
    deliver(vm, ["a"], letter(100))
    before = vm.eval("listing('a')")
    end = vm.eval("boxes['a'].active_end")
    start = (b"From boy@abc.com Mon Nov 23 10:00:00 2026\nReturn-Path: <boy@abc.com>\n"
             b"Received: from x" + b"y" * 99)
    for octets in (2, 7, 40, 60, 100):
        vm.exec("boxes['a'].close()")
        vm.exec(f"patch('/sd/a/00/0000.MBX', {end}, {start[:octets]!r})")
        vm.exec("open_box('a')")
        assert vm.eval("listing('a')") == before
    assert not any("rebuilding" in line for line in vm.printed)


def test_odd_files_of_a_pc_close_no_mailbox(vm):
    """A lone From_ line, a wrong folder, a number too high, no blank line at the end."""
    deliver(vm, ["a"], letter(100))
    before = vm.eval("listing('a')")
    vm.exec("boxes['a'].close(); os.mkdir('/sd/a/FF')")
    foreign = b"From pc Mon Nov 23 10:00:00 2026\n"
    for path, text in (("00/0177.MBX", foreign), ("FF/FF77.MBX", foreign + b"x\n"),
                       ("00/0005.MBX", foreign), ("00/0006.MBX", foreign + b"Subject: q\n\nend\n")):
        vm.exec(f"f = open('/sd/a/{path}', 'wb'); f.write({text!r}); f.close()")
    vm.exec("open_box('a')")
    after = vm.eval("listing('a')")
    assert after[:1] == before and len(after) == 2
    assert vm.eval("wire('a', 2)") == b"Subject: q\r\n\r\nend\r\n.\r\n"
    assert after[1][0] == len(b"Subject: q\r\n\r\nend\r\n")
    vm.exec("reopen('a')")
    assert vm.eval("listing('a')") == after


def test_blanking_may_be_cut_at_any_block(vm):
    """A tail that lies across sectors everywhere: what is left of it is never taken for mail."""
    tail = b"".join(b"From here on %030d\n" % i for i in range(60))
    for size in range(10, 520, 37):
        vm.exec("boxes['a'].close(); boxes['a'] = None")
        vm.exec("for n in files('a'): os.remove('/sd/a/00/' + n)\n"
                "for n in os.listdir('/sd/a'):\n if n.endswith('PIX'): os.remove('/sd/a/' + n)")
        vm.exec("open_box('a')")
        deliver(vm, ["a"], b"x" * size + b"\r\n.\r\n")
        before = vm.eval("listing('a')")
        for blocks in range(0, 14):
            vm.exec(f"append_unrecorded('a', b'Subject: t\\n\\n' + {tail!r})")
            vm.exec("boxes['a'].close()")
            vm.exec(f"disk.fail_after = disk.written + {blocks}")
            vm.exec("try: open_box('a')\nexcept OSError: pass")
            vm.exec("disk.fail_after = -1; start_again()")
            assert vm.eval("listing('a')") == before, (size, blocks)
    assert not any("rebuilding" in line for line in vm.printed)


def test_mailbox_of_a_lost_card_touches_no_other_card(vm):
    """A session that began before the card was lost ends after it is back: nothing of it lands."""
    deliver(vm, ["a"], letter(100))
    deliver(vm, ["a"], letter(20000))
    vm.exec("old = boxes['a']; large = old.begin(); large.write(memoryview(bytes(4096)))")
    vm.exec("disk.fail_after = disk.written; volume.structural += 0\n"
            "try: old.put(bytes(100), 100)\nexcept OSError: pass")
    vm.exec("disk.fail_after = -1; start_again()")
    deliver(vm, ["a"], letter(100, "n"))
    before = vm.eval("(listing('a'), files('a'), digest('a', 3))")
    for attempt in ("old.append(bytes(100), 100, 10, 90, 0)", "old.put(bytes(100), 100)",
                    "old.begin()", "large.write(memoryview(bytes(4096)))", "old.settle()",
                    "large.commit(10, 10, 10, 0)", "old.index.sync()"):
        outcome = vm.eval(f"failed(lambda: {attempt})")
        assert outcome == "OSError" or attempt == "old.settle()", attempt
    vm.exec("large.abort(); old.retract()")
    vm.exec("try:\n for _ in old.sweep(): pass\nexcept OSError: pass")
    assert vm.eval("(listing('a'), files('a'), digest('a', 3))") == before
    vm.exec("reopen('a')")
    assert vm.eval("(listing('a'), files('a'), digest('a', 3))") == before


def test_one_sweep_at_a_time(vm):
    for number in range(400):
        deliver(vm, ["a"], letter(1500, chr(65 + number % 26)))
    vm.eval("delete('a', [n for n in range(1, 401) if n % 3])")
    before = vm.eval("listing('a')")
    vm.exec("one, two = boxes['a'].sweep(), boxes['a'].sweep()\nleft = [one, two]\n"
            "while left:\n for s in list(left):\n"
            "  try: next(s)\n  except StopIteration: left.remove(s)")
    assert vm.eval("listing('a')") == before
    assert vm.eval("boxes['a'].index.slots") == 133
    vm.exec("reopen('a')")
    assert vm.eval("listing('a')") == before
    vm.eval("delete('a', range(1, 100))")
    vm.exec("s = boxes['a'].sweep(); next(s); s.close()")  # an error of the card ends one
    vm.exec("sweep('a')")
    assert len(vm.eval("listing('a')")) == 34


def test_packing_gives_up_when_too_much_arrives(vm):
    for _ in range(300):
        deliver(vm, ["a"], letter(10))
    vm.eval("delete('a', range(1, 291))")
    vm.exec("s = boxes['a'].sweep()")
    for _ in range(30):
        vm.exec("try: next(s)\nexcept StopIteration: pass")
        vm.exec("for _ in range(12): deliver(['a'], b'.\\r\\n')")
    vm.exec("for _ in s: pass")
    before = vm.eval("listing('a')")
    assert len(before) == len({uid for _, uid in before}) == 10 + 360
    vm.exec("reopen('a')")
    assert vm.eval("listing('a')") == before


def test_lost_index_never_gives_a_uid_again(vm):
    for _ in range(5):
        deliver(vm, ["a"], letter(20000))
    last = vm.eval("listing('a')")[-1][1]
    vm.eval("delete('a', [4, 5])")
    vm.exec("sweep('a')")
    damage(vm, DAMAGES["no index"])
    deliver(vm, ["a"], letter(100))
    assert vm.eval("listing('a')")[-1][1] > last


def test_letters_that_a_pc_added_to_deleted_ones_stay(vm):
    deliver(vm, ["a"], letter(100))
    vm.eval("delete('a', [1])")
    foreign = b"From pc Mon Nov 23 10:00:00 2026\nSubject: p\n\nbody\n\n"
    vm.exec("boxes['a'].close()")
    vm.exec(f"f = open('/sd/a/00/0000.MBX', 'ab'); f.write({foreign!r}); f.close(); open_box('a')")
    assert len(vm.eval("listing('a')")) == 1
    assert vm.eval("wire('a', 1)") == b"Subject: p\r\n\r\nbody\r\n.\r\n"


def test_names_that_are_no_utf8_close_no_mailbox(vm):
    """FAT keeps short names in the code page of the PC that wrote them."""
    for size in (100, 20000):
        deliver(vm, ["a"], letter(size))
    before = vm.eval("listing('a')")
    vm.exec("f = open('/sd/a/00/XRGER.TXT', 'wb'); f.write(b'x'); f.close()")
    deliver(vm, ["a"], letter(20000))
    vm.exec("boxes['a'].close()")
    at = vm.eval("disk.data.find(b'XRGER   TXT')")
    vm.exec(f"disk.data[{at}] = 0x8E; volume.unmount(); mount(); open_box('a')")
    assert vm.eval("listing('a')")[:2] == before and len(vm.eval("listing('a')")) == 3
    assert not any("rebuilding" in line for line in vm.printed)


def test_a_retraction_that_waits_is_made_before_slots_change(vm):
    """The heap was full when a copy was to be taken back; then the index is packed."""
    vm.exec("for i in range(150): deliver(['a'], b'Subject: %d\\r\\n\\r\\n.\\r\\n' % i)")
    vm.exec("delete('a', range(2, 145))")
    kept = vm.eval("listing('a')")
    vm.exec("""
def full():
    raise MemoryError
deliver(['a'], b'Subject: of which nobody hears\\r\\n\\r\\n.\\r\\n')
boxes['a'].settle = full
boxes['a'].retract()
del boxes['a'].settle
path = boxes['a'].index.path
sweep('a')
""")
    assert vm.eval("boxes['a'].index.path != path"), "it was packed"
    assert vm.eval("listing('a')") == kept
    deliver(vm, ["a"], letter(50))
    vm.exec("reopen('a')")
    assert vm.eval("listing('a')")[:-1] == kept


def test_marks_that_nobody_wrote_do_not_stay_behind_a_closed_index(vm):
    """Its session was cancelled, or the heap was full, and then the card was exchanged."""
    deliver(vm, ["a"], letter(50))
    vm.exec("boxes['a'].index.mark_deleted(0); boxes['a'].close(); reopen('b'); reopen('a')")
    assert len(vm.eval("listing('a')")) == 1


def test_a_letter_is_rebuilt_from_where_its_record_says(vm):
    """A small letter got its place but no record; a large one got the UID. A PC's letter in a
    segment before them has the index rebuilt.
    """
    vm.exec("for i in range(80): deliver(['a'], b'Subject: %d\\r\\n\\r\\n' % i + b'x' * 3600 + "
            "b'\\r\\n.\\r\\n')")
    vm.exec("append_unrecorded('a', b'Subject: t\\n\\nnobody was promised this\\n\\n')")
    assert vm.eval("boxes['a'].active_number") > 0
    deliver(vm, ["a"], letter(9000, "promised"))
    before = vm.eval("listing('a')"), vm.eval("digest('a', 81)")
    vm.exec("""
with open('/sd/a/00/0000.MBX', 'ab') as file:
    file.write(b'From pc Mon Nov 23 10:00:00 2026\\nSubject: pc\\n\\nbody\\n\\n')
reopen('a')
""")
    assert any(" rebuilding " in line for line in vm.printed)
    assert vm.eval("listing('a')")[:-1] == before[0]
    assert vm.eval("digest('a', 81)") == before[1]
