"""A message's subject alone, as far as its first buffer shows it: what a line of a log has room
for, and no message is read twice for it."""

from picopost.mime import encoded_words, parts


def read(file, octets, buffer):
    """The subject as a str, "" where none is seen, of the message that begins where `file` stands
    and has so many octets. `buffer`: as parts.Parser; so much of the file is read at most.

    Raises what `file` raises.
    """
    parser = parts.Parser(buffer)
    asked = False
    while True:
        event = parser.next()
        if event == parts.NEED:
            if asked:
                return ""
            asked = True
            room = parser.room()
            parser.filled(file.readinto(room[: min(len(room), octets)]))
        elif event == parts.FIELD:
            if parser.name.lower() == b"subject":
                return encoded_words.decode(parser.value)
        elif event != parts.PART:
            return ""
