"""Labs by name, and what importing them costs."""

import subprocess
import sys
from pathlib import Path

import pytest

from labwm.errors import NotFoundError
from labwm.labs import build_lab, capabilities_of, lab_names, origin_of_lab
from labwm.schema import Measurement, Origin, Protocol, Value

HTTP = {"adapter": "http", "settings": {"url": "http://127.0.0.1:8400"}}
HEAVY = {"torch", "xarray", "rdkit", "pandas", "prefect", "tblite", "gymnasium"}


def dyes() -> Protocol:
    return Protocol.model_validate(
        {
            "name": "dyes",
            "version": 1,
            "parameters": [{"name": "dye", "kind": "molecule"}],
            "readouts": [{"name": "gap", "unit": "eV"}],
            "objectives": [{"readout": "gap", "goal": "maximise"}],
        }
    )


@pytest.mark.parametrize("name", lab_names())
def test_a_lab_is_what_its_entry_says(name: str, tmp_path: Path):
    row = Measurement(
        conditions={"dye": "CCO"},
        readouts={"gap": Value(value=1.0)},
        origin=Origin.IMPORTED,
    )
    protocol = dyes()
    if name == "http":  # the only one that cannot be built without settings
        section = protocol.lab.model_validate(HTTP)
        protocol = protocol.model_copy(update={"lab": section})
    lab = build_lab(name, protocol=protocol, folder=tmp_path, table=(row,))
    assert lab.name == name
    assert lab.origin is origin_of_lab(name)
    assert lab.capabilities == capabilities_of(name)


def test_an_unknown_name_gets_a_suggestion(tmp_path: Path):
    with pytest.raises(NotFoundError, match=r"got 'reply'\. Did you mean 'replay'"):
        build_lab("reply", protocol=dyes(), folder=tmp_path)
    with pytest.raises(NotFoundError, match="Known: 'folder', 'http', 'replay', 'xtb'"):
        origin_of_lab("robot")


def test_importing_the_room_loads_nothing_heavy():
    code = (
        "import sys, labwm.labs; print(*{name.split('.')[0] for name in sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert "labwm" in loaded
    assert not loaded & HEAVY
