"""Measurements go into a dataset, to disk and back without loss."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labwm.data.dataset import measurements_of, to_dataset
from labwm.data.keep import read_zarr, write_zarr
from labwm.errors import (
    IntegrityError,
    InvalidInputError,
    NotEnoughDataError,
    StoreError,
    UnavailableError,
)
from labwm.schema import Measurement, Origin, Protocol, Status, Value
from labwm.space import observations_from

PROTOCOL = Protocol.model_validate(
    {
        "name": "p",
        "version": 2,
        "title": "A title",
        "parameters": [
            {"name": "t", "kind": "continuous", "unit": "degC", "bounds": [0, 100]},
            {"name": "base", "kind": "categorical"},
            {"name": "dose", "kind": "continuous", "bounds": [0, 5]},
            {"name": "m", "kind": "mixture", "parts": ["a", "b"]},
            {"name": "plate", "kind": "context"},
        ],
        "readouts": [
            {"name": "yield", "unit": "percent", "detection_limit": {"below": 1.0}},
            {"name": "ok", "kind": "pass_fail"},
        ],
        "objectives": [{"readout": "yield", "goal": "maximise"}],
    }
)

NUMBERS = st.floats(-1e9, 1e9)
TEXTS = st.text(min_size=1, max_size=6)


@st.composite
def values(draw: st.DrawFn) -> Value:
    status = draw(st.sampled_from(list(Status)))
    needs = {Status.OK, Status.BELOW, Status.ABOVE, Status.OUT_OF_BOUNDS}
    return Value(
        value=draw(NUMBERS) if status in needs else None,
        status=status,
        raw=draw(st.none() | TEXTS),
        reason=draw(st.none() | TEXTS),
    )


@st.composite
def measurements(draw: st.DrawFn) -> Measurement:
    a = draw(st.sampled_from([0.0, 0.25, 1.0]))
    conditions = {
        "t": draw(st.sampled_from([10.0, 20.0])),
        "base": draw(st.sampled_from(["KOAc", "β", " "])),
        "m.a": a,
        "m.b": 1.0 - a,
    }
    if draw(st.booleans()):
        conditions["dose"] = draw(st.sampled_from([0.0, 1.5]))
    if draw(st.booleans()):
        conditions["plate"] = "3"
    names = draw(st.sampled_from([["yield"], ["yield", "ok"]]))
    when = st.datetimes(datetime(2000, 1, 1), datetime(2099, 1, 1))  # noqa: DTZ001
    return Measurement(
        conditions=conditions,
        readouts={name: draw(values()) for name in names},
        origin=draw(st.sampled_from(list(Origin))),
        replicate=draw(st.integers(0, 9)),
        revision=draw(st.integers(0, 3)),
        job_key=draw(st.none() | TEXTS),
        well=draw(st.none() | TEXTS),
        proposal_id=draw(st.none() | TEXTS),
        measured_at=draw(st.none() | when.map(lambda t: t.replace(tzinfo=UTC))),
        duration=draw(st.none() | st.floats(0, 1e6)),
        raw_sha256=draw(st.none() | st.just("0" * 64)),
    )


def simple(value: float, replicate: int = 0, t: float = 20.0) -> Measurement:
    return Measurement(
        conditions={"t": t, "base": "KOAc", "m.a": 0.5, "m.b": 0.5},
        readouts={"yield": Value(value=value)},
        origin=Origin.MEASURED,
        replicate=replicate,
    )


@given(st.lists(measurements(), min_size=1, max_size=8))
@settings(max_examples=40, deadline=None)
def test_every_measurement_comes_back_equal_and_in_order(found: list[Measurement]):
    dataset = to_dataset(found, PROTOCOL)
    assert list(measurements_of(dataset)) == found
    here = observations_from(PROTOCOL, measurements_of(dataset))
    there = observations_from(PROTOCOL, found)
    assert here.digest() == there.digest()
    np.testing.assert_array_equal(here.values, there.values)
    np.testing.assert_array_equal(here.censoring, there.censoring)
    np.testing.assert_array_equal(here.statuses, there.statuses)
    assert here.questions.keys() == there.questions.keys()


@given(found=st.lists(measurements(), min_size=1, max_size=6))
@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_a_dataset_is_read_back_from_disk_identical(tmp_path, found):
    dataset = to_dataset(found, PROTOCOL)
    again = read_zarr(write_zarr(dataset, tmp_path / "d.zarr"))
    assert again.identical(dataset)
    assert list(measurements_of(again)) == found


def test_units_status_and_provenance_are_in_the_dataset(tmp_path):
    found = [simple(5.0), simple(6.0, 1), simple(7.0, t=30.0)]
    found.append(
        simple(1.0).model_copy(
            update={"readouts": {"yield": Value(value=5, status=Status.BELOW)}}
        )
    )
    dataset = read_zarr(
        write_zarr(to_dataset(found, PROTOCOL, source="notebook"), tmp_path / "d")
    )
    assert dict(dataset.sizes) == {"experiment": 2, "replicate": 3}
    assert dataset["yield"].attrs["units"] == "percent"
    assert dataset["yield_limit"].attrs["units"] == "percent"
    assert dataset["t"].attrs["units"] == "degC"
    assert dataset["m.a"].attrs["units"] == "fraction"
    assert "units" not in dataset["dose"].attrs
    meanings = dataset["yield_status"].attrs["flag_meanings"].split()
    assert meanings[0] == "absent"
    assert meanings[int(dataset["yield_status"].values[0, 2])] == "below"
    assert dataset["yield_limit"].values[0, 2] == 5.0
    assert np.isnan(dataset["yield"].values[0, 2])
    assert dataset.attrs["protocol_sha256"] == PROTOCOL.digest()
    assert dataset.attrs["source"] == "notebook"


def test_a_dataset_of_nothing_is_refused():
    with pytest.raises(NotEnoughDataError, match="at least one measurement"):
        to_dataset([], PROTOCOL)


def test_a_name_that_a_dataset_derives_is_refused():
    content = PROTOCOL.model_dump() | {
        "parameters": [{"name": "yield_limit", "kind": "context"}]
    }
    found = simple(1.0).model_copy(update={"conditions": {"yield_limit": "x"}})
    with pytest.raises(InvalidInputError, match="'yield_limit' from a readout"):
        to_dataset([found], Protocol.model_validate(content))


def test_writing_again_replaces_the_dataset_and_leaves_nothing_beside(tmp_path):
    path = tmp_path / "d.zarr"
    write_zarr(to_dataset([simple(1.0)], PROTOCOL), path)
    write_zarr(to_dataset([simple(2.0)], PROTOCOL), path)
    assert measurements_of(read_zarr(path))[0].readouts["yield"].value == 2.0
    assert [p.name for p in tmp_path.iterdir()] == ["d.zarr"]


def test_an_absent_dataset_is_unavailable(tmp_path):
    with pytest.raises(UnavailableError, match="which is none"):
        read_zarr(tmp_path / "absent.zarr")


@pytest.mark.parametrize("damage", ["root", "lost", "cut"])
def test_a_damaged_dataset_is_refused(tmp_path, damage: str):
    path = write_zarr(
        to_dataset([simple(float(i), t=float(i)) for i in range(50)], PROTOCOL),
        tmp_path / "d.zarr",
    )
    chunk = next(p for p in (path / "yield" / "c").rglob("*") if p.is_file())
    if damage == "root":
        (path / "zarr.json").write_text("{}")
    elif damage == "lost":
        chunk.unlink()
    else:
        chunk.write_bytes(chunk.read_bytes()[:7])
    with pytest.raises(IntegrityError, match="damaged"):
        read_zarr(path)


FULL_DISK = """
import resource, sys
import labwm.data.keep as keep
from labwm.errors import StoreError
from pathlib import Path
folder = Path(sys.argv[1])
dataset = keep.read_zarr(folder / "d.zarr")
larger = dataset.isel(experiment=[0] * 20000)
larger["t"] = ("experiment", __import__("numpy").random.default_rng(0).random(20000))
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    keep.write_zarr(larger, folder / "d.zarr")
except StoreError as error:
    print("refused:", error)
"""


def test_a_full_disk_leaves_the_old_dataset_whole(tmp_path):
    """A limit on file size stands in for the full disk: writing fails half-way."""
    path = write_zarr(to_dataset([simple(1.0)], PROTOCOL), tmp_path / "d.zarr")
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=root,
    )
    assert "refused: A dataset is written whole or not at all" in done.stdout, (
        done.stderr
    )
    assert measurements_of(read_zarr(path))[0].readouts["yield"].value == 1.0
    assert [p.name for p in tmp_path.iterdir()] == ["d.zarr"]


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="could not be written"):
        write_zarr(to_dataset([simple(1.0)], PROTOCOL), tmp_path / "file" / "d.zarr")
