"""Map a screen over the blocks of a pool: kept on disk, resumable, in any order."""

import json
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict
from pathlib import Path

from labwm.data.pools import PoolBlock
from labwm.design.screen import (
    NOTHING,
    BlockResult,
    Kept,
    Screen,
    ShortList,
    merge,
    screen_block,
    short_list,
)

Progress = Callable[[int], None]
"""Called with the rows that were read so far."""

Spread = Callable[[Screen, Iterable[PoolBlock], Path], Iterator[BlockResult]]
"""Calls `kept_or_screened` on each block elsewhere; results in any order."""


def run_screen(
    screen: Screen,
    blocks: Iterable[PoolBlock],
    folder: Path,
    *,
    jobs: int = 1,
    progress: Progress | None = None,
    spread: Spread | None = None,
) -> ShortList:
    """Screen every block and choose the short-list; go on where an earlier run stopped.

    Each block leaves `block-N.json` with what passed and `block-N.csv` with the code of
    each row. A block whose file is there is not computed again: name a folder of one
    pool, model and settings only. Memory holds `jobs + 1` blocks.

    Args:
        screen: What blocks are held against.
        blocks: Of the pool, in any order.
        folder: Of the blocks' files; made where it is absent.
        jobs: Threads.
        progress: Told after each block.
        spread: Screens blocks elsewhere; `jobs` threads of this process when None.

    Raises:
        ExhaustedError: If no molecule passed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    merged = NOTHING
    results = (
        _results(screen, blocks, folder, jobs)
        if spread is None
        else spread(screen, blocks, folder)
    )
    for result in results:
        merged = merge(merged, result, screen.n_kept)
        if progress:
            progress(merged.n_read)
    return short_list(screen, merged)


def _results(
    screen: Screen, blocks: Iterable[PoolBlock], folder: Path, jobs: int
) -> Iterator[BlockResult]:
    if jobs == 1:
        for block in blocks:
            yield kept_or_screened(screen, block, folder)
        return
    waiting: set[Future[BlockResult]] = set()
    with ThreadPoolExecutor(jobs) as pool:
        for block in blocks:
            waiting.add(pool.submit(kept_or_screened, screen, block, folder))
            if len(waiting) > jobs:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                yield from (one.result() for one in done)
        yield from (one.result() for one in waiting)


def kept_or_screened(screen: Screen, block: PoolBlock, folder: Path) -> BlockResult:
    """Return what is left of a block, from its file where an earlier run left one."""
    path = folder / f"block-{block.index:06d}.json"
    if path.is_file():
        return _read(path)
    result = screen_block(screen, block)
    _write(folder / f"block-{block.index:06d}.csv", _table(block, result))
    # Last: where it stands, the block is done.
    _write(path, _content(result))
    return result


def _table(block: PoolBlock, result: BlockResult) -> str:
    rows = zip(block.smiles, result.verdicts, strict=True)
    lines = [f"{block.first + i},{code}" for i, (_, code) in enumerate(rows)]
    return "\n".join(["row,code", *lines, ""])


def _content(result: BlockResult) -> str:
    left_out = result.best_left_out
    return json.dumps(
        {
            "n_read": result.n_read,
            "counts": dict(result.counts),
            "best_left_out": None if left_out == float("-inf") else left_out,
            "kept": [asdict(one) for one in result.kept],
        }
    )


def _read(path: Path) -> BlockResult:
    content = json.loads(path.read_text(encoding="utf-8"))
    left_out = content["best_left_out"]
    return BlockResult(
        content["n_read"],
        content["counts"],
        tuple(Kept(**one) for one in content["kept"]),
        float("-inf") if left_out is None else left_out,
    )


def _write(path: Path, text: str) -> None:
    temporary = path.with_suffix(f"{path.suffix}.{os.getpid()}.tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
