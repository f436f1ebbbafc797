"""What benches on tables known in full say of the recipes, for promotion to read.

A campaign's own past does not show whether the virtual lab ranks policies as the real
one does (`labwm bench fidelity`), nor what is lost by searching for the model's largest
errors (`labwm bench exploit`). Their results are attached to a campaign as events, one
per table, settings and recipe; the last one of each counts.
"""

from collections.abc import Mapping
from typing import Final

from pydantic import Field, ValidationError

from labwm.campaign.access import LOCAL_PERSON, require
from labwm.campaign.books import Books, books
from labwm.campaign.recipes import RECIPES
from labwm.errors import InvalidInputError
from labwm.schema import Principal, Record, Scope, sha256_of

REFERENCED: Final = "model.referenced"
GATED: Final[Mapping[str, tuple[tuple[str, int], ...]]] = {
    "labwm bench fidelity": (("pearson", 1), ("mmrv", -1), ("regret_at_1", -1)),
    "labwm bench exploit": (("collapse", -1),),
}
"""Figures that are compared: 1 where more is better, -1 where less is."""
ARM: Final = "default"
"""Of `exploit`'s arms, the one that the product ranks by."""


class ReferenceFigure(Record):
    """One figure of a bench, with its interval where it has one."""

    metric: str
    value: float
    low: float | None = None
    high: float | None = None


class Reference(Record):
    """What a bench says of a recipe on one table: the body of `model.referenced`."""

    command: str
    data: str
    data_sha256: str
    recipe: str
    run_sha256: str
    """Digest of its seeds and of every setting but the recipe."""
    figures: tuple[ReferenceFigure, ...] = Field(min_length=1)

    @property
    def place(self) -> tuple[str, str, str, str]:
        """What two recipes are compared on: one table, and one way to be measured."""
        return self.command, self.data, self.data_sha256, self.run_sha256

    def figure(self, metric: str) -> ReferenceFigure | None:
        """Return the figure of that name, if there is one."""
        return next((f for f in self.figures if f.metric == metric), None)


class _Row(Record):
    name: str
    metric: str
    at: float | str | None = None
    mean: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0
    data: str | None = None


class _Table(Record):
    command: str
    data: str
    data_sha256: str
    seeds: int
    settings: dict[str, str | int | float | bool | None] = {}
    versions: dict[str, str] = {}
    rows: tuple[_Row, ...]


def attach_reference(
    campaign_id: str, content: bytes, *, principal: Principal = LOCAL_PERSON
) -> tuple[Reference, ...]:
    """Keep the result of a bench with a campaign, for its reviews to read.

    Args:
        campaign_id: Whose recipes it is about.
        content: What `--json` of `labwm bench fidelity` or `exploit` wrote.
        principal: Who attaches it.

    Raises:
        ForbiddenError: If the principal may not decide.
        NotFoundError: If there is no such campaign.
        InvalidInputError: If it is no result of such a bench with a known recipe.
    """
    require(principal, Scope.APPROVE)
    found = _read(content)
    with books().ledger.visit(campaign_id, actor=principal.name) as w:
        for reference in found:
            w.event(REFERENCED, reference.model_dump(mode="json"))
    return found


def last_reference(store: Books, campaign_id: str) -> int:
    """Return the number of the last event that attached one; -1 if none did."""
    events = store.ledger.events(campaign_id, kind=REFERENCED)
    return events[-1].seq if events else -1


def objection(
    store: Books, campaign_id: str, champion: str, challenger: str
) -> str | None:
    """Say why the references forbid a promotion; None if they do not.

    A challenger must have been measured wherever the champion was, and must not be
    surely worse there: its whole interval on the worse side of the champion's figure.
    """
    known = {
        (reference.place, reference.recipe): reference
        for event in store.ledger.events(campaign_id, kind=REFERENCED)
        for reference in (Reference.model_validate(event.body),)
    }
    for (place, recipe), held in known.items():
        if recipe != champion:
            continue
        command, data, *_ = place
        rival = known.get((place, challenger))
        if rival is None:
            return f"{challenger} was not measured so by `{command}` on {data}"
        for metric, sign in GATED[command]:
            if _is_surely_worse(held.figure(metric), rival.figure(metric), sign):
                return f"{challenger} has the worse {metric} by `{command}` on {data}"
    return None


def _is_surely_worse(
    held: ReferenceFigure | None, rival: ReferenceFigure | None, sign: int
) -> bool:
    if held is None or rival is None:
        return held is not None  # what was measured of one is asked of the other
    best = rival.high if sign > 0 else rival.low
    best = rival.value if best is None else best
    return sign * best < sign * held.value


def _read(content: bytes) -> tuple[Reference, ...]:
    try:
        table = _Table.model_validate_json(content)
    except ValidationError as error:
        raise InvalidInputError(
            f"A reference is what a bench wrote with --json; got {error.error_count()} "
            f"errors, the first: {error.errors()[0]['msg']}. Run `labwm bench fidelity "
            "--json FILE`."
        ) from error
    if table.command not in GATED:
        raise InvalidInputError(
            f"A reference is of {' or '.join(GATED)}; got {table.command!r}. Run one "
            "of them with --json FILE."
        )
    recipe = table.settings.get("recipe")
    if recipe not in RECIPES:
        raise InvalidInputError(
            f"A reference names its recipe, one of {', '.join(RECIPES)}; got "
            f"{recipe!r}. Run the bench with --recipe."
        )
    figures = _figures(table, str(recipe))
    if not figures:
        raise InvalidInputError(
            f"A reference of {table.command!r} holds one of "
            f"{', '.join(m for m, _ in GATED[table.command])}; got none. Run the bench "
            "on a table with seeds enough."
        )
    others = {key: table.settings[key] for key in table.settings if key != "recipe"}
    run = sha256_of({"seeds": table.seeds, "settings": others})
    return tuple(
        Reference(
            command=table.command,
            data=data,
            data_sha256=table.data_sha256,
            recipe=str(recipe),
            run_sha256=run,
            figures=tuple(own),
        )
        for data, own in figures.items()
    )


def _figures(table: _Table, recipe: str) -> dict[str, list[ReferenceFigure]]:
    wanted = {metric for metric, _ in GATED[table.command]}
    found: dict[str, list[ReferenceFigure]] = {}
    for row in table.rows:
        if row.name not in {recipe, ARM} or row.metric not in wanted:
            continue
        if row.at is None and row.mean is not None:
            figure = ReferenceFigure(
                metric=row.metric, value=row.mean, low=row.low, high=row.high
            )
            found.setdefault(row.data or table.data, []).append(figure)
    return found
