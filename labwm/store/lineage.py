"""What models were fitted to, and what was said or chosen by them.

Both follow a result to everything that it reached: a model rests on what counted right
after one event, and predictions and proposals name their model.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from sqlalchemy import Connection, insert, select

from labwm.schema import ModelCard, Proposal, StoredPrediction
from labwm.store.chain import BLOCK, Author
from labwm.store.content import (
    MODEL_CARDS,
    TRAININGS,
    Columns,
    Training,
    append_new,
)
from labwm.store.tables import model_uses, trainings

PREDICTION: Final = "prediction"
PROPOSAL: Final = "proposal"


def add_model_card(
    connection: Connection, author: Author, card: ModelCard, as_of: int | None
) -> str:
    """Append a model card, with what the model was fitted to; return its digest.

    A card that is stored keeps its first training: the data are the same by its digest.
    """
    append_new(connection, author, MODEL_CARDS, [card])
    name = card.digest()
    known = select(trainings.c.as_of).where(
        trainings.c.campaign_id == author.campaign_id, trainings.c.model_id == name
    )
    if as_of is not None and connection.execute(known).first() is None:
        training = Training(model_id=name, as_of=as_of)
        append_new(connection, author, TRAININGS, [training])
    return name


def add_uses(
    connection: Connection,
    campaign_id: str,
    records: Sequence[StoredPrediction] | Sequence[Proposal],
    fresh: Iterable[Columns],
) -> None:
    """Store which model each new prediction or proposal names."""
    new = {row["id"] for row in fresh}
    rows = use_rows(campaign_id, [one for one in records if one.id in new])
    for start in range(0, len(rows), BLOCK):
        connection.execute(insert(model_uses), rows[start : start + BLOCK])


def use_rows(
    campaign_id: str, records: Iterable[StoredPrediction | Proposal]
) -> list[Columns]:
    """Return the rows that say which model each record names."""
    return [
        {
            "campaign_id": campaign_id,
            "model_id": one.model_sha256,
            "kind": PROPOSAL if isinstance(one, Proposal) else PREDICTION,
            "id": one.id,
        }
        for one in records
        if one.model_sha256 is not None
    ]
