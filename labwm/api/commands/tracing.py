"""`labwm trace`: where a thing comes from, and what rests on it."""

import re
from typing import Final

from rich.markup import escape
from rich.tree import Tree

from labwm import campaign as use_cases
from labwm.api.terminal import Json, out, record, refuse_unwritable, write_json
from labwm.schema import TraceNode, TraceRequest

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


def trace(
    name: str,
    *,
    campaign: str | None = None,
    limit: int | None = None,
    json: Json = None,
) -> None:
    """Say where something comes from, down to raw bytes, and what rests on it.

    Args:
        name: Prediction, proposal, job, JOB/WELL, or the digest of a result, a model or
            raw bytes; of a digest the first 8 letters do.
        campaign: Where equal names stand in several campaigns.
        limit: Most parts of one thing that are listed; 20 when not given.
    """
    refuse_unwritable(json)
    fields = {"id": name, "campaign_id": campaign, "limit": limit}
    found = use_cases.trace(record(TraceRequest, fields))
    write_json(json, found)
    out.print(f"{found.kind} {found.id} of {found.campaign_id}\n", markup=False)
    out.print(_tree("rests on", found.rests_on))
    if found.reached:
        reached = Tree("reached")
        for node in found.reached:
            _grow(reached, node)
        out.print(reached)


def _tree(title: str, node: TraceNode) -> Tree:
    tree = Tree(title)
    _grow(tree, node)
    return tree


def _grow(tree: Tree, node: TraceNode) -> None:
    said = ", ".join(
        f"{name} {_short(value)}"
        for name, value in node.says.items()
        if value is not None
    )
    head = f"[bold]{escape(node.kind)}[/bold] {escape(node.id)}"
    branch = tree.add(f"{head}\n[dim]{escape(said)}[/dim]" if said else head)
    for part in node.parts:
        _grow(branch, part)
    if node.n_more:
        branch.add(f"… {node.n_more} more: --limit, or --json FILE")


def _short(value: object) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text[:12] if _DIGEST.fullmatch(text) else text
