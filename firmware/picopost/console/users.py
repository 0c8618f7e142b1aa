"""`users`: the accounts, and what their mailboxes hold."""


async def answer(out, words, parts):
    office = parts.get("office")
    if not office:
        return "the accounts are not read yet"
    for name in office.accounts:
        try:
            index = office.mailbox(name).index
            says = "%d messages, %d KB" % (index.live, index.octets + 1023 >> 10)
        except OSError as error:
            says = str(error)
        await out.text("%-16s %s" % (name, says))
