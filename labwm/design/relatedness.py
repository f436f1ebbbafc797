"""How far earlier assays speak for this one, judged by what was measured here.

Each hypothesis says that measured values follow one source's opinion, or the mean of
all of them, with some correlation; or that nothing does. Values decide between them by
Bayes' rule, so that a source that ranks the first experiments wrongly loses its say.
Shapes: `n` values measured here, `j` sources, `h` hypotheses.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

CORRELATIONS = np.arange(0.1, 0.96, 0.1)
PRIOR_UNRELATED = 0.2
"""Probability, before anything is measured, that no source says anything."""
SPREADS = np.exp(np.linspace(-1.4, 1.4, 9))
"""Standard deviations considered here, in shares of the sources'."""
CENTRE_SD = 1.0
"""Of this assay's mean around the sources', in shares of their spread."""


@dataclass(frozen=True)
class Relatedness:
    """Which sources speak for one objective, and how loudly.

    Attributes:
        slope: Of each source's opinion in its standard units, in the objective's unit,
            length `j`.
        share: Probability that a source, or the mean of all, is followed at all.
        weight: Probability of each source, its part in the mean included, length `j`;
            adds up to `share`.
    """

    slope: Floats
    share: float
    weight: Floats

    def offset(self, opinions: Floats) -> Floats:
        """Return what sources add to an expected value, `q`, of opinions `q x j`."""
        return opinions @ self.slope


def relatedness(
    values: Floats,
    opinions: Floats,
    units: tuple[Floats, Floats],
) -> Relatedness:
    """Weigh sources by the values measured here.

    Args:
        values: In the objective's unit, length `n`; may be empty.
        opinions: Of each source on what was measured, standard units, `n x j`.
        units: Mean and standard deviation of each source's values, length `j` each.
    """
    centre, scale = units
    j = opinions.shape[1]
    mixing = np.concatenate([np.full((1, j), 1.0 / j), np.eye(j)])
    if j == 1:
        mixing = mixing[:1]
    unit, middle = float(np.mean(scale)), float(np.mean(centre))
    y = (values - middle) / unit
    prior_sd = np.hypot(CENTRE_SD, float(np.std(centre)) / unit)
    log_p, slopes, mixtures = [], [], []
    related = (1 - PRIOR_UNRELATED) / len(CORRELATIONS)
    for mix, part in zip(mixing, _prior_parts(len(mixing)), strict=True):
        z = opinions @ mix
        for correlation in CORRELATIONS:
            p = np.log(related * part)
            found, slope = _evidence(y, z, correlation, prior_sd)
            log_p.append(p + found)
            slopes.append(slope)
            mixtures.append(mix)
    found, _ = _evidence(y, 0 * y, 0.0, prior_sd)
    log_p.append(np.log(PRIOR_UNRELATED) + found)
    p = np.exp(np.array(log_p) - max(log_p))
    p /= p.sum()
    mixed = np.array(mixtures)
    return Relatedness(
        slope=unit * ((p[:-1] * np.array(slopes)) @ mixed),
        share=float(p[:-1].sum()),
        weight=p[:-1] @ mixed,
    )


def _prior_parts(n: int) -> Floats:
    """Return the prior of each mixing: the mean of all first, as likely as any one.

    The best of several that speak by chance looks better than their mean does.
    """
    if n == 1:
        return np.ones(1)
    return np.concatenate([[0.5], np.full(n - 1, 0.5 / (n - 1))])


def _evidence(
    y: Floats, z: Floats, correlation: float, prior_sd: float
) -> tuple[float, float]:
    """Return the log evidence of one hypothesis and its mean slope.

    `y = centre + s * (r * z + sqrt(1 - r**2) * noise)` with an unknown spread `s`.
    """
    log_density = np.array(
        [
            _log_normal(
                y - s * correlation * z,
                (1 - correlation**2) * s**2,
                prior_sd**2,
            )
            for s in SPREADS
        ]
    )
    # Spreads are log-normal around the sources' own.
    log_density -= 0.5 * (np.log(SPREADS) / 0.7) ** 2
    p = np.exp(log_density - log_density.max())
    total = float(np.log(p.sum()) + log_density.max())
    slope = correlation * float(p @ SPREADS / p.sum())
    return total, slope


def _log_normal(y: Floats, own: float, shared: float) -> float:
    """Return the log density of values with variance `own`, and `shared` by all."""
    n = len(y)
    if not n:
        return 0.0
    total = own + n * shared
    square = (float(y @ y) - shared * float(y.sum()) ** 2 / total) / own
    return -0.5 * (square + (n - 1) * np.log(own) + np.log(total))
