"""Protocols are found by name or file; libraries come inline; the shipped ones work."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from labwm.data.catalogue import catalogue, load_table
from labwm.data.curate import curate
from labwm.data.curves import read_curves
from labwm.data.measurements import measurements_from_table
from labwm.data.protocols import (
    list_protocols,
    load_labels,
    load_protocol,
    protocol_path,
)
from labwm.errors import NotFoundError, ProtocolError, UnavailableError, UnitError
from labwm.schema import Protocol, Status, protocol_schema
from labwm.settings import shipped
from labwm.space import n_points, observations_from, pool_of, with_levels

LIBRARY = """name: p
version: 1
parameters:
  - name: dye
    kind: molecule
    library: library.csv
    label_column: name
readouts: [{name: y_out}]
objectives: [{readout: y_out, goal: maximise}]
"""


def place(folder: Path, library: str | None, text: str = LIBRARY) -> Path:
    (folder / "protocol.yaml").write_text(text, encoding="utf-8")
    if library is not None:
        (folder / "library.csv").write_text(library, encoding="utf-8")
    return folder / "protocol.yaml"


def test_a_library_comes_inline_in_the_order_of_the_file(tmp_path):
    path = place(tmp_path, "name,smiles\nb,CCO\na,C\nagain,CCO\n")
    protocol = load_protocol(path)
    assert protocol.parameters[0].smiles == ("CCO", "C")
    assert protocol.parameters[0].library is None
    assert n_points(protocol).exact == 2
    assert load_labels(path) == {"dye": {"CCO": "b", "C": "a"}}


def test_the_digest_of_a_protocol_changes_with_its_library(tmp_path):
    before = load_protocol(place(tmp_path, "smiles\nC\n")).digest()
    assert load_protocol(place(tmp_path, "smiles\nCC\n")).digest() != before


def test_a_list_of_smiles_is_a_library_too(tmp_path):
    (tmp_path / "library.smi").write_text("CCO ethanol\nC\n")
    path = place(tmp_path, None, LIBRARY.replace("library.csv", "library.smi"))
    assert load_protocol(path).parameters[0].smiles == ("CCO", "C")


@pytest.mark.parametrize(
    ("library", "message"),
    [
        (None, r"protocol\.yaml:6: the library of 'dye'.*is absent"),
        ("names\nx\n", r"protocol\.yaml:6: a library has a column of SMILES"),
        ("smiles,name\n,x\n", r"protocol\.yaml:6: a library holds molecules"),
    ],
    ids=["absent", "column", "empty"],
)
def test_a_bad_library_is_told_with_the_line(tmp_path, library, message):
    with pytest.raises(ProtocolError, match=message):
        load_protocol(place(tmp_path, library))


def test_an_unknown_rule_for_building_blocks_is_told_with_the_line(tmp_path):
    text = LIBRARY.replace(
        "library: library.csv", "building_blocks: {file: blocks.yaml, rule: magic}"
    )
    with pytest.raises(ProtocolError, match=r"yaml:6: .*'magic'"):
        load_protocol(place(tmp_path, None, text))


def test_an_unknown_name_brings_the_nearest():
    with pytest.raises(NotFoundError, match="Did you mean 'photoswitch'"):
        load_protocol("photoswich")


def test_an_absent_file_is_unavailable(tmp_path):
    with pytest.raises(UnavailableError, match="does not exist"):
        load_protocol(tmp_path / "absent.yaml")


def test_the_published_schema_is_the_generated_one():
    """Write it again with `json.dumps(protocol_schema(), indent=2)` if it changed."""
    text = shipped("protocols/protocol.schema.json").read_text(encoding="utf-8")
    generated = json.dumps(protocol_schema(), indent=2, ensure_ascii=False) + "\n"
    assert text == generated


def schema_errors(path: Path) -> list[str]:
    schema = json.loads(shipped("protocols/protocol.schema.json").read_text("utf-8"))
    validator = jsonschema.Draft202012Validator(schema)
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    return [error.message for error in validator.iter_errors(content)]


@pytest.mark.parametrize("name", ["direct_arylation.yaml", "kinetics.yaml"])
def test_the_examples_keep_to_the_published_schema(shared, name: str):
    assert schema_errors(shared / "examples" / name) == []


def test_the_published_schema_refuses_what_the_reader_refuses(tmp_path):
    assert schema_errors(place(tmp_path, None, LIBRARY.replace("goal", "gaol")))


@pytest.mark.parametrize("name", list_protocols())
def test_a_shipped_protocol_loads_and_keeps_to_the_schema(name: str):
    assert load_protocol(name).name == name
    flat = f"protocols/{name}.yaml"
    path = shipped(flat) if (shipped("protocols") / f"{name}.yaml").exists() else None
    assert schema_errors(path or shipped(f"protocols/{name}/protocol.yaml")) == []


def test_the_shipped_direct_arylation_says_what_the_example_says(shared):
    example = load_protocol(shared / "examples" / "direct_arylation.yaml")
    assert load_protocol("direct_arylation") == example


PAIRS = [
    (entry.name, entry.protocol)
    for entry in catalogue().values()
    if entry.protocol and entry.name not in {"aryl_halide", "growth_curves"}
]


def test_a_shipped_protocol_reads_every_curve_of_its_table(mirror):
    found = read_curves("growth_curves", load_protocol("growth_curves"))
    assert (found.report.n_rows, found.report.n_curves) == (4992, 96)
    assert found.report.reads == (52, 52)
    assert not found.report.missing


@pytest.mark.parametrize(("data", "name"), PAIRS, ids=[data for data, _ in PAIRS])
def test_a_shipped_protocol_reads_every_row_of_its_table(mirror, data: str, name: str):
    protocol = load_protocol(name)
    table = load_table(data)
    found, report = measurements_from_table(table, protocol)
    assert len(found) == table.n_rows
    assert not report.problems
    observations = observations_from(protocol, found)
    target = [str(s) for s in observations.statuses[:, 0]]
    missing = 13 if data == "photoswitch" else 0
    assert target.count(Status.OK) == len(found) - missing
    pool = pool_of(observations)
    filled = with_levels(protocol, pool)
    assert isinstance(filled, Protocol)
    count = n_points(filled).exact
    assert count is None or count >= len(pool)


def test_the_controls_of_the_plates_are_reported_not_lost(mirror):
    protocol = load_protocol("aryl_halide")
    found, report = measurements_from_table(
        load_table("aryl_halide"), protocol, on_error="report"
    )
    assert len(found) == 4132
    assert len(report.problems) == 467
    assert all("has none" in problem.text for problem in report.problems)
    assert {m.conditions["plate"] for m in found} == {"1", "2", "3"}


def test_replicates_of_the_crossed_barrel_are_found(mirror):
    protocol = load_protocol("crossed_barrel")
    found, report = measurements_from_table(load_table("crossed_barrel"), protocol)
    assert report.n_experiments == 600
    _, curation = curate(found, protocol)
    (spread,) = curation.spreads
    assert spread.n_experiments == 600
    assert spread.pooled_sd == pytest.approx(5.303, abs=0.001)


def test_an_unknown_unit_is_refused_with_its_line(tmp_path):
    text = protocol_path("direct_arylation").read_text()
    assert "unit: degC" in text
    path = tmp_path / "p.yaml"
    path.write_text(text.replace("unit: degC", "unit: blarg"))
    line = 1 + text[: text.index("unit: degC")].count("\n")
    with pytest.raises(UnitError, match=rf"p.yaml:{line}: .*blarg"):
        load_protocol(path)
