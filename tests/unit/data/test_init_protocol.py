"""A first protocol from a table: each guess with its reason."""

from pathlib import Path

import pytest

from labwm.data.catalogue import catalogue, load_table
from labwm.data.init_protocol import init_protocol
from labwm.data.measurements import measurements_from_table
from labwm.data.protocol_text import protocol_text
from labwm.data.read import read_table
from labwm.errors import TableError
from labwm.schema import parse_protocol


def table(tmp_path: Path, content: str):
    path = tmp_path / "t.csv"
    path.write_text(content, encoding="utf-8")
    return read_table(path)


def rows(*columns: str) -> str:
    """Thirty rows, each column a format of the row's number."""
    header = ",".join(column.split("=")[0] for column in columns)
    lines = [
        ",".join(str(eval(c.split("=", 1)[1], {"i": i})) for c in columns)
        for i in range(30)
    ]
    return "\n".join([header, *lines]) + "\n"


def guessed(tmp_path: Path, *columns: str, target: str = "yield"):
    protocol, guesses = init_protocol(
        table(tmp_path, rows(*columns)), target=target, name="p"
    )
    return protocol, {guess.about: guess for guess in guesses}


Y = "yield=i * 3.3"


def test_numbers_with_few_values_are_discrete_and_others_continuous(tmp_path):
    protocol, reasons = guessed(
        tmp_path, "Temp (°C)=[90, 105, 120][i % 3]", "flow=1 + 7.1 * (i * 7 % 30)", Y
    )
    temperature, flow = protocol.parameters
    assert (temperature.kind, temperature.unit) == ("discrete", "degC")
    assert temperature.levels == (90, 105, 120)
    assert flow.kind == "continuous"
    assert flow.bounds == (1.0, pytest.approx(1 + 7.1 * 29))
    assert "they span a factor" in reasons["flow"].reason
    assert "3 distinct" in reasons["Temp (°C)"].reason


@pytest.mark.parametrize(
    "column",
    [
        "Remarks=['', 'slow', 'clear', 'slow'][i % 4]",
        "Seen=f'brown after {i}' if i % 3 == 0 else ''",
    ],
    ids=["by-name", "mostly-empty"],
)
def test_remarks_are_not_taken_for_a_parameter(tmp_path, column):
    protocol, reasons = guessed(tmp_path, "t=i % 3", column, Y)
    assert [p.name for p in protocol.parameters] == ["t"]
    name = column.split("=")[0]
    assert reasons[name].taken_as == "ignored"
    assert "remarks" in reasons[name].reason or "20 of 30 rows" in reasons[name].reason


def test_a_factor_that_is_seldom_there_is_no_remark(tmp_path):
    protocol, reasons = guessed(
        tmp_path, "t=i % 2", "Additive=['', '', '', 'LiCl', 'KBr'][i % 5]", Y
    )
    assert [p.name for p in protocol.parameters] == ["t", "additive"]
    assert "18 rows lack it" in reasons["Additive"].reason


def test_numbers_among_which_some_are_not_detected_are_no_texts(tmp_path):
    _, reasons = guessed(
        tmp_path, "t=i % 3", "Impurity='<%d' % i if i % 5 == 3 else i * 1.7", Y
    )
    assert reasons["Impurity"].taken_as == "ignored"
    assert "another value, and not all are numbers" in reasons["Impurity"].reason


def test_molecules_are_recognised_and_paired_with_their_names(tmp_path):
    protocol, reasons = guessed(
        tmp_path,
        "Base_SMILES=['CC(=O)[O-].[K+]', 'CO', 'N'][i % 3]",
        "Base=['KOAc', 'methanol', 'ammonia'][i % 3]",
        "Base_CAS=['127-08-2', '67-56-1', '7664-41-7'][i % 3]",
        Y,
    )
    (base,) = protocol.parameters
    assert (base.name, base.kind) == ("base", "molecule")
    assert (base.smiles_column, base.label_column) == ("Base_SMILES", "Base")
    assert "one to one" in reasons["Base"].reason
    assert reasons["Base_CAS"].taken_as == "ignored"


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        ("entry=i", "counts the rows"),
        ("sample id=(i * 7) % 30", "identifier"),
        ("sentence='row %d was fine' % (i * 7 % 30)", "another text"),
        ("solvent='water'", "one value"),
        ("notes=''", "empty"),
        ("kelvin=[300, 310][i % 2] + 273.15", "'t' decides it"),
        ("rxn='CCO>>CC=O' if i % 2 else 'CO>>C=O'", "reactions"),
    ],
)
def test_columns_that_cannot_be_varied_are_left_out_with_a_reason(
    tmp_path, column, reason
):
    protocol, reasons = guessed(tmp_path, "t=[300, 310][i % 2]", column, Y)
    assert [p.name for p in protocol.parameters] == ["t"]
    left_out = reasons[column.split("=")[0]]
    assert left_out.taken_as == "ignored"
    assert reason in left_out.reason


def test_where_a_row_was_measured_is_context(tmp_path):
    protocol, _ = guessed(tmp_path, "t=[300, 310][i % 2]", "plate=i // 10", Y)
    assert [p.kind for p in protocol.parameters] == ["discrete", "context"]


def test_fractions_that_sum_to_one_are_a_mixture(tmp_path):
    protocol, _ = guessed(
        tmp_path,
        "ni=(i % 6) / 10",
        "fe=0.5 - (i % 6) / 10 + (i % 5) / 10",
        "co=0.5 - (i % 5) / 10",
        Y,
    )
    (mixture,) = protocol.parameters
    assert mixture.parts == ("ni", "fe", "co")
    measurements_from_table(table(tmp_path, rows(
        "ni=(i % 6) / 10", "fe=0.5 - (i % 6) / 10 + (i % 5) / 10",
        "co=0.5 - (i % 5) / 10", Y)), protocol)  # fmt: skip


def test_names_are_levels_and_none_is_one_of_them(tmp_path):
    protocol, _ = guessed(tmp_path, "additive=['none', 'LiCl', 'KBr'][i % 3]", Y)
    assert protocol.parameters[0].levels == ("KBr", "LiCl", "none")


def test_even_replicates_are_declared(tmp_path):
    protocol, reasons = guessed(tmp_path, "t=i // 3", Y)
    assert protocol.readouts[0].replicates == 3
    assert "10 of 10 conditions" in reasons["replicates"].reason


def test_a_share_gets_its_bounds_and_keeps_what_is_above(tmp_path):
    protocol, reasons = guessed(tmp_path, "t=i % 3", "yield=i * 3.6")
    assert protocol.readouts[0].bounds == (0.0, 100.0)
    assert protocol.readouts[0].unit == "percent"
    assert "2 values above 100 are kept" in reasons["yield"].reason


def test_the_goal_is_a_guess_that_can_be_said(tmp_path):
    content = rows("t=i % 3", "loss=i * 0.1", "yield=i")
    protocol, guesses = init_protocol(
        table(tmp_path, content),
        target=["loss", "yield"],
        name="p",
        minimise=["loss"],
    )
    assert [o.goal for o in protocol.objectives] == ["minimise", "maximise"]
    assert any("say --minimise" in guess.reason for guess in guesses)
    _, guesses = init_protocol(table(tmp_path, content), target="loss", name="p")
    assert any("sounds as if less is better" in guess.reason for guess in guesses)


def test_the_yaml_gives_the_reasons_and_reads_back_equal(tmp_path):
    content = rows("t=i % 3", "entry=i", "additive=['a: b', 'c'][i % 2]", Y)
    protocol, guesses = init_protocol(
        table(tmp_path, content), target="yield", name="p"
    )
    text = protocol_text(protocol, guesses)
    assert parse_protocol(text) == protocol
    assert "# not taken: 'entry': it counts the rows" in text
    assert "# t is taken as discrete: only 3 distinct numbers" in text


@pytest.mark.parametrize(
    ("target", "message"),
    [("yeild", "Did you mean 'yield'"), ("base", "A target holds numbers")],
)
def test_a_target_that_is_absent_or_text_is_refused(tmp_path, target, message):
    content = rows("t=i % 3", "base=['a', 'b'][i % 2]", Y)
    with pytest.raises(TableError, match=message):
        init_protocol(table(tmp_path, content), target=target, name="p")


def test_only_a_target_is_minimised(tmp_path):
    with pytest.raises(TableError, match="Only a target is minimised"):
        init_protocol(
            table(tmp_path, rows("t=i % 3", Y)),
            target="yield",
            name="p",
            minimise=["t"],
        )


def test_a_table_without_anything_to_vary_is_refused_with_reasons(tmp_path):
    with pytest.raises(TableError, match="entry: it counts the rows"):
        guessed(tmp_path, "entry=i", Y)


SETS = [
    "direct_arylation", "buchwald_hartwig", "buchwald_a", "aryl_halide", "photoswitch",
    "crossed_barrel", "agnp", "hplc", "oer_3496", "esol", "freesolv", "yield_and_cost",
    "reizman_suzuki_1", "deoxyfluorination", "ni_borylation_etoh", "additives_plate_1",
    "biogen_hlm", "growth_curves", "buchwald_hartwig_processed",
]  # fmt: skip


@pytest.mark.parametrize("name", SETS)
def test_a_protocol_is_guessed_for_public_tables_and_reads_them(mirror, name: str):
    found = load_table(name)
    targets = catalogue()[name].targets
    protocol, guesses = init_protocol(found, target=targets, name=name)
    assert parse_protocol(protocol_text(protocol, guesses)) == protocol
    _, report = measurements_from_table(found, protocol, on_error="report")
    # Rows left out are those that lack a molecule: controls.
    assert report.n_measurements >= 0.85 * report.n_rows
    if name not in {"aryl_halide", "buchwald_hartwig_processed"}:
        assert not report.problems


def test_the_table_of_direct_arylation_is_understood_as_a_chemist_would(mirror):
    protocol, _ = init_protocol(
        load_table("direct_arylation"), target="yield", name="p"
    )
    assert [(p.name, p.kind) for p in protocol.parameters] == [
        ("base", "molecule"), ("ligand", "molecule"), ("solvent", "molecule"),
        ("concentration", "discrete"), ("temp_c", "discrete"),
    ]  # fmt: skip
    assert protocol.readouts[0].bounds == (0.0, 100.0)
