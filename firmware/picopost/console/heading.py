"""What a list says of a letter: who wrote it, about what, and whether anything is attached."""

from picopost import limits
from picopost.console.text import Text
from picopost.mime import addresses, encoded_words, parts
from picopost.mime.content import Content


async def read(out, office, where):
    """(sender, subject, attached): what its first limits.MIME_TEXT_LOOK octets show."""
    letter = Text(out, office, where)
    parser = letter.parser
    sender = subject = ""
    content = None
    while letter.read < limits.MIME_TEXT_LOOK:
        event = await letter.next()
        if event == parts.PART:
            content = Content()
        elif event == parts.FIELD:
            name = parser.name.lower()
            content.note(name, parser.value)
            if parser.depth:
                pass
            elif name == b"subject":
                subject = subject or encoded_words.decode(parser.value)
            elif name == b"from":
                for person, address in addresses.parse(parser.value)[:1]:
                    sender = sender or person or address
        elif event == parts.BODY:
            if parser.leaf:
                if content.is_attachment(parser.content_type):
                    return sender, subject, True
                if not parser.depth:
                    break
        elif event == parts.DONE:
            break
    return sender, subject, False
