"""Campaigns with rounds and results, written by the ledger's own code."""

import random
from datetime import UTC, datetime
from typing import Literal

from labwm.campaign.books import Books
from labwm.campaign.drafting import DRAFTED
from labwm.campaign.inventory import EXPERIMENTS
from labwm.campaign.situation import PREPARED, Opening
from labwm.schema import (
    BUDGET,
    GRAIN,
    CampaignSpec,
    Candidate,
    Job,
    Measurement,
    ModelCard,
    Need,
    Origin,
    PredictedReadout,
    Proposal,
    Protocol,
    StoredPrediction,
    Value,
    Well,
    canonical_json,
    parse_protocol,
)
from labwm.store import ApprovalState, SubmissionState, Writer
from tests.unit.campaign.conftest import PROTOCOL

WELLS = 100
NONE = "0" * 64
Stage = Literal["closed", "awaiting", "running"]
"""Of the last round: it is over; it awaits a person; a lab has it, half done."""


def fill_campaign(
    store: Books, name: str, n_rounds: int, stage: Stage = "closed"
) -> None:
    """Open a campaign and measure its rounds; the last one stands as asked."""
    ending = ", approval: {replayed: always}" if stage == "awaiting" else ""
    text = PROTOCOL % ending
    if ending:
        text = text.replace("name: kettle", "name: asking")
    protocol = parse_protocol(text)
    spec = CampaignSpec(name=name, protocol=protocol.name, budget=n_rounds * WELLS)
    opening = _opening(store, spec, protocol)
    store.ledger.open_campaign(
        name,
        spec,
        protocol,
        origins=[Origin.REPLAYED],
        actor="bench",
        prepared=(PREPARED, opening.model_dump(mode="json")),
    )
    with store.ledger.visit(name, actor="bench") as w:
        budget = (name, BUDGET)
        w.count(budget, spec.budget, EXPERIMENTS, key="opened", note="as it opened")
    for number in range(n_rounds):
        is_last = number == n_rounds - 1
        with store.ledger.visit(name, actor="bench") as w:
            _round(w, name, number, protocol, stage if is_last else "closed")


def _opening(store: Books, spec: CampaignSpec, protocol: Protocol) -> Opening:
    pool = [{"power": 500.0, "volume": 1.0, "lid": "open"}]
    kept = store.objects.put(canonical_json(pool))
    return Opening(
        spec=spec,
        protocol_name=protocol.name,
        protocol_version=protocol.version,
        protocol_sha256=protocol.digest(),
        lab="replay",
        origin=Origin.REPLAYED,
        uid="bench",
        pool_sha256=kept,
        pool_object=kept,
        table_object=None,
        labels_object=store.objects.put(canonical_json({})),
        opened_by="bench",
        opened_at=datetime.now(UTC),
    )


def _round(w: Writer, name: str, number: int, protocol: Protocol, stage: Stage) -> None:
    key = f"{name}-r{number:03d}"
    proposals = _propose(w, name, number, protocol)
    job = _job(name, number, protocol, proposals)
    needs = [Need(shelf=name, account=BUDGET, unit=EXPERIMENTS, amount=WELLS * GRAIN)]
    w.add_batch(key, job, proposer="policy:random", needs=needs)
    w.event(DRAFTED, {"round": number, "submission_key": key, "asks": [], "gates": []})
    w.move_approval(key, ApprovalState.AWAITING)
    if stage == "awaiting":
        return
    w.move_approval(key, ApprovalState.APPROVED, {"auto_approved": True})
    w.reserve_job(key, job)
    w.move_job(key, SubmissionState.SUBMITTING)
    w.move_job(key, SubmissionState.ACCEPTED)
    rng = random.Random(key)
    w.add_observations(
        [
            Measurement(
                conditions=well.conditions,
                readouts={"seconds": Value(value=rng.uniform(50, 1000))},
                origin=Origin.REPLAYED,
                job_key=key,
                well=well.name,
                proposal_id=well.proposal_id,
            )
            for well in (job.wells if stage == "closed" else job.wells[: WELLS // 2])
        ]
    )
    if stage == "closed":
        w.move_job(key, SubmissionState.FINISHED)
        w.event("round.learned", {"round": number, "submission_key": key})


def _propose(w: Writer, name: str, number: int, protocol: Protocol) -> list[Proposal]:
    key = f"{name}-r{number:03d}"
    rng = random.Random(f"conditions of {key}")
    card = ModelCard(
        recipe="bench",
        labwm_version="bench",
        protocol_name=protocol.name,
        protocol_version=protocol.version,
        readouts=("seconds",),
        units=("s",),
        n_rows=number * WELLS,
        data_sha256=NONE,
    )
    model = w.add_model_card(card, as_of=w.last_event())
    rows = [
        {"power": 5e2 * rng.randint(1, 5), "volume": rng.uniform(0.2, 2), "lid": lid}
        for lid in ("open", "closed")
        for _ in range(WELLS // 2)
    ]
    proposals = [
        Proposal(
            id=f"{key}-p{i:03d}",
            campaign_id=name,
            round=number,
            rank=i,
            candidate=Candidate(conditions=row),
            proposer="policy:random",
            policy="random",
            policy_version="1",
            reason="bench",
            n_considered=WELLS,
            seed=number,
            pool_sha256=NONE,
            data_sha256=NONE,
            model_sha256=model,
            prediction_id=f"{key}-p{i:03d}-prediction",
        )
        for i, row in enumerate(rows)
    ]
    w.add_predictions([_prediction(one, model) for one in proposals])
    w.add_proposals(proposals)
    return proposals


def _prediction(proposal: Proposal, model: str) -> StoredPrediction:
    expected = PredictedReadout(
        location=300.0, epistemic=30.0, aleatoric=10.0, mean=300.0, sd=31.6,
        low90=248.0, high90=352.0, unit="s",
    )  # fmt: skip
    return StoredPrediction(
        id=f"{proposal.id}-prediction",
        campaign_id=proposal.campaign_id,
        conditions=proposal.candidate.conditions,
        readouts={"seconds": expected},
        model_sha256=model,
        data_sha256=NONE,
        made_at=datetime.now(UTC),
    )


def _job(name: str, number: int, protocol: Protocol, proposals: list[Proposal]) -> Job:
    return Job(
        submission_key=f"{name}-r{number:03d}",
        campaign_id=name,
        round=number,
        lab="replay",
        protocol_name=protocol.name,
        protocol_version=protocol.version,
        protocol_sha256=protocol.digest(),
        wells=tuple(
            Well(name=f"{i:03d}", proposal_id=p.id, conditions=p.candidate.conditions)
            for i, p in enumerate(proposals)
        ),
    )
