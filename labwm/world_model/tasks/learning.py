"""Learn the distribution of assay tasks from many assays.

Shapes: `t` assays of a step, `n` rows of the longest of them, `k` kinds.

The evidence of an assay is the product of what would have been predicted of each row
from those before it. So its maximum over many assays is the prior that predicts best
from no rows, one row, two rows, …; nothing is tuned to one number of rows.

Reference:
    Patacchiola et al., NeurIPS 2020, arXiv 1910.05199 (deep kernel transfer), here with
    a mixture of kinds of assays, means, and scales integrated out.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import labwm
from labwm.data.assays import Assay, digest
from labwm.errors import InvalidInputError, NotEnoughDataError
from labwm.world_model.linear_algebra import threads_for
from labwm.world_model.tasks.card import TaskCard
from labwm.world_model.tasks.items import (
    ItemKind,
    Items,
    encode_items,
    similarity,
)
from labwm.world_model.tasks.network import (
    LABEL,
    OUTPUTS,
    VALUE,
    Shape,
    TaskNetwork,
    rounded,
)
from labwm.world_model.tasks.prior import TaskPrior
from labwm.world_model.tasks.process import Batch, condition, kinds_of
from labwm.world_model.tasks.targets import NOTHING, targets_and_noise

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
Progress = Callable[[str, int, int], None]

FEWEST_ASSAYS: Final = 8
FEWEST_ROWS: Final = 8
"""Readable rows that an assay needs to be learnt from."""
FURTHEST: Final = 1e3
"""Ratio of the assays' deviations beyond which they cannot share a unit."""
MOST_PARTS: Final = 6
"""Parts of one large assay that are learnt from in one epoch."""
WARM_UP: Final = 100
LARGEST_STEP: Final = 1.0


@dataclass(frozen=True)
class LearningSettings:
    """How long and how fast is learnt.

    Attributes:
        shape: Of the network.
        epochs: Times that the assays are gone through.
        rows: Of an assay at most in one step.
        assays: In one step.
        learning_rate: Largest.
        weight_decay: Of the network's weights.
        seed: Of first weights, parts and order.
    """

    shape: Shape = field(default_factory=Shape)
    epochs: int = 4
    rows: int = 64
    assays: int = 16
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    seed: int = 0

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.rows < 2 or self.assays < 1:
            raise InvalidInputError(
                "Learning takes at least one epoch of one assay of two rows; got "
                f"epochs={self.epochs}, rows={self.rows}, assays={self.assays}. Ask "
                "for more."
            )


@dataclass(frozen=True)
class _Task:
    """One assay, ready to be learnt from.

    Attributes:
        place: Of each row's item among all items, length `n`.
        targets: Of both outputs, `2 x n`.
        noise: Of both outputs, `2 x n`.
    """

    place: Indices
    targets: Floats
    noise: Floats


def learn_tasks(
    assays: Sequence[Assay],
    *,
    kind: ItemKind = "molecule",
    settings: LearningSettings | None = None,
    notes: tuple[str, ...] = (),
    progress: Progress | None = None,
) -> TaskPrior:
    """Learn a prior of assays from many; 5,000 assays take minutes on one core.

    Items that cannot be read are left out and counted on the card; limits are learnt
    from as limits; rows without a value teach by their label alone.

    Args:
        assays: All values in one unit; at least 8 assays of 8 rows.
        kind: Of items.
        settings: How long and how fast.
        notes: For the card: source and licence of the data.
        progress: Told of what is done.

    Raises:
        NotEnoughDataError: If there are too few assays with enough rows.
        InvalidInputError: If two assays share a name, or values cannot share a unit.
    """
    settings = settings or LearningSettings()
    _refuse_same_names(assays)
    names = list(dict.fromkeys(name for assay in assays for name in assay.items))
    if progress:
        progress("reading items", 0, 1)
    items = encode_items(names, kind)
    readable = {n for n, ok in zip(names, items.is_readable, strict=True) if ok}
    kept = [_readable(assay, readable) for assay in assays]
    kept = [assay for assay in kept if len(assay) >= FEWEST_ROWS]
    _require_enough(kept, len(assays))
    location, scale = _units(kept)
    place = {name: i for i, name in enumerate(names)}
    tasks = [_task(assay, place, location, scale) for assay in kept]
    network = TaskNetwork(settings.shape, settings.seed)
    with threads_for(settings.rows):
        _fit(network, items, tasks, settings, progress)
    card = TaskCard(
        n_assays=len(kept),
        n_rows=sum(map(len, kept)),
        n_items=len(readable),
        n_unreadable=sum(n not in readable for a in assays for n in a.items),
        n_limits=sum(int((a.limits != 0).sum()) for a in kept),
        n_without_value=sum(int(np.isnan(a.values).sum()) for a in kept),
        data_sha256=digest(assays),
        labwm_version=labwm.__version__,
        settings=_plain(settings),
        notes=notes,
    )
    return TaskPrior(rounded(network).eval(), kind, location, scale, card)


def _plain(settings: LearningSettings) -> dict[str, float | str]:
    content = asdict(settings)
    shape = content.pop("shape")
    return {**content, **shape}


def _refuse_same_names(assays: Sequence[Assay]) -> None:
    seen: set[str] = set()
    for assay in assays:
        if assay.name in seen:
            raise InvalidInputError(
                f"Assays have names of their own; {assay.name!r} comes twice. Join its "
                "rows, or rename one."
            )
        seen.add(assay.name)


def _readable(assay: Assay, readable: set[str]) -> Assay:
    rows = [i for i, name in enumerate(assay.items) if name in readable]
    return assay if len(rows) == len(assay) else assay.take(np.array(rows, np.int64))


def _require_enough(kept: Sequence[Assay], n_given: int) -> None:
    if len(kept) < FEWEST_ASSAYS:
        raise NotEnoughDataError(
            f"A task distribution needs at least {FEWEST_ASSAYS} assays of "
            f"{FEWEST_ROWS} readable rows; got {len(kept)} of {n_given}. Add assays."
        )


def _units(assays: Sequence[Assay]) -> tuple[float, float]:
    """Return the common zero and unit: medians of the assays' own.

    Raises:
        InvalidInputError: If the assays' deviations are so far apart that their values
            are in different units.
    """
    known = [a.values[~np.isnan(a.values)] for a in assays]
    known = [values for values in known if len(values) >= 2]
    deviations = np.array([values.std() for values in known])
    deviations = deviations[deviations > 0]
    if not len(deviations):
        return 0.0, 1.0
    low, high = np.quantile(deviations, [0.1, 0.9])
    if high > FURTHEST * low:
        raise InvalidInputError(
            "Assays that are learnt from together have values in one unit; got "
            f"standard deviations from {low:.3g} to {high:.3g} (10 % and 90 %). Give "
            "logarithms, or the assays of one unit."
        )
    centre = float(np.median([np.median(values) for values in known]))
    return centre, float(np.median(deviations))


def _task(assay: Assay, place: dict[str, int], location: float, scale: float) -> _Task:
    targets, noise = targets_and_noise((assay.values - location) / scale, assay.limits)
    labels = np.where(assay.is_active, 1.0, -1.0)
    both = np.empty((OUTPUTS, len(assay))), np.zeros((OUTPUTS, len(assay)))
    both[0][VALUE], both[0][LABEL], both[1][VALUE] = targets, labels, noise
    return _Task(np.array([place[n] for n in assay.items], np.int64), *both)


def _fit(
    network: TaskNetwork,
    items: Items,
    tasks: Sequence[_Task],
    settings: LearningSettings,
    progress: Progress | None,
) -> None:
    rng = np.random.default_rng(settings.seed)
    optimiser = torch.optim.AdamW(
        network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay
    )
    plan = [
        step for _ in range(settings.epochs) for step in _steps(tasks, settings, rng)
    ]
    network.train()
    with torch.random.fork_rng(devices=[]):
        # Dropout has no generator of its own; the global one is put back after this.
        torch.manual_seed(settings.seed)  # noqa: TID251
        for i, step in enumerate(plan):
            for group in optimiser.param_groups:
                group["lr"] = settings.learning_rate * _pace(i, len(plan))
            optimiser.zero_grad()
            _loss(network, items, step).backward()
            nn.utils.clip_grad_norm_(network.parameters(), LARGEST_STEP)
            optimiser.step()
            if progress and (i % 20 == 0 or i == len(plan) - 1):
                progress("learning assays", i + 1, len(plan))


def _pace(step: int, n_steps: int) -> float:
    """Return the share of the largest learning rate: a short rise, then a cosine."""
    rise = min(1.0, (step + 1) / min(WARM_UP, n_steps))
    return rise * (0.01 + 0.5 * (1.0 + math.cos(math.pi * step / n_steps)))


def _steps(
    tasks: Sequence[_Task], settings: LearningSettings, rng: np.random.Generator
) -> list[list[_Task]]:
    """Return the assays in parts of few rows, those of similar length together."""
    parts: list[_Task] = []
    for task in tasks:
        n = len(task.place)
        order, n_parts = rng.permutation(n), math.ceil(n / settings.rows)
        for j in range(min(n_parts, MOST_PARTS)):
            rows = order[j::n_parts]
            parts.append(
                _Task(task.place[rows], task.targets[:, rows], task.noise[:, rows])
            )
    rng.shuffle(parts)  # pyright: ignore[reportArgumentType]
    parts.sort(key=lambda part: len(part.place) // 8)
    size = settings.assays
    steps = [parts[i : i + size] for i in range(0, len(parts), size)]
    rng.shuffle(steps)  # pyright: ignore[reportArgumentType]
    return steps


def _loss(network: TaskNetwork, items: Items, step: Sequence[_Task]) -> Tensor:
    """Return the negative log evidence per row, mean over assays, of both outputs."""
    own = [items.take(task.place) for task in step]
    place = np.concatenate([task.place for task in step])
    encoded = network(items.take(place).counts)
    n = max(len(task.place) for task in step)
    sizes = torch.tensor([len(task.place) for task in step])
    is_row = torch.arange(n)[None] < sizes[:, None]
    like = torch.zeros(len(step), n, n)
    for i, one in enumerate(own):
        like[i, : len(one), : len(one)] = torch.from_numpy(similarity(one, one))
    features = _padded(encoded.features, is_row)
    total = torch.zeros(())
    for output in (VALUE, LABEL):
        targets = np.concatenate([task.targets[output] for task in step])
        noise = np.concatenate([task.noise[output] for task in step])
        noises = _padded(torch.from_numpy(noise).float(), is_row)
        batch = Batch(
            features,
            _padded(encoded.means[:, output], is_row),
            like,
            _padded(torch.from_numpy(targets).float(), is_row),
            noises,
            is_row & (noises < NOTHING),
        )
        evidence = condition(kinds_of(network, output), batch).log_evidence
        total = total - (torch.logsumexp(evidence, -1) / sizes).mean()
    return total


def _padded(rows: Tensor, is_row: Tensor) -> Tensor:
    empty = rows.new_zeros(*is_row.shape, *rows.shape[1:])
    return empty.masked_scatter(
        is_row.view(*is_row.shape, *[1] * (rows.dim() - 1)).expand_as(empty), rows
    )
