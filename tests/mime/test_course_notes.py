"""The messages that the course notes print, as they are printed and as they were meant.

Their lines were broken for the page: what continued a field stands at the beginning of a line, and
so ends the header, for us and for CPython's email alike. With these lines mended, and without what
the page put between, they show what their readers saw.
"""

import io
from pathlib import Path

import pytest

from tests.mime.oracle import difference, ours, theirs
from tests.mime.test_summary import in_vm, told

from picopost.mime import attachments  # isort: skip

_FOLDER = Path(__file__).with_name("course_notes")
PRINTED = {path.stem: path.read_bytes() for path in (_FOLDER / "as_printed").iterdir()}
MEANT = {path.stem: path.read_bytes() for path in (_FOLDER / "as_meant").iterdir()}

SUMMARIES = {
    "exercise_1": (("Mélanie Legas", "mlegas@hotmail.fr"), "FW: Rattrapage réseaux",
                   (2012, 8, 26, 10, 47, 9, 120), "", [], 0),
    "fetched_by_imap": (("Christian Caleca", "root@gw2.maison.mrs"), "test simple",
                        (2003, 11, 9, 9, 51, 30, 60), "coucou", [], 0),
    "example": (("", ""), "TD réseaux, suite", (2022, 1, 29, 16, 20, 48, 60),
                "Voici les deux prochaines TD de réseaux sur le thème de la sécurité. Le premier a "
                "été un peu abordé hier, la correction des exams de réseau et signaux ayant pris "
                "plus de temps que prévu. Nous utiliserons"[:200],
                [("Microsoft Word - TD 1 répartition de charges.pdf", "application/pdf", 227)], 0),
}


@pytest.mark.parametrize("message", [*PRINTED.values(), *MEANT.values()],
                         ids=[*PRINTED, *(f"{name}-meant" for name in MEANT)])
def test_parts_as_cpython_has_them(message):
    assert not difference(message, ours(message), theirs(message))
    for chunk in (1, 7, 512):
        assert ours(message, chunk) == ours(message)


@pytest.mark.parametrize("name", SUMMARIES)
def test_what_was_meant_is_seen(vm, name):
    assert told(MEANT[name]) == SUMMARIES[name]
    assert in_vm(vm, MEANT[name]) == SUMMARIES[name]


def test_the_attached_pdf():
    found = attachments.Attachments(io.BytesIO(MEANT["example"]), bytearray(512))
    target = bytearray(4096)
    assert found.next() and target[:found.readinto(target)].startswith(b"%PDF-1.4\n")
