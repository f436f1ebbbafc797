"""Tables become measurements by the protocol's columns; bad rows are told."""

from pathlib import Path
from typing import Any

import pytest

from labwm.data.measurements import (
    labels_from_table,
    measurements_from_table,
)
from labwm.data.read import read_table
from labwm.data.table import Table
from labwm.errors import (
    InvalidInputError,
    MoleculeError,
    SpaceError,
    TableError,
    UnitError,
)
from labwm.schema import Origin, Protocol, Status, parse_protocol


def protocol(**changes: Any) -> Protocol:
    content = {
        "name": "p",
        "version": 1,
        "parameters": [
            {"name": "temperature", "kind": "continuous", "unit": "degC",
             "bounds": [20, 120], "column": "Temp"},
            {"name": "solvent", "kind": "molecule", "smiles_column": "SMILES",
             "label_column": "Name"},
            {"name": "plate", "kind": "context"},
        ],
        "readouts": [
            {"name": "yield", "unit": "percent", "bounds": [0, 100]},
            {"name": "passed", "kind": "pass_fail", "column": "QC"},
        ],
        "objectives": [{"readout": "yield", "goal": "maximise"}],
    }  # fmt: skip
    return Protocol.model_validate(content | changes)


GOOD = """Temp (°C);SMILES;Name;plate;yield / %;QC
90;CCO;ethanol;3;12,5;pass
90;CCO;ethanol;3;<5;fail
105;CN(C)C=O;DMF;4;104,1;
120;CCO;ethanol;;trace;pass
"""


def table(tmp_path: Path, content: str = GOOD) -> Table:
    path = tmp_path / "t.csv"
    path.write_text(content, encoding="utf-8")
    return read_table(path)


def test_every_row_becomes_a_measurement(tmp_path):
    found, report = measurements_from_table(table(tmp_path), protocol())
    assert [m.readouts["yield"].status for m in found] == [
        Status.OK, Status.BELOW, Status.OUT_OF_BOUNDS, Status.TRACE,
    ]  # fmt: skip
    assert found[0].conditions == {"temperature": 90.0, "solvent": "CCO", "plate": "3"}
    assert "plate" not in found[3].conditions
    assert found[0].readouts["yield"].value == 12.5
    assert [m.replicate for m in found] == [0, 1, 0, 0]
    assert all(m.origin is Origin.IMPORTED for m in found)
    assert all(m.raw_sha256 == report.sha256 for m in found)
    assert (report.n_measurements, report.n_experiments) == (4, 3)
    assert report.statuses["passed"] == {"ok": 3, "missing": 1}
    assert "4 rows, 4 measurements of 3 experiments" in report.text()
    assert type(report).model_validate(report.model_dump(mode="json")) == report


def test_units_of_the_header_are_converted_to_those_of_the_protocol(tmp_path):
    content = (
        "Temp (K),SMILES,Name,plate,yield [fraction],QC\n363.15,CCO,e,1,0.5,pass\n"
    )
    found, report = measurements_from_table(table(tmp_path, content), protocol())
    assert found[0].conditions["temperature"] == pytest.approx(90.0)
    assert found[0].readouts["yield"].value == pytest.approx(50.0)
    assert len(report.conversions) == 2
    assert "Temp (K): K to degC" in report.text() or "kelvin" in report.text()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Temp (°C)", "Temp (nm)", "'Temp \\(nm\\)' must fit 'temperature'"),
        ("yield / %", "yield / nm", "'yield / nm' must fit 'yield'"),
    ],
)
def test_a_unit_of_another_dimension_is_refused(tmp_path, old, new, message):
    with pytest.raises(UnitError, match=message):
        measurements_from_table(table(tmp_path, GOOD.replace(old, new)), protocol())


def test_an_unknown_unit_in_the_protocol_is_refused(tmp_path):
    readouts = [{"name": "yield", "unit": "percnt"}]
    with pytest.raises(UnitError, match="Did you mean 'percent'"):
        measurements_from_table(table(tmp_path), protocol(readouts=readouts))


def test_an_unknown_column_is_refused_with_the_nearest(tmp_path):
    content = GOOD.replace("SMILES", "SMILE")
    with pytest.raises(TableError, match=r"has no 'SMILES'\. Did you mean 'SMILE'"):
        measurements_from_table(table(tmp_path, content), protocol())


BAD = [
    ("105;CN", "150;CN", SpaceError, "line 4: 'temperature' lies between 20 and 120"),
    (
        "CN(C)C=O",
        "CN(C)C=Q",
        MoleculeError,
        "line 4: A molecule must be a valid SMILES",
    ),
    ("105;CN", "warm;CN", TableError, "line 4: .* takes numbers; got 'warm'"),
    ("105;CN", ";CN", SpaceError, "line 4: .*'temperature' has none"),
    ("105;CN", "<105;CN", TableError, "takes numbers; got '<105'"),
]
IDS = ["bounds", "smiles", "text", "missing", "censored"]


@pytest.mark.parametrize(("old", "new", "error", "message"), BAD, ids=IDS)
def test_a_row_that_is_no_experiment_is_refused(tmp_path, old, new, error, message):
    with pytest.raises(error, match=message) as caught:
        measurements_from_table(table(tmp_path, GOOD.replace(old, new)), protocol())
    assert "1 of 4 rows" in str(caught.value)


@pytest.mark.parametrize(("old", "new", "error", "message"), BAD, ids=IDS)
def test_with_a_report_such_rows_are_left_out_and_listed(
    tmp_path, old, new, error, message
):
    found, report = measurements_from_table(
        table(tmp_path, GOOD.replace(old, new)), protocol(), on_error="report"
    )
    assert len(found) == 3
    assert [problem.line for problem in report.problems] == [4]
    assert "1 of 4 rows are left out" in report.text()


def test_many_bad_rows_are_counted_and_the_first_are_shown(tmp_path):
    rows = "".join(f"{200 + i};CCO;e;1;5;pass\n" for i in range(9))
    with pytest.raises(SpaceError) as caught:
        measurements_from_table(table(tmp_path, GOOD + rows), protocol())
    text = str(caught.value)
    assert "9 of 13 rows" in text
    assert text.count("  line ") == 5
    assert "and 4 more" in text


def test_unlike_problems_together_are_a_table_error(tmp_path):
    content = GOOD.replace("105;CN", "150;CN").replace("120;CCO", "120;C(")
    with pytest.raises(TableError, match="2 of 4 rows"):
        measurements_from_table(table(tmp_path, content), protocol())


def test_a_curve_in_a_table_is_refused(tmp_path):
    readouts = [{"name": "yield", "kind": "curve", "over": {"name": "time"}}]
    with pytest.raises(InvalidInputError, match="'yield' is a curve"):
        measurements_from_table(table(tmp_path), protocol(readouts=readouts))


def test_a_molecule_written_otherwise_is_matched_to_the_declared_level(tmp_path):
    parameters = [{"name": "s", "kind": "molecule", "smiles": ["OCC", "CN(C)C=O"],
                   "smiles_column": "SMILES"}]  # fmt: skip
    found, report = measurements_from_table(
        table(tmp_path), protocol(parameters=parameters)
    )
    assert found[0].conditions == {"s": "OCC"}
    assert "matched by their canonical form" in report.text()


@pytest.mark.parametrize("unit", ["percent", "fraction"])
def test_a_mixture_is_read_by_its_parts(tmp_path, unit: str):
    whole = 100 if unit == "percent" else 1
    content = f"water,mix.dmso,y_out\n{0.25 * whole},{0.75 * whole},3\n"
    mixture = {"name": "mix", "kind": "mixture", "parts": ["water", "dmso"]}
    found, _ = measurements_from_table(
        table(tmp_path, content),
        protocol(
            parameters=[mixture | {"unit": unit}],
            readouts=[{"name": "y_out"}],
            objectives=[{"readout": "y_out", "goal": "maximise"}],
        ),
    )
    assert found[0].conditions == {"mix.water": 0.25, "mix.dmso": 0.75}


def test_the_word_none_is_a_level_where_it_is_declared(tmp_path):
    parameters = [{"name": "enzyme", "kind": "categorical", "levels": ["wt", "none"]}]
    simple = protocol(
        parameters=parameters,
        readouts=[{"name": "y_out"}],
        objectives=[{"readout": "y_out", "goal": "maximise"}],
    )
    found, _ = measurements_from_table(
        table(tmp_path, "enzyme,y_out\nnone,1\nwt,2\n"), simple
    )
    assert found[0].conditions == {"enzyme": "none"}


def test_names_of_molecules_come_from_the_label_column(tmp_path):
    labels = labels_from_table(table(tmp_path), protocol())
    assert labels == {"solvent": {"CCO": "ethanol", "CN(C)C=O": "DMF"}}


def test_reading_a_protocol_file_and_a_table_needs_no_heavy_package():
    import subprocess
    import sys

    code = (
        "import sys, labwm.data.catalogue, labwm.data.measurements, labwm.data.dataset,"
        " labwm.data.init_protocol, labwm.data.curate, labwm.space, labwm.units;"
        "print([m for m in ('pandas', 'xarray', 'zarr', 'rdkit', 'torch', 'pint',"
        " 'scipy', 'openpyxl', 'pooch') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_protocol_of_the_examples_parses(shared):
    for path in sorted((shared / "examples").glob("*.yaml")):
        assert parse_protocol(path.read_text(encoding="utf-8"), source=path.name)
