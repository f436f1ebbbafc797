"""Screening pools: each row has a code; order, threads and kills change nothing."""

import json
from dataclasses import replace

import numpy as np
import pytest

from labwm.chem.filters import Filters
from labwm.data.pools import PoolBlock, count_rows, read_pool
from labwm.design.screen import (
    NOTHING,
    OUTSCORED,
    SELECTED,
    Screen,
    merge,
    screen_block,
    short_list,
)
from labwm.design.screen_run import run_screen
from labwm.design.state import State
from labwm.errors import (
    ExhaustedError,
    InvalidInputError,
    NotFoundError,
    TableError,
    UnavailableError,
)
from labwm.schema import Measurement, Origin, Protocol, Value
from labwm.space.questions import observations_from, questions_from
from labwm.world_model import fit

LIBRARY = {
    "name": "library",
    "version": 1,
    "parameters": [{"name": "dye", "kind": "molecule"}],
    "readouts": [{"name": "signal"}],
    "objectives": [{"readout": "signal", "goal": "maximise"}],
}
HEADS = ["C", "CC", "CCC", "CC(C)", "OCC", "NCC", "FCC", "ClCC", "C1CCC1", "COC"]
TAILS = [
    "C(=O)O",
    "C(=O)N",
    "CO",
    "CN",
    "c1ccccc1",
    "c1ccncc1",
    "C#N",
    "OC",
    "CCl",
    "CF",
]
POOL = [head + tail for head in HEADS for tail in TAILS]
QUINONE = "O=C1C=CC(=O)c2ccccc12"


@pytest.fixture(scope="module")
def screen() -> Screen:
    protocol = Protocol.model_validate(LIBRARY)
    measured = [
        Measurement(
            conditions={"dye": smiles},
            readouts={
                "signal": Value(value=float(smiles.count("c") - len(smiles) / 9))
            },
            origin=Origin.MEASURED,
        )
        for smiles in POOL[::9]
    ]
    observed = observations_from(protocol, measured)
    state = State(
        protocol=protocol,
        pool=questions_from(protocol, []),
        pool_sha256="0" * 64,
        observed=observed,
        pending=questions_from(protocol, []),
        n_left=10,
        n_initial=1,
        round=1,
        seed=0,
    )
    model = fit(observed, protocol, recipe="explore", seed=0)
    filters = Filters({"weight": (40.0, 400.0)})
    return Screen(state, model, filters, min_support=0.0, n=6)


def blocks(rows: list[str], size: int = 30) -> list[PoolBlock]:
    return [
        PoolBlock(
            i,
            first,
            tuple(rows[first : first + size]),
            ("",) * len(rows[first : first + size]),
        )
        for i, first in enumerate(range(0, len(rows), size))
    ]


def listed(found) -> list[tuple[str, float]]:
    return [(one.smiles, one.expected_gain) for one in found.listed]


def test_every_row_has_a_code_and_they_add_up(screen, tmp_path):
    rows = [*POOL, "no molecule", "C1CC", QUINONE, "CCO.c1ccccc1.CCN", "CCCO", "OCCC"]
    found = run_screen(screen, blocks(rows), tmp_path)
    assert found.n_read == len(rows) == sum(found.counts.values())
    assert found.counts["unreadable"] == 2
    assert found.counts["no-single-parent"] == 1
    assert any(code.startswith("pains:quinone") for code in found.counts)
    assert found.counts["measured"] >= len(POOL[::9])
    assert found.counts["repeated"] >= 1
    assert found.counts[SELECTED] == len(found.listed) == 6
    written = [
        line
        for path in sorted(tmp_path.glob("*.csv"))
        for line in path.read_text().splitlines()[1:]
    ]
    assert len(written) == len(rows)


def test_the_order_of_the_blocks_changes_nothing(screen, tmp_path):
    parts = blocks(POOL)
    forwards = run_screen(screen, parts, tmp_path / "a")
    backwards = run_screen(screen, parts[::-1], tmp_path / "b")
    threads = run_screen(screen, parts, tmp_path / "c", jobs=2)
    assert forwards == backwards == threads


def test_merging_is_the_same_in_any_grouping(screen):
    a, b, c = (screen_block(screen, block) for block in blocks(POOL)[:3])
    left = merge(merge(a, b, 10), c, 10)
    right = merge(a, merge(c, b, 10), 10)
    assert left == right
    assert merge(left, NOTHING, 10) == left


def test_a_screen_goes_on_where_it_stopped(screen, tmp_path):
    parts = blocks(POOL)
    whole = run_screen(screen, parts, tmp_path / "whole")
    run_screen(screen, parts[:2], tmp_path / "cut")
    times = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "cut").glob("*.json")}
    again = run_screen(screen, parts, tmp_path / "cut")
    assert again == whole
    for name, at in times.items():
        assert (tmp_path / "cut" / name).stat().st_mtime_ns == at


def test_the_short_list_is_that_of_all_molecules_at_once(screen, tmp_path):
    parts = run_screen(screen, blocks(POOL, 7), tmp_path / "parts")
    whole = run_screen(screen, blocks(POOL, 1000), tmp_path / "whole")
    assert [s for s, _ in listed(parts)] == [s for s, _ in listed(whole)]
    assert parts.is_exact
    assert whole.is_exact


def test_what_was_left_out_for_want_of_room_is_told(screen):
    merged = NOTHING
    for block in blocks(POOL):
        merged = merge(merged, screen_block(screen, block), 6)
    found = short_list(screen, merged)
    assert len(merged.kept) == 6
    assert not found.is_exact


def test_molecules_far_from_the_data_are_refused_where_support_is_asked(
    screen, tmp_path
):
    name = screen.state.protocol.parameters[0].name
    asked = questions_from(screen.state.protocol, [{name: s} for s in POOL])
    median = float(np.median(screen.model.support(asked)))
    strict = replace(screen, min_support=median)
    found = run_screen(strict, blocks(POOL), tmp_path)
    assert found.counts["unsupported"] > 0
    assert (
        found.counts[OUTSCORED]
        < run_screen(screen, blocks(POOL), tmp_path / "lax").counts[OUTSCORED]
    )


def test_a_pool_of_which_nothing_passes_is_told_with_its_codes(screen, tmp_path):
    with pytest.raises(ExhaustedError, match="'property:weight': 1, 'unreadable': 1"):
        run_screen(screen, blocks(["C", "no"]), tmp_path)


@pytest.mark.parametrize(
    ("change", "rule"),
    [({"n": 0}, "at least one molecule"), ({"min_support": 2.0}, "between 0 and 1")],
    ids=["n", "support"],
)
def test_a_screen_refuses_what_makes_no_sense(screen, change, rule):
    with pytest.raises(InvalidInputError, match=rule):
        replace(screen, **change)


def test_a_window_names_a_known_property():
    with pytest.raises(InvalidInputError, match="Did you mean 'weight'"):
        Filters({"weigth": (0, 500)})
    with pytest.raises(InvalidInputError, match="Swap"):
        Filters({"weight": (500, 0)})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pool.smi", "CCO ethanol\n\nCCN\n"),
        ("pool.csv", "id,smiles\n1,CCO\n2,CCN\n"),
        ("pool.tsv", "SMILES\tid\nCCO\t1\nCCN\t2\n"),
    ],
)
def test_pools_are_read_from_files(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    (block,) = read_pool(tmp_path / name)
    assert block.smiles == ("CCO", "CCN")
    assert count_rows(tmp_path / name) == 2


def test_pools_come_in_blocks(tmp_path):
    path = tmp_path / "pool.smi"
    path.write_text("\n".join("C" * i for i in range(1, 8)))
    found = list(read_pool(path, size=3))
    assert [(b.index, b.first, len(b.smiles)) for b in found] == [
        (0, 0, 3),
        (1, 3, 3),
        (2, 6, 1),
    ]


@pytest.mark.parametrize(
    ("name", "error", "rule"),
    [
        ("absent.smi", NotFoundError, "is none"),
        ("pool.doc", TableError, "Rename or convert"),
        ("pool.csv", TableError, "column of SMILES"),
    ],
)
def test_a_file_that_is_no_pool_is_refused(tmp_path, name, error, rule):
    if name != "absent.smi":
        (tmp_path / name).write_text("a,b\n1,2\n")
    with pytest.raises(error, match=rule):
        list(read_pool(tmp_path / name))


def test_parquet_without_its_package_says_how_to_get_it(tmp_path):
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        (tmp_path / "pool.parquet").write_bytes(b"PAR1")
        with pytest.raises(UnavailableError, match="pip install pyarrow"):
            list(read_pool(tmp_path / "pool.parquet"))


def test_block_files_hold_plain_json(screen, tmp_path):
    run_screen(screen, blocks(POOL), tmp_path)
    content = json.loads((tmp_path / "block-000000.json").read_text())
    assert content["n_read"] == 30
    assert np.isfinite(content["kept"][0]["log_gain"])
