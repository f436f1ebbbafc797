"""A planner of another package, in an interpreter of its own, over JSON lines.

Other planners pin versions that labwm does not; so they live in an environment of their
own. The scripts in `labwm/evaluation/side` run there and import nothing of labwm.
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from labwm.design.state import Batch, Choice, State
from labwm.errors import InvalidInputError, UnavailableError
from labwm.schema import (
    CategoricalParameter,
    ContextParameter,
    MixtureParameter,
    MoleculeParameter,
    Protocol,
)
from labwm.settings import home

PLANNERS = {"ax": "ax-platform", "baybe": "baybe", "bofire": "bofire"}
"""Planners by name, with the package that they are."""
_FOLDER = Path(__file__).parent / "side"
_WHICH = "import importlib.metadata as m, sys; print(m.version(sys.argv[1]))"


def side_interpreter(side_python: Path | None) -> Path:
    """Return the interpreter of the planners' environment.

    Raises:
        UnavailableError: If there is none.
    """
    path = side_python or home() / "side" / "planners" / "bin" / "python"
    if not path.is_file():
        raise UnavailableError(
            f"Planners of other packages run in an environment of their own; {path} "
            "is no interpreter. Make one with `python -m venv FOLDER` and `FOLDER/bin/"
            "pip install baybe[chem] ax-platform bofire[optimization]`, and name "
            "FOLDER/bin/python."
        )
    return path


def planner_version(name: str, side_python: Path | None) -> str:
    """Return the version of a planner's package, without importing it.

    Raises:
        UnavailableError: If its environment is absent or lacks the package.
    """
    python = side_interpreter(side_python)
    asked = subprocess.run(
        [python, "-c", _WHICH, PLANNERS[name]],
        capture_output=True,
        text=True,
        check=False,
    )
    if asked.returncode:
        raise UnavailableError(
            f"The planner {name!r} is the package {PLANNERS[name]}; {python} has it "
            f"not. Install it there with `{python.parent}/pip install "
            f"{PLANNERS[name]}`."
        )
    return f"{PLANNERS[name]} {asked.stdout.strip()}"


def side_planner(name: str, side_python: Path | None) -> "SidePlanner":
    """Return the planner of that name; its process starts when it is first asked.

    Raises:
        UnavailableError: If its environment is absent or lacks the package.
    """
    return SidePlanner(
        name,
        side_interpreter(side_python),
        _FOLDER / f"{name}_planner.py",
        planner_version(name, side_python),
    )


class SidePlanner:
    """Chooses as another package would; each answer follows from the state alone.

    Args:
        name: Of the planner.
        python: Interpreter that runs it.
        script: Answers lines of JSON; see `labwm/evaluation/side`.
        version: Of the package.
    """

    def __init__(self, name: str, python: Path, script: Path, version: str) -> None:
        self._name, self._python = name, python
        self._script, self._version = script, version
        self._process: subprocess.Popen[str] | None = None
        self._pool = ""
        self.peak_mb = float("nan")

    def choose(self, state: State, n: int) -> Batch:
        """Return the planner's next batch.

        Raises:
            UnavailableError: If the planner's process ended.
            InvalidInputError: If it refuses the table, or answers what is no batch.
        """
        self.prepare(state)
        answer = self._exchange(
            {"ask": n, "seed": state.seed, "measured": _measured(state)}
        )
        self.peak_mb = float(answer["peak_mb"])
        rows = [int(row) for row in answer["rows"]]
        if len(set(rows)) < len(rows) or not 0 < len(rows) <= n:
            raise InvalidInputError(
                f"A planner answers up to {n} different rows; {self._name} gave "
                f"{rows}. Report it to the planner's authors."
            )
        return Batch(
            choices=tuple(
                Choice(row, f"chosen by {self._version}", None, None) for row in rows
            ),
            policy=self._name,
            policy_version=self._version,
            n_considered=len(state.pool),
            model=None,
        )

    def prepare(self, state: State) -> None:
        """Hand the pool over, once: features of molecules are computed from it."""
        if self._pool == state.pool_sha256:
            return
        self._exchange(
            {
                "columns": columns_of(state.protocol),
                "objectives": [
                    objective.model_dump(mode="json")
                    for objective in state.protocol.objectives
                ],
                "pool": state.pool.rows(),
            }
        )
        self._pool = state.pool_sha256

    def close(self) -> None:
        """End the process; another use starts it again."""
        if self._process is not None:
            if self._process.stdin:
                self._process.stdin.close()
            self._process.wait(timeout=60)
            if self._process.stdout:
                self._process.stdout.close()
        self._process, self._pool = None, ""

    def _exchange(self, message: Mapping[str, Any]) -> dict[str, Any]:
        if self._process is None:
            # At the end of its input the script ends: it never outlives this process.
            self._process = subprocess.Popen(
                [self._python, "-u", self._script],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=None if sys.flags.verbose else subprocess.DEVNULL,
                text=True,
            )
        assert self._process.stdin
        assert self._process.stdout
        try:
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise UnavailableError(
                f"A planner answers each question; {self._name} in {self._python} "
                "ended instead. Run its script by hand to see why: "
                f"{self._script}."
            )
        answer = json.loads(line)
        if "error" in answer:
            raise InvalidInputError(
                f"The planner {self._name} refused; it says: {answer['error']}. Leave "
                "it out for this table."
            )
        return answer


def columns_of(protocol: Protocol) -> list[dict[str, str]]:
    """Return the name and kind of each condition that can be chosen."""
    columns: list[dict[str, str]] = []
    for parameter in protocol.chosen_parameters:
        match parameter:
            case MixtureParameter():
                columns += [
                    {"name": name, "kind": "number"} for name in parameter.part_columns
                ]
            case MoleculeParameter():
                columns.append({"name": parameter.name, "kind": "molecule"})
            case CategoricalParameter() | ContextParameter():
                columns.append({"name": parameter.name, "kind": "category"})
            case _:
                columns.append({"name": parameter.name, "kind": "number"})
    return columns


def _measured(state: State) -> list[dict[str, Any]]:
    names = state.protocol.readout_names
    wanted = [names.index(objective.readout) for objective in state.protocol.objectives]
    row_of = {key: row for row, key in enumerate(state.pool.keys())}
    return [
        {
            "row": row_of[key],
            "values": [None if np.isnan(v) else float(v) for v in values[wanted]],
        }
        for key, values in zip(
            state.observed.questions.keys(), state.observed.values, strict=True
        )
    ]
