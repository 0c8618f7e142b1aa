"""Letters that a PC put on the card, whose last line has no end: POP3 gives them one."""

from host_tools.emulator.card_image import CardImage
from tests.card.conftest import Card
from tests.support.appliance import Appliance
from tests.support.wire import Pop3

FROM_LINE = b"From pc@abc.com Mon Nov 23 10:00:00 2026\n"
# Octets before the last line, so that what ends a message lies around the end of the session's
# half a block: "+OK 2047 octets" and the text in it, then what is held, CRLF, and the dot.
LENGTHS = range(2012, 2034)


def test_the_end_of_a_letter_always_has_room(tmp_path):
    path = tmp_path / "card.img"
    CardImage.create(path).close()
    with Card(path, {}).firmware("girl") as vm:
        vm.exec("os.mkdir('/sd/mail/girl/00')")
        for number, length in enumerate(LENGTHS):
            text = FROM_LINE + b"y" * length + b"\n>From"
            vm.exec(f"f = open('/sd/mail/girl/00/{number:04X}.MBX', 'wb'); f.write({text!r}); "
                    "f.close()")
    with Appliance(path, users={"girl": "pw"}) as appliance:
        reader = Pop3(appliance.pop3, "girl", "pw")
        sizes = reader.sizes()
        for number, length in enumerate(LENGTHS, 1):
            text = reader.text(number)
            assert text == b"y" * length + b"\r\n>From\r\n" and len(text) == sizes[number]
        reader.quit()
        assert not appliance.faults()
