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
    """The few octets of a first read of the index come with a listing of any length.

    No CRC that is compared is a large integer where words have 32 bits: the 32-bit build named in
    DESIGN.md counts 0 octets too.
    """
    vm.exec("maildrop.delete(7); maildrop.delete(2900)")
    few = vm.eval(f"allocated(talk.{line}, 20)")
    assert vm.eval(f"allocated(talk.{line}, {_COUNT})") == few
    vm.exec("maildrop.reset()")


def test_unique_ids_have_their_digits(vm):
    validity = vm.eval("box.index.uid_validity")
    for number in (1, 9, 10, 16, 255, 256, _COUNT):
        line = vm.eval(f"bytes(buffer[:talk.uid_listing_line({number}, buffer, 0)])")
        assert line == b"%d %08x.%08x\r\n" % (number, validity, number)
        assert vm.eval(f"talk.command(b'UIDL {number}')") == (b"+OK " + line, 0)
        assert re.fullmatch(rb"[\x21-\x7e]{1,70}", line.split()[1])  # RFC 1939 7
