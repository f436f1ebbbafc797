"""`labwm model list|show|promote|rollback|reference`."""

from pathlib import Path

from labwm import campaign
from labwm.api.access import this_person
from labwm.api.terminal import Json, lines, out, table, write_json
from labwm.errors import InvalidInputError, NotFoundError


def list_all(name: str | None = None, *, json: Json = None) -> None:
    """List which recipe each campaign's model is fitted by, since when, and why.

    Args:
        name: Name of one campaign; all of them when not given.
    """
    names = [name] if name else [c.campaign_id for c in campaign.list_campaigns()]
    found = [one for each in names for one in campaign.champions(each)]
    write_json(json, found)
    table(
        *("campaign", "use", "recipe", "since", "by", "why"),
        rows=[
            (one.campaign_id, one.use, one.recipe, _since(one), one.by, one.why)
            for one in found
        ],
    )


def promote(
    name: str,
    recipe: str,
    *,
    use: campaign.Use = "predict",
    note: str = "",
    json: Json = None,
) -> None:
    """Let a recipe hold for a campaign, as the holder of LABWM_KEY or this person.

    Args:
        name: Name of the campaign.
        recipe: Recipe that holds from now on.
        use: predict: what agents are told; choose: what policies choose by.
        note: Kept with the decision.
    """
    held = campaign.promote(name, recipe, use=use, note=note, principal=this_person())
    write_json(json, held)
    _say(held)


def rollback(
    name: str, *, use: campaign.Use = "predict", note: str = "", json: Json = None
) -> None:
    """Let the recipe before the last promotion hold again.

    Args:
        name: Name of the campaign.
        use: predict: what agents are told; choose: what policies choose by.
        note: Kept with the decision.
    """
    held = campaign.roll_back(name, use=use, note=note, principal=this_person())
    write_json(json, held)
    _say(held)


def reference(name: str, *files: Path, json: Json = None) -> None:
    """Keep what a bench on a reference table says of a recipe; reviews read it.

    Args:
        name: Name of the campaign.
        files: What --json of `labwm bench fidelity` or `exploit` wrote.
    """
    if not files:
        raise InvalidInputError(
            "A reference is read from a file; got none. Name what `labwm bench "
            "fidelity --json FILE` wrote."
        )
    person = this_person()
    kept = [
        one
        for content in [_content(path) for path in files]
        for one in campaign.attach_reference(name, content, principal=person)
    ]
    write_json(json, kept)
    for one in kept:
        shown = ", ".join(f"{f.metric} {f.value:.3g}" for f in one.figures)
        out.print(f"{one.recipe}, {one.command} on {one.data}: {shown}", markup=False)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise NotFoundError(
            f"A reference is read from a file; {path} cannot be read "
            f"({error.strerror}). Check the path."
        ) from error


def _say(held: campaign.Champion) -> None:
    out.print(
        f"{held.recipe} holds for {held.use!r} of {held.campaign_id}; by {held.by}.",
        markup=False,
    )


def _since(one: campaign.Champion) -> str:
    return f"{one.since:%Y-%m-%d %H:%M} UTC" if one.since else "the opening"


def show(name: str, *, json: Json = None) -> None:
    """Show the card of the model that a campaign last used.

    Args:
        name: Name of the campaign.
    """
    card = campaign.status(name).model
    if card is None:
        raise NotFoundError(
            f"A model is learnt from measurements; {name!r} has used none yet. Go on "
            f"with `labwm campaign advance {name}`."
        )
    write_json(json, card)
    lines(
        [
            f"{card.recipe}, labwm {card.labwm_version}",
            f"learnt from {card.n_rows} measurements and {card.n_failed} failures of "
            f"{card.protocol_name} version {card.protocol_version}",
            *(f"{readout}: {text}" for readout, text in card.structure.items()),
            *card.notes,
        ]
    )
    table(
        *("readout", "metric", "value", "low", "high", "n", "how"),
        rows=[
            (m.readout, m.name, m.value, m.low, m.high, m.n, m.how)
            for m in card.metrics
        ],
    )
