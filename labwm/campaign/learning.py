"""Close a round: score what was predicted before against what was measured after."""

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labwm.campaign.batches import Round
from labwm.campaign.books import Books
from labwm.campaign.lease import Lease
from labwm.campaign.situation import Situation
from labwm.schema import (
    Measurement,
    PredictedReadout,
    Prediction,
    Proposal,
    Status,
    StoredPrediction,
    WaitsFor,
    prediction_of,
)
from labwm.store.chain import Json

Outcome = tuple[str, WaitsFor, bool]
_ROUND = re.compile(r"-r(\d+)(?:-[ab]\d+)*$")


@dataclass(frozen=True)
class Scored:
    """One measured value beside what was predicted of it before."""

    proposal_id: str
    readout: str
    round: int
    predicted: float
    low90: float
    high90: float
    measured: float
    stated: PredictedReadout
    """The whole distribution that was predicted."""
    is_first: bool
    """Is it of the first result of its proposal? Further replicates share the error of
    the same prediction: they are no independent evidence about it."""

    @property
    def probability(self) -> float:
        """Predicted probability of a value at or below the measured one."""
        return float(self._prediction.cdf(self._measured)[0, 0])

    @property
    def log_density(self) -> float:
        """Log density that was predicted at the measured value."""
        return float(self._prediction.log_density(self._measured)[0, 0])

    @property
    def _prediction(self) -> Prediction:
        # Built when asked for: how a campaign stands needs its intervals only.
        return prediction_of([{self.readout: self.stated}])

    @property
    def _measured(self) -> NDArray[np.float64]:
        return np.full((1, 1), self.measured)

    @property
    def is_inside_90(self) -> bool:
        """Did the 90 % interval hold the value?"""
        return self.low90 <= self.measured <= self.high90


def learn(store: Books, lease: Lease, situation: Situation, batch: Round) -> Outcome:
    """Score the round's predictions and close it; the next round's model sees it."""
    scored = [s for s in score(store, situation) if s.round == batch.index]
    failed = situation.counts.failed.intersection(batch.proposal_ids)
    n_inside = sum(s.is_inside_90 for s in scored)
    with lease.write(store) as w:
        w.event(
            "round.learned",
            {
                "round": batch.index,
                "submission_key": batch.key,
                "n_scored": len(scored),
                "n_inside_90": n_inside,
                "mean_log_density": float(np.mean([s.log_density for s in scored]))
                if scored
                else None,
                "n_failed": len(failed),
                "data_sha256": situation.data_sha256,
            },
        )
    parts = [f"round {batch.number}: learnt"]
    if scored:
        parts.append(f"{n_inside} of {len(scored)} values inside their 90 % interval")
    if failed:
        parts.append(f"{len(failed)} failed")
    return ", ".join(parts), WaitsFor.NOTHING, True


def close(store: Books, lease: Lease, batch: Round, *, did: str) -> Outcome:
    """Close a round that was not measured."""
    with lease.write(store) as w:
        body: Json = {"round": batch.index, "submission_key": batch.key, "why": did}
        w.event("round.closed", body)
    return did, WaitsFor.NOTHING, True


def score(store: Books, situation: Situation) -> list[Scored]:
    """Score every measurement whose proposal carries a prediction stored before.

    Only plain values are scored: a censored or failed value has no density.
    """
    proposals = {p.id: p for p in store.ledger.proposals(situation.campaign_id)}
    predictions = {p.id: p for p in store.ledger.predictions(situation.campaign_id)}
    scored: list[Scored] = []
    seen: set[str] = set()
    for measurement in situation.results:
        proposal = proposals.get(measurement.proposal_id or "")
        if proposal is None or proposal.prediction_id is None:
            continue
        stored = predictions[proposal.prediction_id]
        is_first = proposal.id not in seen
        scored += _score_one(measurement, proposal, stored, is_first=is_first)
        seen.add(proposal.id)
    return scored


def _score_one(
    measurement: Measurement,
    proposal: Proposal,
    stored: StoredPrediction,
    *,
    is_first: bool,
) -> list[Scored]:
    scored: list[Scored] = []
    for name, stated in stored.readouts.items():
        value = measurement.readouts.get(name)
        if value is None or value.value is None:
            continue
        if value.status not in {Status.OK, Status.OUT_OF_BOUNDS}:
            continue
        scored.append(
            Scored(
                proposal_id=proposal.id,
                readout=name,
                round=_round_in(measurement, proposal),
                predicted=stated.mean,
                low90=stated.low90,
                high90=stated.high90,
                measured=value.value,
                stated=stated,
                is_first=is_first,
            )
        )
    return scored


def _round_in(measurement: Measurement, proposal: Proposal) -> int:
    """Round in which it was measured: keys end in `-rNNN`, repeated `-rNNN-aN`."""
    found = _ROUND.search(measurement.job_key or "")
    return int(found[1]) if found else proposal.round
