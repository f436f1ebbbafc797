"""The one module of this room that imports model rooms, and only inside functions.

A model in memory is a cache keyed by what it was made from, never state.
"""

from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from labwm.campaign.situation import Situation
from labwm.errors import NotEnoughDataError
from labwm.schema import Conditions, ModelCard, PredictedReadout, Protocol
from labwm.schema.outlook import Outlook
from labwm.space.questions import Observations, questions_from

if TYPE_CHECKING:
    from labwm.design.state import Batch, State
    from labwm.world_model.contract import WorldModel

_CACHED_MODELS = 4
_Key = tuple[str, str, int, str]
_models: OrderedDict[_Key, "WorldModel"] = OrderedDict()


@dataclass(frozen=True)
class Belief:
    """What a model expects of one experiment."""

    readouts: dict[str, PredictedReadout]
    support: float
    success: float | None


@dataclass(frozen=True)
class Planned:
    """One choice of a policy, with what the model expects of it."""

    conditions: Conditions
    reason: str
    acquisition: float | None
    propensity: float | None
    belief: Belief | None


@dataclass(frozen=True)
class Plan:
    """A batch as a policy chose it."""

    choices: tuple[Planned, ...]
    policy: str
    policy_version: str
    n_considered: int
    card: ModelCard | None
    outlook: Outlook | None


def require_policy(policy: str, protocol: Protocol) -> None:
    """Refuse a policy that is unknown or does not fit the protocol.

    Raises:
        NotFoundError: If no policy has that name.
        InvalidInputError: If it is for another number of objectives.
    """
    from labwm.design.propose import require_policy as require

    require(policy, protocol)


def require_learnable(observations: Observations) -> None:
    """Refuse a table from which no virtual lab could learn.

    Raises:
        NotEnoughDataError: If a readout has too few numbers.
    """
    from labwm.world_model.training import require_rows, rows_of

    keys = observations.questions.keys()
    for j, readout in enumerate(observations.readouts):
        require_rows(rows_of(observations, j, keys), readout, "default")


def plan(situation: Situation, *, n: int, policy: str) -> Plan:
    """Ask a policy for up to `n` experiments and the model for what it expects."""
    from labwm.design.propose import propose
    from labwm.design.state import State

    state = State(
        protocol=situation.protocol,
        pool=situation.pool,
        pool_sha256=situation.pool_sha256,
        observed=situation.observed,
        pending=questions_from(situation.protocol, situation.avoided),
        n_left=situation.n_left,
        n_initial=situation.n_initial,
        round=situation.round,
        seed=situation.round_seed,
        is_open=situation.has_open_space,
        recipe=situation.recipes["choose"],
    )
    batch = propose(state, n=n, policy=policy)
    pool = situation.pool if batch.pool is None else batch.pool
    rows = [pool.row(choice.row) for choice in batch.choices]
    model = _model_of(batch, situation)
    beliefs = _beliefs(model, situation, rows) if model else [None] * len(rows)
    return Plan(
        choices=tuple(
            Planned(
                conditions=row,
                reason=choice.reason,
                acquisition=choice.acquisition,
                propensity=choice.propensity,
                belief=belief,
            )
            for row, choice, belief in zip(rows, batch.choices, beliefs, strict=True)
        ),
        policy=batch.policy,
        policy_version=batch.policy_version,
        n_considered=batch.n_considered,
        card=model.card if model else None,
        outlook=_outlook(state, batch, situation),
    )


def _outlook(state: "State", batch: "Batch", situation: Situation) -> Outlook | None:
    """Return what is left to gain; None while no model chooses."""
    from labwm.design.candidates import candidates_of
    from labwm.design.start import Ready
    from labwm.design.stopping import outlook

    if batch.model is None:
        return None
    if batch.pool is not None:
        state = replace(state, pool=batch.pool)
    candidates = candidates_of(state)
    ready = Ready(candidates, batch.model, len(candidates.rows))
    chosen = state.pool.take([choice.row for choice in batch.choices])
    return outlook(state, ready, chosen, n_batch=situation.batch_size)


def _told(model: "WorldModel", situation: Situation) -> "WorldModel":
    """Return the model with intervals that know how its predictions came out."""
    import numpy as np

    from labwm.world_model.contract import SupportsFeedback

    if not isinstance(model, SupportsFeedback):
        return model
    errors = situation.forecast_errors
    return model.under_feedback({name: np.array(e) for name, e in errors.items()})


def believe(
    situation: Situation, rows: list[Conditions]
) -> tuple[list[Belief], ModelCard]:
    """Predict some experiments with the campaign's model.

    Raises:
        NotEnoughDataError: If there is no model yet.
        SpaceError: If a row names unknown parameters.
    """
    questions_from(situation.protocol, rows)
    model = fitted(situation)
    return _beliefs(model, situation, rows), model.card


def fitted(situation: Situation) -> "WorldModel":
    """Return the model that answers questions, from cache if it can.

    It is fitted to everything measured so far by the recipe promoted for `predict`.

    Raises:
        NotEnoughDataError: If there are too few measurements.
    """
    from labwm.world_model import fit

    recipe, seed = situation.recipes["predict"], situation.spec.seed
    key = (situation.data_sha256, situation.protocol.digest(), seed, recipe)
    if key in _models:
        _models.move_to_end(key)
    else:
        model = fit(situation.observed, situation.protocol, recipe=recipe, seed=seed)
        _remember(key, model)
    return _told(_models[key], situation)


def _remember(key: _Key, model: "WorldModel") -> None:
    _models[key] = model
    while len(_models) > _CACHED_MODELS:
        _models.popitem(last=False)


def _model_of(batch: "Batch", situation: Situation) -> "WorldModel | None":
    """Return the model that chose, or one that states what is expected anyway."""
    if batch.model is not None:
        return _told(batch.model, situation)
    try:
        return fitted(situation)
    except NotEnoughDataError:
        return None


def _beliefs(
    model: "WorldModel", situation: Situation, rows: list[Conditions]
) -> list[Belief]:
    if not rows:
        return []
    questions = questions_from(situation.protocol, rows)
    support = model.support(questions)
    prediction = model.predict(questions)
    success = prediction.success
    return [
        Belief(
            readouts=readouts,
            support=min(1.0, max(0.0, float(support[i]))),
            success=None if success is None else float(success[i]),
        )
        for i, readouts in enumerate(prediction.records())
    ]
