"""`status`: how the appliance is, part by part, in events' form for `doctor` and for people.

A part that is not there yet is left out; a field without a value too.
"""

import gc
import os
import sys
import time

from picopost import clock, limits, load


async def answer(out, words, parts):
    """A line for each part; with `card` the card's alone, and what reading from it shows."""
    office = parts.get("office")
    if words == ["card"]:
        return await _read(out, office)
    if words:
        return "`status`, or `status card`"
    for part in (_board, _heap, _card, _network, _time, _tls, _sessions):
        fields = part(parts)
        if fields:
            await out.event("status", **fields)
    for name, port in parts.get("ports", {}).items():
        await out.event("status", part="service", service=name, port=port)
    if office:
        for name in office.accounts:
            try:
                index = office.mailbox(name).index
                await out.event("status", part="mailbox", mailbox=name, messages=index.live,
                                octets=index.octets, in_use=_yes(office.mailbox(name).in_use))
            except OSError as error:
                await out.event("status", part="mailbox", mailbox=name, why=str(error))
        if office.visits and office.volume and not office.volume.failure:
            await _devices(out, office)


async def _devices(out, office):
    """What the appliance has learnt of each, where the setting `passports` wants that."""
    async def say(**fields):
        await out.event("status", part="device", **fields)

    gc.collect()
    if gc.mem_free() < limits.HEAP_SCALE * limits.PASSPORTS_ROOM:
        return await say(why="the heap has no room for that now")
    try:
        await load("picopost.passports.show").show(office, say)
    finally:
        load("picopost.passports.visits").unload_all()


def _yes(true):
    return "yes" if true else "no"


def _board(parts):
    fields = {"part": "board", "board": parts["board"]["name"], "up": parts.get("up", 0),
              "image": "%d.%d.%d" % sys.implementation.version[:3]}
    if "office" in parts:
        fields["hostname"] = parts["office"].hostname
    try:
        from picopost_stamp import STAMP  # which firmware it is (host_tools/firmware_build.py)

        fields["firmware"] = STAMP
        del sys.modules["picopost_stamp"]
    except ImportError:
        pass  # loose files
    return fields


def _heap(parts):
    gc.collect()
    free = gc.mem_free()
    return {"part": "heap", "free": free, "octets": free + gc.mem_alloc()}


def _card(parts):
    """Of the driver, which checks a CRC with each block."""
    office = parts.get("office")
    volume = office and office.volume
    if not volume:
        return office and {"part": "card", "state": "missing", "why": office.no_card}
    card = volume.card
    fields = {"part": "card", "state": "lost" if volume.failure else "ok",
              "type": "SDHC" if card.high_capacity else "SDSC", "crc": "yes",
              "octets": card.blocks * 512, "baudrate": card.baudrate, "read": card.blocks_read,
              "written": card.blocks_written, "errors": card.errors, "healed": card.retries}
    if card.write_protected:
        fields["write_protected"] = "yes"
    if card.last_error:
        fields["last_error"] = card.last_error
    if volume.failure:
        fields["why"] = office.no_card or str(OSError(*volume.failure))
    else:
        try:
            state = os.statvfs(office.root)
            fields["free"] = state[0] * state[3]
        except OSError as error:
            fields["why"] = str(error)
    return fields


def _network(parts):
    link = parts.get("link")
    if not link:
        return None
    fields = {"part": "network", "link": parts["board"]["link"], "address": link.address,
              "connected": _yes(link.address and link.connected)}
    if link.address:
        fields["gateway"] = link.gateway
        fields["dns"] = link.dns
        signal = getattr(link, "signal", None)
        if signal:
            fields["signal"] = signal
    return fields


def _time(parts):
    now = clock.now()
    fields = {"part": "time", "set": _yes(now), "now": now}
    if "time_server" in parts:
        fields["server"] = parts["time_server"] or "none"
    return fields


def _tls(parts):
    if "server" not in parts:
        return None
    identity = parts["identity"]
    if not identity:
        return {"part": "tls", "state": "none"}
    return {"part": "tls", "state": "ok", "fingerprint": identity.fingerprint,
            "sessions": identity.sessions, "waiting": identity.waiting}


def _sessions(parts):
    server = parts.get("server")
    return server and {"part": "sessions", "sessions": server.sessions, "waiting": server.waiting,
                       "most": server.link.max_sessions}


async def _read(out, office):
    """Read some blocks spread over the card, with others running in between. Each has a CRC, so
    what is read is right, or an error that the driver healed or could not.
    """
    fields = _card({"office": office})
    await out.event("status", **fields)
    if fields["state"] != "ok":
        return fields["why"]
    volume = office.volume  # what comes in its place may be smaller
    card = volume.card
    healed = card.retries
    buffer = bytearray(4096)  # eight blocks
    pieces = limits.CONSOLE_BLOCKS // 8
    spent = 0
    for piece in range(pieces):
        await volume.wait_ready()
        began = time.ticks_us()
        volume.read(card.blocks // pieces * piece, buffer)
        spent += time.ticks_diff(time.ticks_us(), began)
        await out.wait()
    await out.event("status", part="card_read", octets=pieces * 4096,
                    kb_per_second=pieces * 4_000_000 // max(spent, 1), healed=card.retries - healed,
                    crc="right")
