"""The whole appliance: card, link and services wired together in one asyncio loop."""

import asyncio
import errno
import gc
import json
import os

import machine
import micropython

from picopost import clock, event_log, keyboard, limits, load, status_led, unload
from picopost.net import tell
from picopost.net.failures import Failures
from picopost.net.identity import Identity
from picopost.net.server import Server
from picopost.post_office import PostOffice
from picopost.store.sd_card import SdCard
from picopost.store.volume import Volume
from picopost.watchdog import Watchdog

_ROOT = "/sd"


def _open_card(board):
    pins = board["sd_card"]
    spi = machine.SPI(pins["spi"], 400_000, sck=machine.Pin(pins["sck"]),
                      mosi=machine.Pin(pins["mosi"]), miso=machine.Pin(pins["miso"]))
    card = SdCard(spi, machine.Pin(pins["cs"], machine.Pin.OUT, value=1),
                  baudrate=pins["baudrate"])
    card.open()
    volume = Volume(card)
    if volume.mount(_ROOT):
        event_log.log("repaired", why="a write that a power cut tore")
    return volume


async def _take_card(board, office, led):
    """Open the mailboxes on the card in the slot; waits for one as long as there is none. To read
    what is on it may take longer than the watchdog can wait.
    """
    while True:
        try:
            office.volume = _open_card(board)
            office.no_card = ""
            try:
                _change_accounts(office)
                office.open()
                return
            except OSError:
                _let_card_go(office)
                raise
        except OSError as error:
            office.no_card = str(error)
            event_log.log("no_card", why=office.no_card)
            led.code = status_led.NO_CARD
        await asyncio.sleep_ms(limits.CARD_RETRY)


def _change_accounts(office):
    """Do what ACCOUNTS.TXT in the root of the card asks for, where there is one."""
    try:
        os.stat(_ROOT + "/ACCOUNTS.TXT")
    except OSError as error:
        if error.errno != errno.ENOENT:
            raise
        return
    try:
        from picopost import card_accounts

        card_accounts.apply(office, _ROOT)
    except MemoryError:  # sessions of the card before may still be there; mail shall go on
        event_log.log("accounts_refused", why="the heap has no room now; the next start has")
    finally:
        unload("picopost.card_accounts")
        unload("picopost.accounts_file")


def _let_card_go(office):
    office.close()
    office.volume.unmount()


async def _keep_card(board, office, led, dog, server):
    """For ever: when the card fails or is pulled, take the next one, or the same again."""
    while True:
        await asyncio.sleep_ms(limits.CARD_CHECK)
        office.volume.probe()
        if office.volume.failure:
            event_log.log("card_lost", why=str(OSError(*office.volume.failure)))
            _let_card_go(office)
            dog.stop()
            await _take_card(board, office, led)
            dog.start()
            event_log.log("card_back")
        elif office.visits and office.visits.due(server):
            await office.visits.enter(office)


def _link(board, settings):
    """The board's link; the modules of the other kinds are never loaded."""
    if board["link"] == "wiznet":
        from picopost.net.wiznet import Link
    elif board["link"] == "wiznet5k":
        from picopost.net.wiznet5k import Link
    else:
        from picopost.net.wifi import Link
    return Link(board, settings)


async def _join(link, led):
    """Bring the link up; tries for ever, since a router may boot later than we do."""
    led.code = status_led.NO_NETWORK
    while True:
        try:
            await link.up()
            return
        except OSError as error:
            tell(error)
            led.code = status_led.WRONG_PASSWORD if link.refused else status_led.NO_NETWORK
        await asyncio.sleep_ms(limits.LINK_RETRY)


def _services(office, settings, identity):
    """[(port, Service)], the most wanted first: a link with few listeners serves these longest."""
    from picopost.policy import Policies
    from picopost.pop3.service import Pop3Service
    from picopost.smtp.service import SmtpService

    failures = Failures()
    pop3 = settings["pop3_listeners"]
    listeners = dict(settings["listeners"])
    listeners.update(pop3)
    policies = Policies(listeners, settings["clients"], identity is not None,
                        settings["require_tls"])
    return [(port, (Pop3Service if str(port) in pop3 else SmtpService)(
        port, office, policies, failures, identity)) for port in policies.ports()]


def _tell_of_logins(settings, identity):
    """What the owner should know about passwords in the clear."""
    if not settings["require_tls"]:
        event_log.log("logins", why="a login needs no TLS, so passwords may cross the network in "
                      "the clear", advice="the setting require_tls forbids it")
    elif identity is None:
        event_log.log("no_logins", why="the setting require_tls wants TLS for a login, and there "
                      "is none")


async def _keep_time(link, server):
    """For ever: set the clock by a server in the network, as the setting `time_server` says."""
    if server is None:
        return
    silent = False
    while True:
        address = link.gateway if server == "gateway" else server
        pause = limits.TIME_RETRY
        try:
            if address is server:
                address = await load("picopost.net.dns").resolve(link, server, limits.TIME_WAIT)
            sntp = load("picopost.net.sntp")
            now = await sntp.ask(link, address, limits.TIME_WAIT)
            before = clock.now()
            if not clock.set(now):
                raise OSError(errno.EIO, "it says a time long ago")
            pause = limits.TIME_AGAIN
            if silent or abs(now - before) > 2:
                event_log.log("clock_set", server=address)
            silent = False
        except (OSError, MemoryError) as error:
            try:
                if not silent:
                    event_log.log("no_time", server=address, why=str(error), advice="let the "
                                  "router answer to NTP, or name a server in the setting "
                                  "time_server")
                silent = True
            except MemoryError:
                pass  # the next time
        unload("picopost.net.sntp")
        unload("picopost.net.dns")
        await asyncio.sleep_ms(pause)


def _notices(office, link, led):
    """Who tells of new letters; None, and not loaded, where the setting `notices` has no rules."""
    if not office.notice_rules:
        return None
    from picopost.notices.queue import Notices

    return Notices(office, link, led)


async def _watch(dog, led, office, link, ready, parts, proven):
    """For ever, once a second: all tasks have had their turn. Once it is `ready` the LED tells how
    it is; a minute later the start was a good one.
    """
    dog.start()
    parts["up"] = 0
    left = limits.PROVEN_AFTER // limits.WATCHDOG_FEED
    while True:
        dog.feed()
        parts["up"] += limits.WATCHDOG_FEED // 1000
        if ready:
            if office.volume.failure:
                led.code = status_led.NO_CARD
            else:
                led.code = (status_led.SERVING if link.connected else
                            status_led.WRONG_PASSWORD if link.refused else status_led.NO_NETWORK)
            if office.visits:
                office.visits.tick(led.code == status_led.SERVING)
            left -= 1
            if not left and proven:
                proven()
        await asyncio.sleep_ms(limits.WATCHDOG_FEED)


async def _serve(board, settings, known, led, ready, parts, settled, proven):
    dog = Watchdog()
    parts["office"] = office = PostOffice(settings, known, _ROOT)
    identity = Identity.load()
    await _take_card(board, office, led)
    parts["link"] = link = _link(board, settings)
    tasks = [asyncio.create_task(_watch(dog, led, office, link, ready, parts, proven))]
    try:
        await _join(link, led)
        office.use_address(link.address)
        link.moved = office.use_address
        server = Server(link, identity)
        ports = {}
        for port, service in _services(office, settings, identity):
            server.serve(port, service)
            ports[service.name] = port
        parts.update(server=server, identity=identity, ports=ports,
                     time_server=settings["time_server"])
        ready.update(board=board["name"], hostname=office.hostname, address=link.address,
                     tls=identity.fingerprint if identity else "", **ports)
        event_log.log("ready", **ready)
        _tell_of_logins(settings, identity)
        office.notices = _notices(office, link, led)
        # All that stays is loaded.
        gc.threshold(limits.GARBAGE)
        if settled:
            settled()
        tasks += [asyncio.create_task(link.run()), asyncio.create_task(server.watch()),
                  asyncio.create_task(_keep_card(board, office, led, dog, server)),
                  asyncio.create_task(_keep_time(link, settings["time_server"]))]
        if office.notices:
            tasks.append(asyncio.create_task(office.notices.run()))
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        dog.stop()
        link.close()
        try:
            office.volume.sync()
        except OSError as error:  # all that was acknowledged was synced long ago
            event_log.log("card_fault", error=str(error))
        _let_card_go(office)


async def _run(board, settings, known, settled, proven):
    """Serve until Ctrl-C, which works while there is no card and no network too."""
    led = status_led.StatusLed(board)
    light = asyncio.create_task(led.run())
    ready = {}
    parts = {"board": board}  # what the console is asked about
    service = asyncio.create_task(_serve(board, settings, known, led, ready, parts, settled,
                                         proven))
    try:
        await asyncio.gather(service, asyncio.create_task(keyboard.watch(ready, parts)))
    finally:
        light.cancel()
        led.off()
        service.cancel()
        try:
            await service
        except asyncio.CancelledError:
            pass


def _configuration():
    """(settings, accounts). What checks them is not needed again, and leaves the heap."""
    from picopost import accounts_file, settings

    read = settings.read()
    known = accounts_file.read()
    if known:
        settings.check_accounts(read, known)
    else:
        from picopost import enrolment

        settings.check_accounts(read, (enrolment.USER,))  # or a password is shown in vain
        known = enrolment.first_start()
        unload("picopost.enrolment")
    unload("picopost.settings")
    unload("picopost.accounts_file")
    return read, known


def main(definition="board.json", settled=None, proven=None):
    """Run until Ctrl-C. `definition`: the board's. `settled()` is called when all is loaded and
    serves, `proven()` when it has for a minute.

    Raises picopost.Misconfigured, and what nothing could handle.
    """
    with open(definition) as file:
        board = json.load(file)
    settings, known = _configuration()
    micropython.kbd_intr(-1)  # Ctrl-C comes to keyboard.py instead: never inside a card write
    try:
        asyncio.run(_run(board, settings, known, settled, proven))
    except keyboard.Stop:
        event_log.log("stopped")
    finally:
        micropython.kbd_intr(3)
        asyncio.new_event_loop()
