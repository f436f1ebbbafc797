"""Earlier assays that a campaign may lean on, and what each of them expects here.

Shapes: `q` questions, `j` sources, `k` objectives.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from labwm.design.posterior import objective_columns
from labwm.errors import InvalidInputError, NotEnoughDataError
from labwm.schema import Measurement, Protocol
from labwm.space.questions import Observations, Questions, observations_from
from labwm.world_model.contract import WorldModel

Floats = NDArray[np.float64]

MAX_ROWS = 1000
"""Rows that a source is learnt from; of larger tables so many are drawn."""
MIN_VALUES = 10
"""Values of an objective below which a source has no opinion worth asking for."""
_KEPT_MODELS = 16
_KEPT_ANSWERS = 200_000
_models: OrderedDict[tuple[str, str], WorldModel] = OrderedDict()


@dataclass(frozen=True)
class Source:
    """A table of another assay, read by the campaign's protocol.

    Attributes:
        name: As it was named.
        observed: Its rows.
    """

    name: str
    observed: Observations

    @cached_property
    def sha256(self) -> str:
        """Digest of its rows."""
        return self.observed.digest()


def source_from(
    name: str, protocol: Protocol, measurements: tuple[Measurement, ...]
) -> Source:
    """Return a table as a source.

    Raises:
        NotEnoughDataError: If an objective has fewer than `MIN_VALUES` values there.
    """
    observed = observations_from(protocol, measurements)
    for column in objective_columns(protocol):
        n = int(np.sum(_is_value(observed, column)))
        if n < MIN_VALUES:
            raise NotEnoughDataError(
                f"A source gives at least {MIN_VALUES} values of every objective; "
                f"{name!r} gives {n} of {observed.readouts[column]!r}. Leave it out."
            )
    return Source(name, observed)


def refuse_unusable(sources: tuple[Source, ...], own_sha256: str | None) -> None:
    """Refuse sources that would count twice, or hold the answers.

    Args:
        sources: Earlier assays.
        own_sha256: Digest of the table that plays the campaign's lab, if one does.

    Raises:
        InvalidInputError: If two sources hold the same rows, or one is the table.
    """
    seen = {} if own_sha256 is None else {own_sha256: "the table that is searched"}
    for source in sources:
        if source.sha256 in seen:
            raise InvalidInputError(
                f"A source is another assay, and each counts once; {source.name!r} "
                f"holds the rows of {seen[source.sha256]!r}. Leave one of them out."
            )
        seen[source.sha256] = source.name


@dataclass(frozen=True)
class Opinions:
    """What sources expect, in their own standard units.

    Attributes:
        protocol: Of the campaign.
        models: One per source, length `j`.
        centre: Mean of each source's values, `j x k`.
        scale: Standard deviation of each source's values, `j x k`.
    """

    protocol: Protocol
    models: tuple[WorldModel, ...]
    centre: Floats
    scale: Floats
    _kept: dict[bytes, Floats] = field(default_factory=dict, repr=False)

    def __call__(self, questions: Questions) -> Floats:
        """Return each source's expected outcome in its standard units, `q x j x k`."""
        keys = questions.keys()
        asked = [i for i, key in enumerate(keys) if key not in self._kept]
        if asked:
            if len(self._kept) > _KEPT_ANSWERS:
                self._kept.clear()
                asked = list(range(len(keys)))
            found = self._ask(questions.take(asked))
            self._kept.update(zip([keys[i] for i in asked], found, strict=True))
        shape = (len(keys), *self.centre.shape)
        return np.array([self._kept[key] for key in keys]).reshape(shape)

    def _ask(self, questions: Questions) -> Floats:
        columns = objective_columns(self.protocol)
        means = [model.predict(questions).mean[:, columns] for model in self.models]
        return (np.stack(means, axis=1) - self.centre) / self.scale


_opinions: OrderedDict[tuple[str, ...], Opinions] = OrderedDict()


def opinions_of(protocol: Protocol, sources: tuple[Source, ...]) -> Opinions:
    """Return what sources expect of a protocol's objectives; learnt once per process.

    Each source gets the model that predicts best, apart from the others: what one assay
    says of another is judged by ranks, not by sharing kernels.
    """
    key = (protocol.digest(), *(source.sha256 for source in sources))
    if key not in _opinions:
        models = tuple(_model_of(protocol, source) for source in sources)
        columns = objective_columns(protocol)
        values = [
            [s.observed.values[_is_value(s.observed, c), c] for c in columns]
            for s in sources
        ]
        centre = np.array([[v.mean() for v in row] for row in values])
        spread = np.array([[v.std() for v in row] for row in values])
        scale = np.where(spread > 0, spread, 1.0)
        _opinions[key] = Opinions(protocol, models, centre, scale)
        while len(_opinions) > _KEPT_MODELS:
            _opinions.popitem(last=False)
    return _opinions[key]


def _is_value(observed: Observations, column: int) -> NDArray[np.bool_]:
    known = ~np.isnan(observed.values[:, column])
    return known & (observed.censoring[:, column] == 0)


def _model_of(protocol: Protocol, source: Source) -> WorldModel:
    from labwm.world_model import fit

    key = (protocol.digest(), source.sha256)
    if key not in _models:
        rows = source.observed
        if len(rows) > MAX_ROWS:
            rng = np.random.default_rng(0)
            rows = rows.take(np.sort(rng.choice(len(rows), MAX_ROWS, replace=False)))
        _models[key] = fit(rows, protocol, recipe="default", seed=0)
        while len(_models) > _KEPT_MODELS:
            _models.popitem(last=False)
    return _models[key]
