"""Campaigns of a back-test kept as files: a long bench goes on where it stopped."""

import json
import os
from dataclasses import asdict
from pathlib import Path

import numpy as np

from labwm.evaluation.backtest import Plan, Trace
from labwm.evaluation.lookup import Lookup
from labwm.schema.record import sha256_of


def trace_file(
    folder: Path, lookup: Lookup, plan: Plan, planner: tuple[str, str], seed: int
) -> Path:
    """Return the file of one campaign: its name follows from all that decides it.

    Args:
        folder: Of all kept campaigns.
        lookup: The table that answered.
        plan: Batch and budget.
        planner: Name and version.
        seed: Of the campaign.
    """
    decided_by = {
        "data": lookup.sha256,
        "sources": [source.sha256 for source in lookup.sources],
        "protocol": lookup.protocol.digest(),
        "plan": asdict(plan),
        "planner": list(planner),
        "seed": seed,
    }
    return folder / f"{planner[0]}-{seed:04d}-{sha256_of(decided_by)[:24]}.json"


def keep_trace(path: Path, trace: Trace) -> None:
    """Write one campaign; whoever reads it sees all of it or nothing."""
    content = {
        "rows": trace.rows.tolist(),
        "is_covered": _plain(trace.is_covered),
        "is_vacuous": _plain(trace.is_vacuous),
        "seconds": trace.seconds.tolist(),
        "peak_mb": trace.peak_mb,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    temporary.write_text(json.dumps(content), encoding="utf-8")
    temporary.replace(path)


def kept_trace(path: Path) -> Trace | None:
    """Return a kept campaign, if there is one."""
    if not path.is_file():
        return None
    content = json.loads(path.read_text(encoding="utf-8"))
    return Trace(
        rows=np.array(content["rows"], dtype=np.int64),
        is_covered=np.array(content["is_covered"], dtype=float),
        is_vacuous=np.array(content["is_vacuous"], dtype=float),
        seconds=np.array(content["seconds"], dtype=float),
        peak_mb=content["peak_mb"],
    )


def _plain(values: np.ndarray) -> list[float | None]:
    return [None if np.isnan(value) else float(value) for value in values]
