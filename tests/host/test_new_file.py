"""A new file has its name once it is whole."""

import errno
import os

import pytest

from host_tools.errors import UserError
from host_tools.new_file import new_file


def test_whole(tmp_path):
    path = tmp_path / "mbox"
    with new_file(path, 0o600) as file:
        file.write(b"one")
        assert [each.name for each in tmp_path.iterdir()] == ["mbox.part"]
        file.write(b"two")
    assert path.read_bytes() == b"onetwo" and path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), UserError("the board is gone")])
def test_broken_off(tmp_path, error):
    with pytest.raises(type(error)), new_file(tmp_path / "mbox") as file:
        file.write(b"half")
        raise error
    assert not list(tmp_path.iterdir())


def test_never_over_a_file(tmp_path):
    """Not over one either that came while it was written."""
    path = tmp_path / "mbox"
    with pytest.raises(UserError, match="mbox: File exists"), new_file(path) as file:
        file.write(b"new")
        path.write_bytes(b"old")
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_never_over_what_another_one_writes(tmp_path):
    path = tmp_path / "mbox"
    with new_file(path) as file:
        with pytest.raises(UserError, match="mbox.part: File exists"), new_file(path):
            pass
        file.write(b"first")
    assert path.read_bytes() == b"first"


def test_where_there_are_no_hard_links(tmp_path, monkeypatch):
    """A FAT stick."""
    def link(*_, **__):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    with new_file(tmp_path / "mbox") as file:
        file.write(b"one")
    assert (tmp_path / "mbox").read_bytes() == b"one"


def test_its_name_is_not_kept_by_an_empty_file(tmp_path, monkeypatch):
    def replace(self, _):
        raise OSError(errno.EIO, "Input/output error", str(self))

    monkeypatch.setattr(type(tmp_path), "replace", replace)
    with pytest.raises(UserError, match="Input/output error"), new_file(tmp_path / "mbox") as file:
        file.write(b"one")
    assert not list(tmp_path.iterdir())


def test_full(tmp_path):
    path = tmp_path / "mbox"
    with pytest.raises(UserError, match="mbox: No space left on device"), new_file(path):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert not list(tmp_path.iterdir())
