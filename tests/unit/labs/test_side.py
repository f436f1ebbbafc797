"""Interpreters of their own: made whole or not at all, and found again."""

import subprocess
import zipfile
from pathlib import Path

import pytest

from labwm import settings
from labwm.errors import LeaseHeldError, NotFoundError, UnavailableError
from labwm.labs import side
from labwm.labs.lease import lease


def wheel(folder: Path) -> Path:
    """Write the smallest package there is, as a wheel."""
    path = folder / "tiny_part-1.0-py3-none-any.whl"
    about = "tiny_part-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny_part.py", "ANSWER = 42\n")
        archive.writestr(f"{about}/METADATA", "Name: tiny-part\nVersion: 1.0\n")
        archive.writestr(
            f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n"
        )
        archive.writestr(f"{about}/RECORD", "")
    return path


def test_names_of_no_environment_are_refused():
    with pytest.raises(NotFoundError, match="Did you mean 'opentrons'"):
        side.install_side("opentron")


@pytest.mark.slow  # makes two environments with pip, seconds each
@pytest.mark.timeout(300)
def test_an_environment_is_made_once_and_one_that_failed_is_made_again(
    tmp_path: Path, monkeypatch
):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setattr(side, "SIDES", {"tiny": ("no-such-part==1",)})
    with pytest.raises(UnavailableError, match="no-such-part"):
        side.install_side("tiny")
    monkeypatch.setattr(side, "SIDES", {"tiny": (str(wheel(tmp_path)),)})
    python = side.install_side("tiny")
    assert python.is_relative_to(settings.home() / "side" / "tiny")
    code = "import tiny_part, sys; sys.stdout.write(str(tiny_part.ANSWER))"
    said = subprocess.run([python, "-c", code], capture_output=True, check=True)
    assert said.stdout == b"42"
    before = python.lstat().st_mtime_ns
    assert side.install_side("tiny") == python
    assert python.lstat().st_mtime_ns == before


def test_two_processes_do_not_make_one_environment(monkeypatch):
    folder = settings.home() / "side"
    folder.mkdir(parents=True)
    with (
        lease(folder / ".opentrons-lease"),
        pytest.raises(LeaseHeldError, match="opentrons"),
    ):
        side.install_side("opentrons")
