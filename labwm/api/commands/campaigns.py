"""`labwm campaign start|advance|status|list|report`."""

import re
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from labwm import campaign, settings
from labwm.api.terminal import (
    Json,
    hint,
    lines,
    out,
    record,
    refuse_unwritable,
    side,
    table,
    write_json,
)
from labwm.schema import CampaignSpec, CampaignStatus, Step, WaitsFor
from labwm.schema.record import Scalar

NoWait = Annotated[
    bool, Parameter(negative=(), help="Open the campaign and return at once.")
]


def start(  # noqa: PLR0913 one argument per flag
    protocol: str,
    *,
    name: str | None = None,
    data: str | None = None,
    lab: str | None = None,
    budget: int | None = None,
    batch_size: int | None = None,
    policy: str | None = None,
    seed: int | None = None,
    no_wait: NoWait = False,
    json: Json = None,
) -> int:
    """Open a campaign and run it until it waits or is done.

    The same command again goes on with the same campaign.

    Args:
        protocol: Name of a shipped protocol, or a protocol file.
        name: Name of the campaign; the protocol's name when not given.
        data: Catalogue name or table that replay plays or virtual learns; the
            catalogue's set of the protocol's name when not given.
        lab: protocol, virtual, replay, xtb, folder or http.
        budget: Experiments to measure in all.
        batch_size: Experiments per round; the protocol's when not given.
        policy: Policy that proposes.
        seed: Random seed.
    """
    refuse_unwritable(json)
    fields = {
        "name": name or campaign_name(protocol),
        "protocol": protocol,
        "data": data or data_of(protocol, lab),
        "lab": lab,
        "budget": budget,
        "batch_size": batch_size,
        "policy": policy,
        "seed": seed,
    }
    campaign_id = campaign.open_campaign(record(CampaignSpec, fields))
    if no_wait:
        out.print(f"{campaign_id} is open.", markup=False)
        hint(f"labwm campaign advance {campaign_id}", "run it until it waits")
        return 0
    return _advance(campaign_id, json)


def advance(name: str, *, json: Json = None) -> int:
    """Move a campaign on until it waits or is done.

    Args:
        name: Name of the campaign.
    """
    refuse_unwritable(json)
    return _advance(name, json)


def status(name: str, *, json: Json = None) -> None:
    """Say how a campaign stands.

    Args:
        name: Name of the campaign.
    """
    found = campaign.status(name)
    write_json(json, found)
    _show(found)


def list_all(*, json: Json = None) -> None:
    """List all campaigns, the latest first."""
    found = campaign.list_campaigns()
    write_json(json, found)
    table(
        *("campaign", "protocol", "lab", "state", "waits for", "round"),
        *("measured", "failed", "budget"),
        rows=[
            (
                *(c.campaign_id, c.protocol, c.lab, c.state, c.waits_for, c.round),
                *(c.n_measured, c.n_failed, c.budget),
            )
            for c in found
        ],
    )


def report(name: str, *, folder: Path | None = None, json: Json = None) -> None:
    """Write the report of a campaign: figures, drawings and one page.

    Args:
        name: Name of the campaign.
        folder: Where to write; by default where the campaign's page shows it.
    """
    refuse_unwritable(json)
    made = campaign.report(name, folder or settings.home() / "reports" / name)
    write_json(json, made)
    lines(made.headline)
    out.print(f"Report: {made.page}", markup=False)


def campaign_name(protocol: str) -> str:
    """Return the name that a campaign on a protocol has when none is given.

    >>> campaign_name("protocols/xtb_dyes.yaml")
    'xtb-dyes'
    """
    return re.sub(r"[^a-z0-9]+", "-", Path(protocol).stem.lower()).strip("-")[:40]


def data_of(protocol: str, lab: str | None) -> str | None:
    """Return the catalogue's set of a protocol's name, for a lab that needs a table."""
    from labwm.data.catalogue import catalogue
    from labwm.data.protocols import load_protocol

    rules = load_protocol(protocol)
    adapter = lab if lab not in {None, "protocol"} else rules.lab.adapter
    entry = catalogue().get(rules.name) if adapter in {"replay", "virtual"} else None
    return entry.name if entry and entry.reader == "table" else None


def _advance(campaign_id: str, json: Path | None) -> int:
    try:
        step = _run(campaign_id)
    except KeyboardInterrupt:
        side.print("\nStopped; nothing is lost. What to type next:", markup=False)
        hint(f"labwm campaign advance {campaign_id}", "go on from here")
        return 130
    found = campaign.status(campaign_id)
    write_json(json, found)
    _show(found)
    _say_next(step)
    return 0


def _run(campaign_id: str) -> Step:
    now = campaign.status(campaign_id).summary
    shown = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("measured"),
        console=side,
        transient=True,
    )
    with shown as progress:
        bar = progress.add_task(campaign_id, total=now.budget, completed=now.n_measured)

        def tell(text: str) -> None:
            progress.update(bar, description=f"{campaign_id}: {text}"[:70])

        while True:
            step = campaign.advance(campaign_id, progress=tell)
            progress.console.print(step.did, markup=False)
            progress.update(bar, completed=step.n_measured)
            if not step.is_moving:
                return step


def _show(found: CampaignStatus) -> None:
    row = found.summary
    out.print(
        f"{row.campaign_id}: {row.title}\n"
        f"{row.protocol} on the lab {row.lab}: {row.waits_for.value}, round "
        f"{row.round}, {row.n_measured} of {row.budget} measured, {row.n_failed} "
        f"failed, {row.n_pending} pending",
        markup=False,
    )
    if found.best:
        table(
            *("readout", "goal", "best", "unit", "conditions"),
            rows=[
                (b.readout, b.goal, b.value, b.unit, conditions_line(b.conditions))
                for b in found.best
            ],
        )
    if found.calibration:
        table(
            *("predicted before", "scored", "inside 90 %", "coverage", "95 % interval"),
            rows=[
                (
                    *(c.readout, c.n, c.n_inside_90, f"{c.coverage_90:.2f}"),
                    f"{c.low:.2f} to {c.high:.2f}",
                )
                for c in found.calibration
            ],
        )
    if found.frozen:
        out.print(f"Frozen until a person looks: {found.frozen}.", markup=False)
    if found.outlook:
        out.print(f"Before the last round: {found.outlook.text()}", markup=False)
    out.print(f"Page: {found.link}", markup=False)


def conditions_line(conditions: dict[str, Scalar]) -> str:
    """Return conditions on one line."""
    shown = [
        f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in conditions.items()
    ]
    return ", ".join(shown)


def _say_next(step: Step) -> None:
    name = step.campaign_id
    side.print("What to type next:", markup=False)
    if step.waits_for is WaitsFor.APPROVAL:
        hint(f"labwm campaign approve {name}", "look at the batch and decide")
    elif step.waits_for is WaitsFor.PERSON and campaign.status(name).frozen:
        hint(f"labwm campaign unfreeze {name} --note WHY", "when you know why")
    elif step.waits_for is WaitsFor.DONE:
        hint(f"labwm campaign report {name}", "figures and one page")
    else:
        hint(f"labwm campaign advance {name}", "when what it waits for is there")
