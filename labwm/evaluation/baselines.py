"""Predictors that a world model must beat: the mean, a forest, a plain process.

Shapes: `n` rows learnt from, `q` rows asked about, `d` features.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from labwm.errors import NotFoundError, suggest
from labwm.schema import (
    CategoricalParameter,
    ContextParameter,
    MoleculeParameter,
    Protocol,
)
from labwm.space.questions import Observations, Questions, concatenate
from labwm.world_model.contract import WorldModel

Floats = NDArray[np.float64]

N_TREES = 200


@dataclass(frozen=True)
class Marginal:
    """Predictive distributions of one readout at `q` questions.

    Attributes:
        mean: Length `q`.
        sd: Length `q`.
        quantile: Returns the quantiles at one level, length `q`.
        cdf: Returns the cdf at one outcome each, length `q`.
        log_density: Returns the log density at one outcome each, length `q`.
        support: Closeness to the data, length `q`; None where none is stated.
        is_vacuous: Knows no more than its prior, length `q`; None where not stated.
        noise_sd: Of one measurement around what repeated ones average to, length `q`;
            None where none is stated.
        success: Probability of giving a number at all, length `q`; None where none is
            stated.
    """

    mean: Floats
    sd: Floats
    quantile: Callable[[float], Floats]
    cdf: Callable[[Floats], Floats]
    log_density: Callable[[Floats], Floats]
    support: Floats | None = None
    is_vacuous: NDArray[np.bool_] | None = None
    noise_sd: Floats | None = None
    success: Floats | None = None

    def take(self, rows: NDArray[np.int64]) -> "Marginal":
        """Return the distributions of some of the questions."""

        def at(y: Floats) -> Floats:
            whole = np.array(self.mean)
            whole[rows] = y
            return whole

        return Marginal(
            self.mean[rows],
            self.sd[rows],
            lambda p: self.quantile(p)[rows],
            lambda y: self.cdf(at(y))[rows],
            lambda y: self.log_density(at(y))[rows],
            None if self.support is None else self.support[rows],
            None if self.is_vacuous is None else self.is_vacuous[rows],
            None if self.noise_sd is None else self.noise_sd[rows],
            None if self.success is None else self.success[rows],
        )


Predictor = Callable[[Observations, Questions, Protocol, str, int], Marginal]
"""From train, test, protocol, readout and seed to what is predicted of the test."""


def world_model(
    train: Observations, test: Questions, protocol: Protocol, readout: str, seed: int
) -> Marginal:
    """Predict with the default recipe: the model that campaigns state."""
    from labwm.world_model import fit

    model: WorldModel = fit(train, protocol, recipe="default", seed=seed)
    return _of_model(model, test, protocol, readout)


def explore_model(
    train: Observations, test: Questions, protocol: Protocol, readout: str, seed: int
) -> Marginal:
    """Predict with the recipe that policies choose by."""
    from labwm.world_model import fit

    model: WorldModel = fit(train, protocol, recipe="explore", seed=seed)
    return _of_model(model, test, protocol, readout)


def mean_only(
    train: Observations, test: Questions, protocol: Protocol, readout: str, seed: int
) -> Marginal:
    """Predict the training mean and deviation everywhere."""
    y = known_values(train, readout)[1]
    q = len(test)
    return normal(np.full(q, y.mean()), np.full(q, max(float(y.std(ddof=1)), 1e-12)))


def random_forest(
    train: Observations, test: Questions, protocol: Protocol, readout: str, seed: int
) -> Marginal:
    """Predict with a forest; deviation from the trees, scaled to out-of-bag errors."""
    from sklearn.ensemble import RandomForestRegressor

    rows, y = known_values(train, readout)
    x = forest_features(protocol, concatenate([train.questions.take(rows), test]))
    forest = RandomForestRegressor(
        N_TREES, min_samples_leaf=2, oob_score=True, random_state=seed, n_jobs=1
    )
    forest.fit(x[: len(rows)], y)
    trees = np.stack([tree.predict(x) for tree in forest.estimators_])
    spread = trees.std(axis=0)
    error = y - np.asarray(forest.oob_prediction_)
    floor = max(float(error.std()), 1e-12)
    # One factor for all: trees vary less than the forest errs.
    factor = np.sqrt(np.mean(error**2) / max(np.mean(spread[: len(rows)] ** 2), 1e-24))
    sd = np.maximum(factor * spread[len(rows) :], 0.2 * floor)
    return normal(trees[:, len(rows) :].mean(axis=0), sd)


def tanimoto(
    train: Observations, test: Questions, protocol: Protocol, readout: str, seed: int
) -> Marginal:
    """Predict with the usual plain process: Tanimoto on count fingerprints.

    Molecules by ECFP4 counts alone, several roles and other conditions multiplied;
    weight, noise and lengthscales by marginal likelihood, no recalibration.
    """
    from labwm.evaluation.tanimoto import fit_tanimoto

    return fit_tanimoto(train, test, protocol, readout, seed)


PREDICTORS: dict[str, Predictor] = {
    "default": world_model,
    "explore": explore_model,
    "tanimoto_gp": tanimoto,
    "random_forest": random_forest,
    "mean": mean_only,
}


def predictor(name: str) -> Predictor:
    """Return the predictor of that name.

    Raises:
        NotFoundError: If there is none.
    """
    if name not in PREDICTORS:
        raise NotFoundError(
            f"A model is known by its name; got {name!r}. {suggest(name, PREDICTORS)}"
        )
    return PREDICTORS[name]


def known_values(
    observations: Observations, readout: str
) -> tuple[NDArray[np.int64], Floats]:
    """Return the rows with an uncensored number of a readout, and these numbers."""
    j = observations.readouts.index(readout)
    column = observations.values[:, j]
    rows = np.flatnonzero(~np.isnan(column) & (observations.censoring[:, j] == 0))
    return rows, column[rows]


def normal(mean: Floats, sd: Floats) -> Marginal:
    """Return normal predictive distributions."""
    return Marginal(
        mean=mean,
        sd=sd,
        quantile=lambda p: mean + sd * float(ndtri(p)),
        cdf=lambda y: ndtr((y - mean) / sd),
        log_density=lambda y: (
            -0.5 * ((y - mean) / sd) ** 2 - np.log(sd * np.sqrt(2 * np.pi))
        ),
    )


def forest_features(protocol: Protocol, questions: Questions) -> Floats:
    """Return numbers, names as indicators, molecules as counts and descriptors."""
    parts: list[Floats] = []
    for parameter in protocol.parameters:
        match parameter:
            case MoleculeParameter():
                parts.append(_molecules(questions.columns[parameter.name].tolist()))
            case CategoricalParameter() | ContextParameter():
                column = questions.columns[parameter.name].astype(str)
                levels, which = np.unique(column, return_inverse=True)
                parts.append(np.eye(len(levels))[which])
            case _:
                names = [
                    name
                    for name in protocol.condition_names
                    if name.split(".")[0] == parameter.name
                ]
                columns = [questions.columns[name].astype(float) for name in names]
                parts.append(np.nan_to_num(np.column_stack(columns)))
    return np.concatenate(parts, axis=1)


def _molecules(smiles: list[str]) -> Floats:
    from labwm.chem.descriptors import descriptors
    from labwm.chem.fingerprints import count_fingerprints

    distinct = sorted({s for s in smiles if s})
    counts = count_fingerprints(distinct, "ecfp4").toarray()
    used = counts[:, counts.any(axis=0)]
    # Descriptors reach 1e300; a forest reads float32.
    values = np.clip(np.nan_to_num(descriptors(distinct)[0]), -1e30, 1e30)
    known = np.concatenate([used, values], axis=1)
    row = {s: i for i, s in enumerate(distinct)}
    empty = np.zeros(known.shape[1])
    return np.stack([known[row[s]] if s else empty for s in smiles])


def _of_model(
    model: WorldModel, test: Questions, protocol: Protocol, readout: str
) -> Marginal:
    prediction = model.predict(test)
    j = protocol.readout_names.index(readout)

    def filled(y: Floats) -> Floats:
        out = np.array(prediction.mean)
        out[:, j] = y
        return out

    return Marginal(
        mean=prediction.mean[:, j],
        sd=prediction.sd[:, j],
        quantile=lambda p: prediction.quantile(p)[:, j],
        cdf=lambda y: prediction.cdf(filled(y))[:, j],
        log_density=lambda y: prediction.log_density(filled(y))[:, j],
        support=model.support(test),
        is_vacuous=prediction.is_vacuous[:, j],
        noise_sd=prediction.aleatoric_sd[:, j],
        success=prediction.success,
    )
