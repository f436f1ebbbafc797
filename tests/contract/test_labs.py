"""The conformance suite against every lab that there is."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from labwm.api.lab_notifier import Notifier
from labwm.api.lab_server import create_lab_app
from labwm.campaign.dispatch import served_lab
from labwm.campaign.webhooks import secrets_in
from labwm.data.protocols import load_protocol
from labwm.labs import FolderLab, HttpLab, replay_lab, xtb_lab
from labwm.schema import Measurement, Origin, Protocol, Status, Value
from labwm.space.questions import observations_from
from labwm.testing.lab_conformance import LabConformance
from labwm.testing.lab_kit import LabKit, work_some
from labwm.testing.lab_servers import HOOK_SECRET, KEY, Ear, serving
from labwm.testing.linear_model import fit_linear
from labwm.testing.local_lab_conformance import (
    ComputingLabConformance,
    LocalLabConformance,
)
from labwm.testing.robot import robot
from labwm.virtual_lab import build_virtual_lab

LEVELS = (10.0, 20.0, 30.0, 40.0, 50.0, 60.0)


def table_protocol() -> Protocol:
    return Protocol.model_validate(
        {
            "name": "table",
            "version": 1,
            "parameters": [
                {"name": "temperature", "kind": "discrete", "levels": [*LEVELS, 70.0]},
                {"name": "solvent", "kind": "categorical", "levels": ["water", "dmf"]},
            ],
            "readouts": [{"name": "yield", "unit": "percent", "bounds": [0, 100]}],
            "objectives": [{"readout": "yield", "goal": "maximise"}],
        }
    )


def rows() -> tuple[Measurement, ...]:
    return tuple(
        Measurement(
            conditions={"temperature": t, "solvent": "water"},
            readouts={"yield": Value(value=t / 2)},
            origin=Origin.IMPORTED,
        )
        for t in LEVELS
    )


def broken() -> Measurement:
    value = Value(status=Status.FAILED, reason="it broke")
    return Measurement(
        conditions={"temperature": 70.0, "solvent": "water"},
        readouts={"yield": value},
        origin=Origin.IMPORTED,
    )


class TestReplay(ComputingLabConformance):
    @pytest.fixture
    def kit(self, tmp_path: Path) -> LabKit:
        protocol, folder = table_protocol(), tmp_path / "replay"
        return LabKit(
            open=partial(replay_lab, folder, protocol, (*rows(), broken())),
            protocol=protocol,
            conditions=tuple(row.conditions for row in rows()),
            impossible={"temperature": 10.0, "pressure": 1.0},
            failing={"temperature": 70.0, "solvent": "water"},
            folder=folder,
        )


def xtb_protocol() -> Protocol:
    return Protocol.model_validate(
        {
            "name": "small_molecules",
            "version": 1,
            "parameters": [{"name": "molecule", "kind": "molecule"}],
            "readouts": [
                {"name": "gap", "unit": "eV"},
                {"name": "octanol_water_dg", "unit": "kcal/mol"},
            ],
            "objectives": [{"readout": "gap", "goal": "match", "target": 5.0}],
            "lab": {"adapter": "xtb", "settings": {"timeout_seconds": 20}},
        }
    )


class TestXtb(ComputingLabConformance):
    @pytest.fixture
    def kit(self, tmp_path: Path) -> LabKit:
        protocol, folder = xtb_protocol(), tmp_path / "xtb"
        return LabKit(
            open=partial(xtb_lab, folder, protocol, n_workers=1),
            protocol=protocol,
            conditions=tuple({"molecule": s} for s in ("O", "CO", "C=O", "N", "CC")),
            impossible={"molecule": "C1CC"},
            failing={"molecule": "[CH3]"},
            folder=folder,
        )


class TestVirtual(ComputingLabConformance):
    @pytest.fixture
    def kit(self, tmp_path: Path) -> LabKit:
        protocol, folder = table_protocol(), tmp_path / "virtual"
        observations = observations_from(protocol, rows())
        return LabKit(
            open=partial(
                build_virtual_lab,
                observations,
                protocol,
                folder=folder,
                seed=1,
                learn=fit_linear,
            ),
            protocol=protocol,
            conditions=tuple(row.conditions for row in rows()),
            impossible={"temperature": "hot", "solvent": "water"},
            failing=None,
            folder=folder,
        )


TABLE_FILE = """\
name: table
version: 1
parameters:
  - {name: temperature, kind: discrete, levels: [10, 20, 30, 40, 50, 60, 70]}
  - {name: solvent, kind: categorical, levels: [water, dmf]}
readouts:
  - {name: yield, unit: percent, bounds: [0, 100]}
objectives:
  - {readout: yield, goal: maximise}
"""


class TestHttp(LabConformance):
    """The reference server accepts; the lab it speaks for works in this process."""

    @pytest.fixture
    def kit(self, tmp_path: Path, monkeypatch) -> Iterator[LabKit]:
        monkeypatch.setenv("LABWM_LAB_KEY", KEY)
        protocol, folder = tmp_path / "table.yaml", tmp_path / "jobs"
        protocol.write_text(TABLE_FILE)
        table = [f"{t},water,{t / 2}" for t in LEVELS]
        (tmp_path / "table.csv").write_text(
            "\n".join(["temperature,solvent,yield", *table, "70,water,failed", ""])
        )
        lab = served_lab(str(protocol), str(tmp_path / "table.csv"), folder)
        read = load_protocol(str(protocol))
        ear = Ear()
        with serving(ear) as here:
            notifier = Notifier(lab, here, secrets_in(HOOK_SECRET))
            app = create_lab_app(lab, secret=KEY, is_working=False, notifier=notifier)
            with serving(app) as url:
                yield LabKit(
                    open=partial(HttpLab, url, read.digest(), origin=Origin.REPLAYED),
                    protocol=read,
                    conditions=tuple(row.conditions for row in rows()),
                    impossible={"temperature": 10.0, "pressure": 1.0},
                    failing={"temperature": 70.0, "solvent": "water"},
                    folder=folder,
                    work=partial(work_some, lab),
                    heard=partial(list, ear.heard),
                )


class TestFolder(LocalLabConformance):
    @pytest.fixture
    def kit(self, tmp_path: Path) -> LabKit:
        protocol, folder = table_protocol(), tmp_path / "folder"
        return LabKit(
            open=partial(FolderLab, folder, protocol, settle_seconds=0.0),
            protocol=protocol,
            conditions=tuple(row.conditions for row in rows()),
            impossible={"temperature": 10.0, "pressure": 1.0},
            failing={"temperature": 70.0, "solvent": "water"},
            folder=folder,
            work=partial(robot, folder, half_the_temperature),
        )


def half_the_temperature(row: dict[str, str]) -> dict[str, str]:
    temperature = float(row["temperature"])
    value = "failed" if temperature == 70.0 else f"{temperature / 2}"
    return {"yield [percent]": value}
