"""Screen a pool of molecules with what a campaign or a table has taught."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from labwm import settings
from labwm.campaign.books import books
from labwm.campaign.recipes import FIRST
from labwm.campaign.situation import read_situation
from labwm.errors import InvalidInputError
from labwm.schema import Protocol
from labwm.schema.record import sha256_of
from labwm.schema.screening import ScreenAnswer, ScreenedMolecule, ScreenRequest
from labwm.space.questions import (
    Observations,
    Questions,
    observations_from,
    questions_from,
)

if TYPE_CHECKING:
    from labwm.data.pools import PoolBlock
    from labwm.design.screen import BlockResult, Screen
    from labwm.design.screen_run import Spread

Progress = Callable[[int, int], None]
"""Called with the rows read and the rows of the pool."""


@dataclass(frozen=True)
class ScreenPart:
    """One block of a screen, with all that a worker needs to know."""

    screen: "Screen"
    block: "PoolBlock"
    folder: Path


SpreadParts = Callable[[Iterator[ScreenPart]], "Iterator[BlockResult]"]
"""Calls `work_part` on each part elsewhere; results in any order."""


def work_part(part: ScreenPart) -> "BlockResult":
    """Screen one block, unless an earlier run left its file."""
    from labwm.design.screen_run import kept_or_screened

    return kept_or_screened(part.screen, part.block, part.folder)


@dataclass(frozen=True)
class _Known:
    protocol: Protocol
    observed: Observations
    pending: Questions
    recipe: str


def screen_pool(
    request: ScreenRequest,
    *,
    folder: Path | None = None,
    jobs: int = 1,
    progress: Progress | None = None,
    spread: SpreadParts | None = None,
) -> ScreenAnswer:
    """Return a short-list of a pool; the same request goes on where it stopped.

    Args:
        request: Pool, source of measurements and rules.
        folder: Of the blocks' codes; by default in the cache, named by pool, data,
            model and rules.
        jobs: Threads.
        progress: Told after each block.
        spread: Works on parts elsewhere; `jobs` threads of this process when None.

    Raises:
        NotFoundError: If there is no such pool, campaign, table or protocol.
        TableError: If the pool cannot be read.
        InvalidInputError: If the protocol chooses more than a molecule.
        NotEnoughDataError: If there are too few measurements for a model.
        ExhaustedError: If no molecule passed.
    """
    from labwm.data.pools import count_rows, pool_sha256, read_pool
    from labwm.design.screen_run import run_screen

    path = Path(request.pool)
    blocks = read_pool(path, column=request.column)
    screen = _screen(request, _known(request))
    n_rows, sha256 = count_rows(path, column=request.column), pool_sha256(path)
    where = folder or _folder(request, screen, sha256)
    found = run_screen(
        screen,
        blocks,
        where,
        jobs=jobs,
        progress=None if progress is None else lambda n: progress(n, n_rows),
        spread=None if spread is None else _in_parts(spread),
    )
    return ScreenAnswer(
        request=request,
        pool_sha256=sha256,
        folder=str(where),
        listed=tuple(
            ScreenedMolecule(
                smiles=one.smiles,
                label=one.label,
                row=one.row,
                expected_gain=one.expected_gain,
                reason=one.reason,
            )
            for one in found.listed
        ),
        n_read=found.n_read,
        counts=dict(found.counts),
        is_exact=found.is_exact,
        model=screen.model.card,
    )


def _in_parts(spread: SpreadParts) -> "Spread":
    def spread_blocks(
        screen: "Screen", blocks: "Iterable[PoolBlock]", folder: Path
    ) -> "Iterator[BlockResult]":
        return spread(_parts(screen, blocks, folder))

    return spread_blocks


def _parts(
    screen: "Screen", blocks: "Iterable[PoolBlock]", folder: Path
) -> Iterator[ScreenPart]:
    for block in blocks:
        yield ScreenPart(screen, block, folder)


def _known(request: ScreenRequest) -> _Known:
    if request.campaign_id is not None:
        situation = read_situation(books(), request.campaign_id)
        pending = questions_from(situation.protocol, situation.avoided)
        recipe = situation.recipes["choose"]
        return _Known(situation.protocol, situation.observed, pending, recipe)
    from labwm.data.assay import read_assay
    from labwm.data.protocols import load_protocol

    if request.data is None or request.protocol is None:
        raise InvalidInputError(
            "A table is read by a protocol; the request names none. Set `protocol`."
        )
    protocol = load_protocol(request.protocol)
    assay = read_assay(request.data, protocol)
    observed = observations_from(protocol, assay.measurements)
    nothing_pending = questions_from(protocol, [])
    return _Known(protocol, observed, nothing_pending, FIRST["choose"])


def _screen(request: ScreenRequest, known: _Known) -> "Screen":
    from labwm.chem.filters import Filters
    from labwm.design.screen import Screen, parameter_of
    from labwm.design.state import State
    from labwm.world_model import fit

    windows = {one.property: (one.low, one.high) for one in request.windows}
    filters = Filters(windows, refuses_alerts=request.alerts == "refuse")
    state = State(
        protocol=known.protocol,
        pool=questions_from(known.protocol, []),
        pool_sha256="0" * 64,
        observed=known.observed,
        pending=known.pending,
        n_left=request.n,
        n_initial=0,
        round=0,
        seed=request.seed,
        recipe=known.recipe,
    )
    parameter_of(state)
    model = fit(known.observed, known.protocol, recipe=known.recipe, seed=request.seed)
    return Screen(state, model, filters, request.min_support, request.n)


def _folder(request: ScreenRequest, screen: "Screen", pool_sha256: str) -> Path:
    """Return the folder of one screen: another pool, model or rule has another."""
    rules = request.model_dump(mode="json", exclude={"pool"})
    decided_by = [pool_sha256, screen.model.card.digest(), rules]
    return settings.cache_folder() / "screens" / sha256_of(decided_by)[:24]
