"""`labwm bench core`: how fast the default model's core is."""

from typing import Annotated

from cyclopts import Parameter

from labwm.api.commands.bench import material
from labwm.api.terminal import Json, refuse_unwritable, side, table, write_json

Sizes = Annotated[
    list[int],
    Parameter(name="--size", negative=(), help="Rows to learn from; repeatable."),
]


def core(
    *,
    data: str = "enamine10k_4unn",
    protocol: str | None = None,
    size: Sizes = [1000, 2000],  # noqa: B006 cyclopts reads it
    peer: bool = True,
    json: Json = None,
) -> None:
    """Time features, similarities, fits and posteriors beside matrix products.

    Args:
        data: Catalogue name or table, of molecules.
        protocol: Name or file; the catalogue's protocol of the data when not given.
        peer: Time BoTorch's path too.
    """
    refuse_unwritable(json)
    rules, measurements = material(data, protocol)
    from labwm.evaluation.core_speed import bench_core, peer_figures
    from labwm.evaluation.lookup import lookup_from
    from labwm.schema import canonical_json

    lookup = lookup_from(rules, measurements)
    found = bench_core(
        lookup, size, lambda what: side.print(f"timing {what}", markup=False)
    )
    if peer:
        found += peer_figures(lookup)
    rows = [
        (
            one.what,
            f"{one.value:.4g} {one.unit}",
            "–" if one.limit is None else f"{one.limit:.4g}",
            "–" if one.share is None else f"{one.share:.0%}",
            "–" if one.peer is None else f"{one.peer:.4g}",
            one.note,
        )
        for one in found
    ]
    write_json(
        json,
        canonical_json(
            {
                "command": "labwm bench core",
                "data": data,
                "figures": [{**vars(one), "share": one.share} for one in found],
            }
        ),
    )
    table(
        "what", "measured", "limit", "of it", "peer", "note",
        title="one thread, processor time; limits are matrix products of this run",
        rows=rows,
    )  # fmt: skip
