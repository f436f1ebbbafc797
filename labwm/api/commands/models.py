"""`labwm model show`."""

from labwm import campaign
from labwm.api.terminal import Json, lines, table, write_json
from labwm.errors import NotFoundError


def show(name: str, *, json: Json = None) -> None:
    """Show the card of the model that a campaign last used.

    Parameters
    ----------
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
