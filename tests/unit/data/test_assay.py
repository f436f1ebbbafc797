"""A table comes in one way: read, checked, curated."""

import subprocess
import sys

from labwm.data.assay import read_assay
from labwm.data.protocols import load_protocol
from tests.conftest import ROOT


def test_a_molecule_that_a_public_set_writes_twice_is_one_candidate(mirror):
    assay = read_assay("photoswitch", load_protocol("photoswitch"))
    twice = [same for same in assay.curation.same_molecules if same.is_identical]
    assert twice
    n_written = len({str(m.conditions) for m in assay.measurements})
    assert assay.imported.n_experiments - n_written == sum(
        len(same.inputs) - 1 for same in twice
    )
    assert len(assay.measurements) == assay.imported.n_rows
    assert "written differently" in assay.text()


def test_a_protocol_without_molecules_needs_no_chemistry(tmp_path):
    (tmp_path / "t.csv").write_text("x,y\n1,2\n3,4\n")
    (tmp_path / "p.yaml").write_text(
        "name: p\nversion: 1\n"
        "parameters: [{name: x, kind: continuous, bounds: [0, 9]}]\n"
        "readouts: [{name: y}]\nobjectives: [{readout: y, goal: maximise}]\n"
    )
    code = (
        "import sys; from labwm.data.assay import read_assay; "
        "from labwm.data.protocols import load_protocol; "
        f"read_assay({str(tmp_path / 't.csv')!r}, "
        f"load_protocol({str(tmp_path / 'p.yaml')!r})); "
        "assert not {'rdkit', 'torch', 'xarray'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
