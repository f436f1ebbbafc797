"""Which recipe a campaign's models are fitted by, and who changed that.

A model has two uses (decision 7). `predict`: what agents and screening are told; here
the better forecast wins, and a review may promote by itself. `choose`: what policies
choose by; a campaign's own past does not show which recipe would have found more, so
only a person changes it. Each change is an event; what holds now is folded from these.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, Literal

from pydantic import AwareDatetime

from labwm.campaign.access import LOCAL_PERSON, require
from labwm.campaign.books import Books, books
from labwm.errors import ConflictError, NotFoundError, suggest
from labwm.schema import Principal, Record, Scope
from labwm.store import EventView, Writer

Use = Literal["predict", "choose"]
USES: Final[tuple[Use, ...]] = ("predict", "choose")
FIRST: Final[Mapping[Use, str]] = {"predict": "default", "choose": "explore"}
"""Recipes of a new campaign."""
RECIPES: Final = ("default", "explore")
"""Recipes that `world_model.fit` knows; naming them here loads no torch."""
PROMOTED: Final = "model.promoted"
ROLLED_BACK: Final = "model.rolled_back"


class RecipeChange(Record):
    """A change of recipe: the body of `model.promoted` and `model.rolled_back`."""

    use: Use
    recipe: str
    """What holds from now on."""
    previous: str
    by: str
    why: str


class Champion(Record):
    """The recipe of one use of a campaign's model, and since when."""

    campaign_id: str
    use: Use
    recipe: str
    since: AwareDatetime | None
    """None from the opening on."""
    by: str
    why: str


def champions(campaign_id: str) -> tuple[Champion, ...]:
    """Return the recipe of each use, with the change that made it hold.

    Raises:
        NotFoundError: If there is no such campaign.
    """
    store = books()
    store.ledger.campaign(campaign_id)
    changes = _stored_changes(store, campaign_id)
    return tuple(_champion(campaign_id, use, changes) for use in USES)


def recipes_of(store: Books, campaign_id: str) -> dict[Use, str]:
    """Return the recipe of each use."""
    changes = _stored_changes(store, campaign_id)
    return {use: _held(use, changes)[-1] for use in USES}


def promote(
    campaign_id: str,
    recipe: str,
    *,
    use: Use = "predict",
    note: str = "",
    principal: Principal = LOCAL_PERSON,
) -> Champion:
    """Let a recipe hold for one use, as a person's act.

    Raises:
        ForbiddenError: If the principal may not decide.
        NotFoundError: If there is no such campaign or recipe.
        ConflictError: If the recipe holds already.
    """
    require(principal, Scope.APPROVE)
    _refuse_unknown(recipe)
    store = books()
    with store.ledger.visit(campaign_id, actor=principal.name) as w:
        held = _held(use, _changes(_events(w)))
        if held[-1] == recipe:
            raise ConflictError(
                f"A promotion changes the recipe; {recipe} holds for {use!r} of "
                f"{campaign_id!r} already. Look with `labwm model list {campaign_id}`."
            )
        record_change(
            w, PROMOTED, use, (held[-1], recipe), principal.name, note or "by hand"
        )
    return _champion(campaign_id, use, _stored_changes(store, campaign_id))


def roll_back(
    campaign_id: str,
    *,
    use: Use = "predict",
    note: str = "",
    principal: Principal = LOCAL_PERSON,
) -> Champion:
    """Let the recipe before the last promotion hold again, as a person's act.

    Raises:
        ForbiddenError: If the principal may not decide.
        NotFoundError: If there is no such campaign.
        ConflictError: If nothing was promoted, or all of it was rolled back.
    """
    require(principal, Scope.APPROVE)
    store = books()
    with store.ledger.visit(campaign_id, actor=principal.name) as w:
        held = _held(use, _changes(_events(w)))
        if len(held) == 1:
            raise ConflictError(
                f"A rollback undoes a promotion; {held[0]} holds for {use!r} of "
                f"{campaign_id!r} since it was opened. There is nothing to undo."
            )
        pair = (held[-1], held[-2])
        record_change(w, ROLLED_BACK, use, pair, principal.name, note or "by hand")
    return _champion(campaign_id, use, _stored_changes(store, campaign_id))


def record_change(
    w: Writer, kind: str, use: Use, pair: tuple[str, str], by: str, why: str
) -> None:
    """Append a change from the first recipe of a pair to the second."""
    previous, recipe = pair
    change = RecipeChange(use=use, recipe=recipe, previous=previous, by=by, why=why)
    w.event(kind, change.model_dump(mode="json"))


def holds(w: Writer, use: Use) -> str:
    """Return the recipe of one use, as a transaction sees it."""
    return _held(use, _changes(_events(w)))[-1]


def last_change(store: Books, campaign_id: str) -> int:
    """Return the number of the last event that changed a recipe; -1 if none did."""
    changes = _stored_changes(store, campaign_id)
    return changes[-1][0].seq if changes else -1


def was_taken_back(store: Books, campaign_id: str, use: Use, recipe: str) -> bool:
    """Did a person roll back from this recipe, and nobody promote it since?"""
    for _, kind, change in reversed(_stored_changes(store, campaign_id)):
        if change.use != use:
            continue
        if kind == ROLLED_BACK and change.previous == recipe:
            return True
        if kind == PROMOTED and change.recipe == recipe:
            return False
    return False


_Change = tuple[EventView, str, RecipeChange]


def _events(w: Writer) -> tuple[EventView, ...]:
    return w.events(PROMOTED) + w.events(ROLLED_BACK)


def _stored_changes(store: Books, campaign_id: str) -> list[_Change]:
    return _changes(store.ledger.events(campaign_id, kind=(PROMOTED, ROLLED_BACK)))


def _changes(events: Sequence[EventView]) -> list[_Change]:
    found = [e for e in events if e.kind in {PROMOTED, ROLLED_BACK}]
    found.sort(key=lambda event: event.seq)
    return [(e, e.kind, RecipeChange.model_validate(e.body)) for e in found]


def _held(use: Use, changes: Sequence[_Change]) -> list[str]:
    """Return the recipes that hold one above the other; the last is the champion."""
    held = [FIRST[use]]
    for _, kind, change in changes:
        if change.use == use:
            held = held[:-1] if kind == ROLLED_BACK else [*held, change.recipe]
    return held


def _champion(campaign_id: str, use: Use, changes: Sequence[_Change]) -> Champion:
    own = [one for one in changes if one[2].use == use]
    recipe = _held(use, changes)[-1]
    if not own:
        why = "a new campaign begins so"
        return Champion(
            campaign_id=campaign_id, use=use, recipe=recipe, since=None, by="-", why=why
        )
    event, _, change = own[-1]
    return Champion(
        campaign_id=campaign_id,
        use=use,
        recipe=recipe,
        since=datetime.fromisoformat(event.at),
        by=change.by,
        why=change.why,
    )


def _refuse_unknown(recipe: str) -> None:
    if recipe not in RECIPES:
        raise NotFoundError(
            f"A recipe is one of {', '.join(RECIPES)}; got {recipe!r}. "
            f"{suggest(recipe, RECIPES)}"
        )
