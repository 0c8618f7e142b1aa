"""Trees of parts and decoded bodies against CPython's email package, at any cut."""

import os
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings

from tests.mime.messages import message
from tests.mime.oracle import difference, ours, theirs

CHUNKS = (1, 7, 512)
_MESSAGES = int(os.environ.get("PICOPOST_MIME_MESSAGES", "200"))

# CPython's own samples. In these two an inner and an outer multipart have one boundary. Outlook
# Express for the Mac wrote such mail: to take each delimiter for the innermost one gives the parts
# that were meant, while CPython has the inner parts beside an empty one.
SAME_BOUNDARY = ("msg_15.txt", "msg_39.txt")


def samples():
    pytest.importorskip("test.test_email", reason="this Python came without its tests")
    import test.test_email

    return sorted((Path(test.test_email.__file__).parent / "data").glob("*.txt"))


def test_samples_of_cpython_have_the_same_parts():
    differing = set()
    assert len(samples()) > 40
    for path in samples():
        text = path.read_bytes().replace(b"\r\n", b"\n")
        for sample in (path.read_bytes(), text, text.replace(b"\n", b"\r\n")):
            tree = ours(sample)
            if difference(sample, tree, theirs(sample)):
                differing.add(path.name)
            for chunk in CHUNKS:
                assert ours(sample, chunk) == tree, (path, chunk)
    assert differing == set(SAME_BOUNDARY)


@settings(max_examples=_MESSAGES, deadline=None, suppress_health_check=list(HealthCheck))
@given(message())
def test_any_message_has_the_same_parts(sample):
    # A last delimiter right behind another one is overlooked by CPython.
    assume(not re.search(rb"(?m)^--(.+?)[ \t]*\r?\n--\1--[ \t]*\r?$", sample))
    # Nor does it know a boundary with something behind its quotes (a quoted-string ends there, RFC
    # 2045 5.1).
    assume(not re.search(rb'boundary="[^\n]*"\r?\n[ \t]+\S', sample))
    tree = ours(sample)
    assert not difference(sample, tree, theirs(sample)), difference(sample, tree, theirs(sample))
    for chunk in CHUNKS:
        assert ours(sample, chunk) == tree
