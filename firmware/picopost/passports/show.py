"""Tells of all devices that have a passport. Loaded when somebody asks."""

from picopost import clock
from picopost.passports import table, words


async def show(office, say):
    """`await say(**fields)` of each, the latest first: what was noted is entered before. How many
    there are. Raises OSError when the card fails.

    The caller unloads picopost.passports' modules `show`, `table`, `record` and `words`, and
    picopost.smtp.advice, as visits.unload_all() does.
    """
    visits = office.visits
    if visits is None:
        return 0
    await table.enter_all(visits, office)
    stamps = []
    for slot, passport in table.passports(visits):
        if passport:
            stamps.append((-passport.stamp, slot))
    for _, slot in sorted(stamps):
        await office.pause()
        passport = table.get(visits, slot)
        if passport:
            name = visits.clients.get(passport.peer, {}).get("name")
            fields = words.fields(passport, clock.now())
            if name:
                fields["device"] = name
            await say(**fields)
    return len(stamps)
