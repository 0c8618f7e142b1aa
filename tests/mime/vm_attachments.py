# Runs in the VM and under CPython: a message's attachments, as plain values.
import io

from picopost.mime import attachments


def read(octets, buffer, room):
    """[(number, path, name, content type, what was attached)]"""
    found = attachments.Attachments(io.BytesIO(octets), bytearray(buffer))
    target = bytearray(room)
    result = []
    while found.next():
        data = b""
        while True:
            count = found.readinto(target)
            if not count:
                break
            data += bytes(target[:count])
        assert found.octets == len(data)
        result.append((found.number, found.path, found.name, found.content_type, data))
    return result
