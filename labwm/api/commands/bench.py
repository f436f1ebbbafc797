"""`labwm bench screen|env`: policies on a pool, and practice environments."""

from labwm.api.commands.bench_parts import (
    Policies,
    cell,
    material,
    progress_bar,
    teller,
)
from labwm.api.terminal import Json, out, refuse_unwritable, side, table, write_json


def screen(  # noqa: PLR0913 one argument per flag
    *,
    data: str,
    protocol: str | None = None,
    policy: Policies = ["greedy", "random"],  # noqa: B006 only read
    share: float = 0.01,
    batches: int = 6,
    top: int = 100,
    seeds: int = 3,
    jobs: int = 1,
    json: Json = None,
) -> None:
    """Back-test the screening of a pool whose scores are known.

    Args:
        data: Catalogue name or table.
        protocol: Name or file; the catalogue's protocol of the data when not given.
        share: Of the pool, measured first and in each batch.
        batches: The first included.
        top: Best molecules to find.
        seeds: Campaigns per policy, each on shuffled rows.
        jobs: Processes.
    """
    refuse_unwritable(json)
    rules, measurements = material(data, protocol)
    from labwm.evaluation.screen_bench import ScreenSettings, bench_screen

    wanted = ScreenSettings(tuple(policy), share, batches, top, seeds, jobs)
    with progress_bar() as shown:
        found = bench_screen(
            rules, measurements, wanted, data=data, progress=teller(shown)
        )
    write_json(json, found.to_json())
    by_place = {(row.name, row.metric, row.at): row for row in found.rows}
    names = list(dict.fromkeys(row.name for row in found.rows))
    ends = [r.at for r in found.rows if (r.name, r.metric) == (names[0], "topk_recall")]
    for metric in ("topk_recall", "topk_recall_by_row"):
        table(
            *("policy", *(f"at {at:.1%}" for at in ends if isinstance(at, float))),
            title=f"{metric}, best {top}: mean [95 % interval] over {seeds} seeds",
            rows=[
                (name, *(cell(by_place.get((name, metric, at))) for at in ends))
                for name in names
            ],
        )
    singles = ("seconds", "candidates_per_second", "peak_mb")
    table(
        *("policy", *singles),
        rows=[
            (name, *(cell(by_place.get((name, one, None))) for one in singles))
            for name in names
        ],
    )
    out.print(f"data sha256 {found.data_sha256}", markup=False)


def env(
    *,
    data: str | None = None,
    protocol: str | None = None,
    rows: int = 500,
    envs: int = 1024,
    budget: int = 48,
    json: Json = None,
) -> None:
    """Time the practice environments: steps per second, resets included.

    Args:
        data: Catalogue name or table; the dyes that ship when not given.
        protocol: Name or file; the catalogue's protocol of the data when not given.
        rows: Rows that the model learns from.
        envs: Environments side by side.
        budget: Experiments of an episode.
    """
    refuse_unwritable(json)
    if data is None:
        from labwm.settings import shipped

        data, protocol = str(shipped("assay_data/xtb_dyes/table.csv")), "xtb_dyes"
    rules, measurements = material(data, protocol)
    from labwm.evaluation.env_speed import measure_env_speed, practice_task

    side.print("learning …", markup=False)
    task = practice_task(rules, measurements, budget=budget, n_learnt=rows)
    found = measure_env_speed(task, num_envs=envs)
    write_json(json, found.to_json())
    table(
        *("what", "figure"),
        title=f"{found.num_envs} environments, a model of {found.n_rows} rows, a pool "
        f"of {found.n_candidates}, {found.n_objectives} objectives",
        rows=[
            ("steps per second, batched", f"{found.steps_per_s:,.0f}"),
            ("steps per second, one by one", f"{found.single_steps_per_s:,.0f}"),
            ("batched over one by one", f"{found.gain:.0f}"),
            ("1,024^3 fp32 products per second", f"{found.products_per_s:.1f}"),
            ("steps per product", f"{found.steps_per_s / found.products_per_s:,.0f}"),
            ("seconds to prepare the pool, once", f"{found.prepare_s:.1f}"),
        ],
    )
