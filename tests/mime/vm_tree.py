# Runs in the VM and under CPython: what a Parser tells of a message, as plain values.
from picopost.mime import parts


def tree(message, chunk=4096, buffer=4096):
    """The parts in the order of their beginnings, each a dict of what was told of it."""
    parser = parts.Parser(bytearray(buffer))
    used, found, opened, state = 0, [], [], None
    while True:
        event = parser.next()
        if event == parts.NEED:
            assert state != 0, "asks for more behind the end"
            room = parser.room()
            assert len(room)
            octets = message[used:used + min(chunk, len(room))]
            room[:len(octets)] = octets
            used += len(octets)
            state = len(octets)
            parser.filled(state)
        elif event == parts.PART:
            part = {"header": parser.path, "message": parser.message, "depth": parser.depth,
                    "fields": [], "data": b"", "preamble": b""}
            assert parser.depth == len(opened)
            opened.append(part)
            found.append(part)
        elif event == parts.FIELD:
            part["fields"].append((parser.name, parser.value, parser.truncated))
        elif event == parts.BODY:
            part["path"] = parser.path
            part["type"] = parser.content_type
            part["encoding"] = parser.encoding
            part["leaf"] = parser.leaf
            part["start"] = parser.header_start, parser.body_start
        elif event == parts.DATA:
            part["data"] += bytes(parser.data)
        elif event == parts.PREAMBLE:
            part["preamble"] += bytes(parser.data)
        elif event == parts.END:
            assert parser.depth == len(opened) - 1
            part = opened.pop()
            assert (part["path"], part["message"]) == (parser.path, parser.message)
            assert part["start"] == (parser.header_start, parser.body_start)
            part["end"] = parser.body_end
            part["lines"] = parser.lines
        else:
            assert event == parts.DONE and not opened
            assert parser.next() == parts.DONE
            assert used == len(message)
            return found
