"""A lab that another package brings: found by name, and held to the same suite."""

import shutil
import tomllib
from functools import partial
from pathlib import Path

import pytest

from labwm import campaign, settings
from labwm.campaign.books import books
from labwm.data.protocols import load_protocol
from labwm.errors import ConflictError, NotFoundError, UnavailableError
from labwm.labs import build_lab, capabilities_of, lab_names
from labwm.schema import CampaignSpec, Origin, Protocol, WaitsFor
from labwm.testing.lab_conformance import LabConformance
from labwm.testing.lab_kit import LabKit
from tests.conftest import ROOT

PACKAGE = ROOT / "tests" / "contract" / "example_lab"
PROTOCOL = """\
name: weighing
version: 1
parameters:
  - {name: water, kind: discrete, unit: mL, levels: [1, 2, 3, 4, 5]}
  - {name: ethanol, kind: discrete, unit: mL, levels: [1, 2]}
readouts:
  - {name: mass, unit: g}
objectives:
  - {readout: mass, goal: maximise}
lab: {adapter: bench, batch_size: 2}
"""


def install(folder: Path, name: str = "labwm-bench-lab", **entries: str) -> None:
    """Lay the example package out as pip would, under a name; it brings a bench."""
    project = tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]
    points = project["entry-points"]["labwm.labs"] | entries
    source = PACKAGE / "labwm_bench_lab"
    shutil.copytree(source, folder / source.name, dirs_exist_ok=True)
    about = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Name: {name}\nVersion: 1.0\n")
    lines = [f"{name} = {value}" for name, value in points.items()]
    (about / "entry_points.txt").write_text("\n".join(["[labwm.labs]", *lines]) + "\n")


@pytest.fixture
def site(tmp_path: Path, monkeypatch) -> Path:
    """A folder of installed packages, with the example in it."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    install(folder)
    monkeypatch.syspath_prepend(str(folder))
    return folder


def weigh(folder: Path, protocol: Protocol, n_wells: int | None = None) -> int:
    """Stand at the bench and do what waits."""
    from labwm_bench_lab.lab import BenchLab  # pyright: ignore[reportMissingImports]

    return BenchLab(folder, protocol).weigh(n_wells)


class TestBench(LabConformance):
    @pytest.fixture
    def kit(self, tmp_path: Path, site: Path) -> LabKit:
        path, folder = tmp_path / "weighing.yaml", tmp_path / "bench"
        path.write_text(PROTOCOL)
        protocol = load_protocol(str(path))
        return LabKit(
            open=partial(build_lab, "bench", protocol=protocol, folder=folder),
            protocol=protocol,
            conditions=tuple({"water": float(w), "ethanol": 1.0} for w in range(1, 6)),
            impossible={"water": 1.0},
            failing=None,
            folder=folder,
            work=partial(weigh, folder, protocol),
        )


@pytest.mark.usefixtures("site")
def test_a_campaign_names_it_as_its_lab(tmp_path: Path):
    path = tmp_path / "weighing.yaml"
    path.write_text(PROTOCOL)
    assert "bench" in lab_names()
    assert "bench: computed results" in campaign.list_labs()
    assert "cancel: no" in campaign.check_lab("bench")
    spec = CampaignSpec(
        name="weighing", protocol=str(path), budget=4, policy="random", seed=1
    )
    campaign.open_campaign(spec)
    folder = settings.lab_folder("bench") / spec.name
    n_weighed = 0
    while (step := campaign.advance(spec.name)).waits_for is not WaitsFor.DONE:
        if step.waits_for is WaitsFor.LAB:
            n_weighed += weigh(folder, load_protocol(str(path)))
    rows = campaign.measurements(spec.name).measurements
    assert n_weighed == len(rows) == 4
    assert {m.origin for m in rows} == {Origin.COMPUTED}
    assert all(books().objects.exists(m.raw_sha256 or "") for m in rows)


def test_what_a_package_brings_badly_is_told_when_it_is_named(site: Path):
    install(
        site,
        "another-package",
        broken="labwm_bench_lab.absent:ADAPTER",
        wrong="labwm_bench_lab.lab:CAPABILITIES",
    )
    with pytest.raises(UnavailableError, match=r"must load.*ModuleNotFoundError"):
        capabilities_of("broken")
    with pytest.raises(UnavailableError, match="is a Capabilities"):
        capabilities_of("wrong")
    with pytest.raises(ConflictError, match="'bench' is brought by"):
        capabilities_of("bench")


def test_no_package_replaces_a_lab_that_ships(site: Path):
    bench = "labwm_bench_lab.lab:ADAPTER"
    install(site, "another-package", http=bench, virtual=bench)
    assert capabilities_of("http").cancel
    assert lab_names().count("http") == 1
    assert "virtual" not in lab_names()


def test_a_lab_of_no_package_is_unknown():
    with pytest.raises(NotFoundError, match="bench"):
        capabilities_of("bench")
