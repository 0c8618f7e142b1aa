"""A card that this computer has mounted is written by nobody else."""

import argparse
import os
import stat
from pathlib import Path
from types import SimpleNamespace

import pytest

from host_tools import card_command
from host_tools.card import mounted
from host_tools.errors import UserError
from host_tools.user.card import open_changes


@pytest.fixture
def card(tmp_path, monkeypatch):
    """Of a computer with /dev/sdb (8:16), its partition (8:17) and a loop device (7:0)."""
    devices = tmp_path / "sys"
    (devices / "sdb/sdb1").mkdir(parents=True)
    (devices / "loop0/loop").mkdir(parents=True)
    for number, folder in (("8:16", "sdb"), ("8:17", "sdb/sdb1"), ("7:0", "loop0")):
        (devices / number).symlink_to(folder)
    monkeypatch.setattr(mounted, "_DEVICES", devices)
    monkeypatch.setattr(mounted, "_MOUNTS", tmp_path / "mountinfo")
    path = tmp_path / "card.img"
    path.write_bytes(bytes(1024))
    (devices / "loop0/loop/backing_file").write_text(f"{path}\n")
    return path


def mount(card, number):
    card.with_name("mountinfo").write_text(
        "22 27 0:21 / /proc rw - proc proc rw\n"
        f"30 27 {number} / /media/my\\040card rw - vfat /dev/x rw\n")


class Device(type(Path())):
    """A block device."""

    def stat(self, **_):
        return SimpleNamespace(st_mode=stat.S_IFBLK | 0o600, st_rdev=os.makedev(8, self.minor))


@pytest.mark.parametrize("minor, number, refused", [
    (16, "8:16", True), (17, "8:17", True), (16, "8:17", True), (17, "8:16", True),
    (16, "7:0", False), (17, "8:33", False)])
def test_block_device(card, minor, number, refused):
    mount(card, number)
    device = Device(card)
    device.minor = minor
    if refused:
        with pytest.raises(UserError, match="mounted at /media/my card: unmount it"):
            mounted.refuse_mounted(device)
    else:
        mounted.refuse_mounted(device)


def test_image_behind_a_loop_device(card):
    mount(card, "7:0")
    with pytest.raises(UserError, match="is mounted at"):
        open_changes(card)
    with pytest.raises(UserError, match="is mounted at"):
        card_command._repair(argparse.Namespace(card=card, no_backup=True))
    mount(card, "8:17")
    open_changes(card)
