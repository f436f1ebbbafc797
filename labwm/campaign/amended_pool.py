"""The candidates of an amended campaign, and whether its lab can follow."""

from dataclasses import dataclass

from labwm.campaign import dispatch, modelling, opening
from labwm.campaign.books import Books
from labwm.campaign.situation import Situation, read_opening, read_pool
from labwm.errors import ConflictError, InvalidInputError, SpaceError
from labwm.schema import Protocol
from labwm.space.candidates import candidates
from labwm.space.levels import levels_of
from labwm.space.membership import contains
from labwm.space.questions import Questions
from labwm.space.space import with_levels


@dataclass(frozen=True)
class Pool:
    """The candidates that an amended campaign chooses among."""

    questions: Questions
    sha256: str


def amended_pool(books: Books, situation: Situation, protocol: Protocol) -> Pool:
    """Return the candidates under a new version of the protocol.

    A lab that plays a table knows the table's rows only: the new version chooses among
    them. Any other gets the candidates of the new space.

    Raises:
        SpaceError: If none is left.
        ConflictError: If the lab cannot follow: another origin, or a table that has
            not what is asked.
        NotFoundError: If the policy does not fit the new objectives.
    """
    modelling.require_policy(situation.spec.policy, protocol)
    dispatch.refuse_protocol(situation, protocol)
    if situation.opening.table_object is None:
        pool = candidates(protocol, limit=opening.POOL_LIMIT, seed=situation.spec.seed)
    else:
        pool = _rows_left(books, situation, protocol)
    if not len(pool):
        raise SpaceError(
            "An amended campaign needs a candidate; the new version leaves none. "
            "Drop less, or widen a bound."
        )
    return Pool(pool, pool.digest())


def with_table_levels(
    books: Books, situation: Situation, protocol: Protocol
) -> Protocol:
    """Return the protocol with the levels that it leaves to the campaign's table."""
    if situation.opening.table_object is None:
        return protocol
    first = read_opening(books, situation.campaign_id)
    begun = books.ledger.protocol(first.protocol_name, first.protocol_version)
    return with_levels(protocol, read_pool(books, begun, first))


def _rows_left(books: Books, situation: Situation, protocol: Protocol) -> Questions:
    first = read_opening(books, situation.campaign_id)
    begun = books.ledger.protocol(first.protocol_name, first.protocol_version)
    if begun.condition_names != protocol.condition_names:
        raise ConflictError(
            f"The lab {first.lab!r} plays a table with the conditions "
            f"{list(begun.condition_names)}; got {list(protocol.condition_names)}. "
            "Open a new campaign on another table."
        )
    whole = read_pool(books, begun, first)
    rows = whole.rows()
    kept = [i for i, row in enumerate(rows) if contains(protocol, row)]
    _refuse_unplayable(situation.protocol, protocol, whole)
    return whole.take(kept)


def _refuse_unplayable(before: Protocol, after: Protocol, table: Questions) -> None:
    """Refuse new levels that no row of the table holds."""
    pairs = zip(before.chosen_parameters, after.chosen_parameters, strict=False)
    for old, new in pairs:
        fresh = set(levels_of(new) or ()) - set(levels_of(old) or ())
        held = {row.get(new.name) for row in table.rows()} if fresh else set[object]()
        if absent := sorted(str(level) for level in fresh if level not in held):
            raise InvalidInputError(
                f"A lab that plays a table has its levels only; no row has "
                f"{new.name!r} = {absent[0]!r}. Open a campaign on a table with it."
            )
