"""`log`: the last events, as they were said."""

from picopost import event_log


async def answer(out, words, parts):
    kept = bytes(event_log.recent)  # what comes meanwhile moves it
    at = kept.find(b"\n") + 1  # the first may be cut, or NULs
    if not kept[0]:
        at = kept.rfind(b"\0") + 1
    while at < len(kept):
        end = kept.find(b"\n", at) + 1
        await out.octets(b"| " + kept[at:end])
        at = end
