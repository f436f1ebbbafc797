"""`labwm bench stopping`: is what campaigns state about stopping true?"""

from labwm.api.commands.bench_models import Tables
from labwm.api.commands.bench_parts import cell, material, progress_bar, teller
from labwm.api.terminal import Json, out, refuse_unwritable, table, write_json


def stopping(
    *,
    data: Tables,
    batch: int = 2,
    budget: int = 40,
    seeds: int = 10,
    json: Json = None,
) -> None:
    """When a campaign says that little is left to gain, is it so?

    Args:
        batch: Experiments per round.
        budget: Experiments per campaign.
        seeds: Campaigns on each table.
    """
    refuse_unwritable(json)
    named = [one.partition("@") for one in data]
    tables = [(name, *material(name, own or None)) for name, _, own in named]
    from labwm.evaluation.backtest import Plan
    from labwm.evaluation.stopping_bench import StoppingSettings, bench_stopping

    wanted = StoppingSettings(Plan(batch, budget), seeds)
    with progress_bar() as shown:
        found = bench_stopping(tables, wanted, progress=teller(shown))
    write_json(json, found.to_json())
    places = dict.fromkeys(row.at for row in found.rows if row.name == "rounds")
    table(
        *("stated probability", "rounds", "stated", "had a gain left"),
        title="probability of a gain worth speaking of, round by round",
        rows=[
            (
                str(at),
                str(row.n if (row := found.get("rounds", "realised", at)) else 0),
                cell(found.get("rounds", "stated", at)),
                cell(row),
            )
            for at in places
        ],
    )
    figures = ("stopped", "realised", "experiments_saved", "regret_at_stop")
    table(
        *("campaigns", "figure"),
        title=f"stopped at the first round that states 5 % or less: "
        f"{found.settings['n_campaigns']} campaigns",
        rows=[
            (one.replace("_", " "), cell(found.get("campaigns", one)))
            for one in figures
        ],
    )
    out.print(f"data sha256 {found.data_sha256}", markup=False)
