"""LIST and UIDL of thousands, over the store's own maildrop on a card: nothing a line."""

import re
from pathlib import Path

import pytest

from host_tools.emulator.card_image import CardImage
from tests.support.vm import Vm

_COUNT = 3000
_HERE = Path(__file__).parent
_SUPPORT = _HERE.parent / "support"


@pytest.fixture(scope="module")
def vm(tmp_path_factory):
    card = tmp_path_factory.mktemp("listings") / "card.img"
    CardImage.create(card).close()
    with Vm(extra_path=(_SUPPORT, _HERE)) as vm:
        vm.exec(f"import vm_fill; vm_fill.fill({str(card)!r}, 'girl', {_COUNT}, 100)")
        vm.exec(f"import vm_listing; vm_listing.start({str(card)!r}, 'girl')\n"
                "from vm_listing import *")
        yield vm


@pytest.mark.parametrize("line", ["listing_line", "uid_listing_line"])
def test_a_line_allocates_nothing(vm, line):
    """The few octets of a first read of the index come with a listing of any length."""
    vm.exec("maildrop.delete(7); maildrop.delete(2900)")
    few = vm.eval(f"allocated(talk.{line}, 20)")
    assert vm.eval(f"allocated(talk.{line}, {_COUNT})") == few
    vm.exec("maildrop.reset()")


def test_no_integer_is_large_where_words_have_32_bits(vm):
    """There 31 bits are an integer without heap. What a line looks at is not more, but for the
    uid_validity, of which there is one; a CRC of a record is, as often as not.
    """
    vm.exec("largest = 0\nfor n in range(1, maildrop.count + 1):\n"
            " base = box.index.checked(maildrop.slot_of(n)); words = box.index.words()\n"
            " largest = max(largest, *[words[base + i] for i in (0, 1, 2, 3, 4, 5)])")
    assert vm.eval("largest") < 1 << 30
    vm.exec("import binascii\nfrom picopost.store import index\nresults = set()\n"
            "class Crc:\n"
            " @staticmethod\n"
            " def crc32(*a): results.add(binascii.crc32(*a)); return binascii.crc32(*a)\n"
            "index.binascii = Crc")
    vm.eval(f"allocated(talk.uid_listing_line, {_COUNT})")
    vm.exec("index.binascii = binascii")
    assert vm.eval("len(results)") == 1 and vm.eval("max(results)") < 1 << 30


def test_unique_ids_have_their_digits(vm):
    validity = vm.eval("box.index.uid_validity")
    for number in (1, 9, 10, 16, 255, 256, _COUNT):
        line = vm.eval(f"bytes(buffer[:talk.uid_listing_line({number}, buffer, 0)])")
        assert line == b"%d %08x.%08x\r\n" % (number, validity, number)
        assert vm.eval(f"talk.command(b'UIDL {number}')") == (b"+OK " + line, 0)
        assert re.fullmatch(rb"[\x21-\x7e]{1,70}", line.split()[1])  # RFC 1939 7


@pytest.mark.parametrize("marks", [[], [_COUNT], range(1, _COUNT, 64), range(1, _COUNT, 8),
                                   range(1, _COUNT, 3)], ids=["none", "last", "64", "8", "3"])
def test_quit_gives_others_their_turn(vm, marks):
    """Counted in records looked at between two turns; a listing looks at 32 in 20 ms at most."""
    vm.exec(f"longest, deleted = commit({list(marks)!r})")
    assert vm.eval("deleted") == len(marks)
    assert vm.eval("longest") <= 220
