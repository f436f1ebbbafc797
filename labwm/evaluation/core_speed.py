"""How fast the default model's core is, beside matrix products of the same run.

Shapes: `n` rows learnt from, `q` questions of the pool.

Seconds of one thread's processor time; the limit of each figure is a matrix product
timed just before, so that figures of two machines can be compared.
"""

import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from labwm.chem.fingerprints import (
    KINDS,
    count_fingerprints,
    featuriser,
    fingerprints_and_names,
)
from labwm.errors import NotEnoughDataError
from labwm.evaluation.lookup import Lookup
from labwm.schema import MoleculeParameter
from labwm.space.questions import Observations, Questions
from labwm.world_model import fit
from labwm.world_model.feature_store import read_features
from labwm.world_model.inputs import Counts, Inputs
from labwm.world_model.kernel import overlaps
from labwm.world_model.molecules import counts_of, descriptors_of
from labwm.world_model.stream import relative_error
from labwm.world_model.surrogate import Surrogate

ResultT = TypeVar("ResultT")
Progress = Callable[[str], None]

N_FEATURES: Final = 1000
N_POOL: Final = 2048
N_PEER: Final = 500
POOL_TIMES: Final = 8
"""The pool is asked so many times over to see whether memory grows with it."""


@dataclass(frozen=True)
class Figure:
    """One line of the bench.

    Attributes:
        what: Was timed.
        value: In `unit`.
        unit: Of the value.
        limit: What a matrix product of the same run allows, in `unit`; None for none.
        peer: The usual path, in `unit`; None where none was timed.
        note: What else to know.
    """

    what: str
    value: float
    unit: str
    limit: float | None = None
    peer: float | None = None
    note: str = ""

    @property
    def share(self) -> float | None:
        """Value over limit, or limit over value where less is better."""
        if self.limit is None:
            return None
        ratio = self.value / self.limit
        return 1.0 / ratio if self.unit == "s" else ratio


def bench_core(
    lookup: Lookup, sizes: Sequence[int], progress: Progress | None = None
) -> list[Figure]:
    """Time features, similarities, fits and posteriors of the default model.

    Args:
        lookup: A table with one molecule per row.
        sizes: Rows to learn from, each at most what the table has beside the pool.
        progress: Is told what is timed next.

    Raises:
        NotEnoughDataError: If the table has too few molecules.
    """
    name = _molecule_of(lookup)
    order = np.random.default_rng(0).permutation(len(lookup.pool))
    if len(order) < max(sizes) + N_PEER:
        raise NotEnoughDataError(
            f"The core is timed on {max(sizes)} molecules and {N_PEER} more; got "
            f"{len(order)}. Ask for fewer rows with --size, or choose another table."
        )
    smiles = [str(s) for s in lookup.pool.columns[name]]
    say = progress or (lambda _: None)
    with _one_thread():
        say("matrix products")
        single, double = matrix_product(torch.float32), matrix_product(torch.float64)
        figures = [
            Figure("matrix product, single precision", single / 1e9, "GFLOP/s"),
            Figure("matrix product, double precision", double / 1e9, "GFLOP/s"),
        ]
        say("features")
        figures += _features([smiles[i] for i in order[:N_FEATURES]])
        say("similarities")
        figures += _similarities([smiles[i] for i in order[:N_POOL]])
        for n in sizes:
            say(f"{n} rows")
            train = lookup.observed.take([lookup.replicates[i][0] for i in order[:n]])
            pool = lookup.pool.take(order[n : n + N_POOL])
            figures += _model(train, lookup, pool, (single, double))
    return figures


def matrix_product(kind: torch.dtype, size: int = 1024) -> float:
    """Return floating-point operations a second of the best of five products."""
    a = torch.randn(size, size, generator=torch.Generator().manual_seed(0)).to(kind)
    best = min(_timed(lambda: a @ a)[0] for _ in range(5))
    return 2.0 * size**3 / best


def _features(smiles: list[str]) -> list[Figure]:
    usual, _ = _timed(lambda: [count_fingerprints(smiles, kind) for kind in KINDS])
    read, _ = _timed(lambda: fingerprints_and_names(smiles))
    counts_of(smiles, "ecfp4")
    again, _ = _timed(lambda: counts_of(smiles, "ecfp4"))
    kept, rows = _timed(lambda: read_features("ecfp4", smiles, featuriser()))
    rate, n = "molecules/s", len(smiles)
    from_disk = [Figure("SMILES to a fingerprint kept on disk", n / kept, rate)]
    return [
        Figure(
            "SMILES to three count fingerprints",
            n / read,
            rate,
            peer=n / usual,
            note="peer: each kind reads the molecule",
        ),
        *(from_disk if len(rows) == n else []),
        Figure("SMILES to a fingerprint kept in memory", n / again, rate),
    ]


def _similarities(smiles: list[str]) -> list[Figure]:
    figures = []
    for kind in KINDS:
        asked, rows = counts_of(smiles, kind), counts_of(smiles[:1000], kind)
        _weighted_similarity(asked, rows)
        spent, _ = _timed(lambda a=asked, b=rows: _weighted_similarity(a, b))
        peer = None
        if kind == "ecfp4":
            few = torch.from_numpy(count_fingerprints(smiles[:200], kind).toarray())
            peer = 0.04 / _timed(lambda x=few: _by_distance(x))[0]
        pairs = len(asked.sizes) * len(rows.sizes) / 1e6
        figures.append(
            Figure(
                f"count Tanimoto, {kind}, all in",
                pairs / spent,
                "M pairs/s",
                peer=peer,
                note="peer: cdist(p=1)" if peer else "",
            )
        )
    return figures


def _weighted_similarity(asked: Counts, rows: Counts) -> torch.Tensor:
    """Compare block by block and use the block, as the posterior of a pool does."""
    weights = torch.ones(len(rows.sizes))
    blocks = overlaps(asked, rows)
    return torch.cat([common.div_(union) @ weights for _, common, union in blocks])


def _by_distance(counts: torch.Tensor) -> torch.Tensor:
    # min + max = a + b and max - min = |a - b|, as in GAUCHE.
    sizes = counts.sum(1)
    total, away = sizes[:, None] + sizes[None, :], torch.cdist(counts, counts, p=1)
    return (total - away) / (total + away)


def _model(
    train: Observations, lookup: Lookup, pool: Questions, flops: tuple[float, float]
) -> list[Figure]:
    n = len(train)
    single, double = flops
    fit(train.take(np.arange(min(60, n))), lookup.protocol)
    features, _ = _timed(lambda: _encode_all(train, lookup))
    spent, model = _timed(lambda: fit(train, lookup.protocol))
    own = model.surrogates[0]
    figures = [
        Figure(
            f"fit, n = {n}",
            spent,
            "s",
            limit=10 * n**3 / 3.0 / double,
            note=f"limit: ten factorisations; descriptors before it {features:.1f} s",
        )
    ]
    if isinstance(own, Surrogate):
        figures += _posterior(own, own.encode(pool), single)
    return figures


def _encode_all(train: Observations, lookup: Lookup) -> None:
    descriptors_of([str(s) for s in train.questions.columns[_molecule_of(lookup)]])


def _posterior(own: Surrogate, asked: Inputs, single: float) -> list[Figure]:
    n, q = len(own.targets), len(asked)
    stream = own.stream
    stream(asked.take(torch.arange(min(64, q))))
    spent, found = _timed(lambda: stream(asked))
    spent_exactly, exact = _timed(lambda: own.mean_and_variance(asked))
    before = _peak_mb()
    for _ in stream.over(asked for _ in range(POOL_TIMES)):
        pass
    grown = _peak_mb() - before
    error = relative_error(own, found, exact)
    return [
        Figure(
            f"posterior mean and variance, n = {n}",
            q / spent,
            "candidates/s",
            limit=single / (2.0 * n * n),
            peer=q / spent_exactly,
            note=f"relative error {error:.1e}; {POOL_TIMES} x the pool takes "
            f"{max(grown, 0.0):.0f} MB more; peer: the same in double precision",
        )
    ]


def peer_figures(lookup: Lookup, n: int = N_PEER) -> list[Figure]:
    """Time the usual path, GPyTorch's Tanimoto process through BoTorch, on `n` rows."""
    from labwm.evaluation.peer_process import peer_process

    order = np.random.default_rng(0).permutation(len(lookup.pool))[: 2 * n]
    smiles = [str(s) for s in lookup.pool.columns[_molecule_of(lookup)][order]]
    counts = torch.from_numpy(count_fingerprints(smiles, "ecfp4").toarray()).double()
    y = torch.from_numpy(np.nan_to_num(lookup.truth[order, 0]))[:n, None]
    with _one_thread():
        single = matrix_product(torch.float32)
        spent, model = _timed(lambda: peer_process(counts[:n], y))
        asked, _ = _timed(lambda: model.posterior(counts[n:]).variance)
    return [
        Figure(f"BoTorch: fit, n = {n}, one Tanimoto kernel", spent, "s"),
        Figure(
            f"BoTorch: posterior mean and variance, n = {n}",
            n / asked,
            "candidates/s",
            limit=single / (2.0 * n * n),
        ),
    ]


def _molecule_of(lookup: Lookup) -> str:
    names = [
        p.name for p in lookup.protocol.parameters if isinstance(p, MoleculeParameter)
    ]
    if len(names) != 1:
        raise NotEnoughDataError(
            "The core is timed on a library: one molecule per experiment; got "
            f"{len(names)} molecules in {lookup.protocol.name!r}. Choose another table."
        )
    return names[0]


def _timed(work: Callable[[], ResultT]) -> tuple[float, ResultT]:
    start = time.process_time()
    result = work()
    return max(time.process_time() - start, 1e-9), result


def _peak_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(before)
