"""How a campaign stands, read from the ledger: what planners and models are told."""

import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from pydantic import AwareDatetime

from labwm.campaign.amendments import Reading, amendments_of, voided_by
from labwm.campaign.batches import Round, control_wells, rounds_of
from labwm.campaign.books import Books
from labwm.campaign.counting import Counts, count
from labwm.campaign.forecasts import forecast_errors
from labwm.campaign.recipes import Use, recipes_of
from labwm.errors import NotFoundError
from labwm.schema import (
    Amendment,
    CampaignSpec,
    Conditions,
    Measurement,
    Origin,
    Protocol,
    Record,
    canonical_json,
)
from labwm.schema.record import Sha256
from labwm.space.questions import (
    Observations,
    Questions,
    observations_from,
    questions_from,
)
from labwm.space.space import is_finite
from labwm.store import Revision

POOL_LIMIT = 100_000
"""Points of a space that a campaign draws; a smaller space is listed whole."""
RAISED = "budget.raised"
"""Kind of the event by which a person raised the budget."""

PREPARED = "campaign.prepared"
"""Kind of the event that holds what a campaign was opened with."""


class Opening(Record):
    """What a campaign was opened with: the body of its event `campaign.prepared`."""

    spec: CampaignSpec
    protocol_name: str
    protocol_version: int
    protocol_sha256: Sha256
    lab: str
    origin: Origin
    uid: str
    """Makes submission keys of equally named campaigns of other homes differ."""
    pool_sha256: Sha256
    pool_object: Sha256
    table_object: Sha256 | None
    labels_object: Sha256
    """Names of molecules: parameter to SMILES to name."""
    curation: str = ""
    """What curating its table found, to read; empty without a table."""
    opened_by: str
    opened_at: AwareDatetime


@dataclass(frozen=True)
class Situation:
    """Everything that planning the next round depends on."""

    campaign_id: str
    opening: Opening
    """What it was opened with, and what amendments put in its place."""
    protocol: Protocol
    """The present version."""
    amendments: tuple[Amendment, ...]
    as_of: int
    """Number of the last event when the results were read."""
    results: tuple[Measurement, ...]
    """Every result that counts, as it was stored."""
    measurements: tuple[Measurement, ...]
    """Those that the present version can read, in its terms: what models learn."""
    read_ids: tuple[str, ...]
    """Digests under which `measurements` are stored."""
    counts: Counts
    avoided: list[Conditions]
    """Conditions that are pending, in doubt, or were rejected."""
    round: int
    budget: int
    """Experiments in all: what was asked for, and what a person added."""
    n_spent: int
    """Experiments that were sent or are approved to be."""
    recipes: Mapping[Use, str]
    """By which recipe its models are fitted, for each use."""
    books: Books = field(repr=False)
    allowed: tuple[int, ...] | None = None
    """Rows of the whole pool that may be chosen; None for all."""

    @functools.cached_property
    def pool(self) -> Questions:
        """Every candidate, read when first asked for.

        How a campaign stands does not depend on it, and can be told where it was lost.
        """
        pool = read_pool(self.books, self.protocol, self.opening)
        return pool if self.allowed is None else pool.take(np.array(self.allowed))

    @property
    def has_open_space(self) -> bool:
        """Is the pool a draw from a space that has more points?

        Then a policy may propose points that the pool does not hold: only a table or
        a list of candidates is closed.
        """
        if self.opening.table_object is not None or self.allowed is not None:
            return False
        return not is_finite(self.protocol) or len(self.pool) >= POOL_LIMIT

    @functools.cached_property
    def labels(self) -> Mapping[str, Mapping[str, str]]:
        """Names of molecules: parameter to SMILES to name."""
        return json.loads(self.books.objects.get(self.opening.labels_object))

    @property
    def spec(self) -> CampaignSpec:
        """What the campaign was asked for."""
        return self.opening.spec

    @property
    def origin(self) -> Origin:
        """Origin of everything its lab returns."""
        return self.opening.origin

    @property
    def pool_sha256(self) -> str:
        """Digest of the pool as a set of conditions."""
        return self.opening.pool_sha256

    @functools.cached_property
    def observed(self) -> Observations:
        """Every measurement as rows, failures included."""
        return observations_from(self.protocol, self.measurements)

    @functools.cached_property
    def forecast_errors(self) -> Mapping[str, tuple[float, ...]]:
        """Standardised errors of the predictions stored before, by readout."""
        return forecast_errors(self.books, self.campaign_id, self.results)

    @functools.cached_property
    def data_sha256(self) -> str:
        """Digest of the rows as a sorted table."""
        return self.observed.digest()

    @property
    def n_left(self) -> int:
        """Experiments that the budget still allows."""
        return max(0, self.budget - self.n_spent)

    @property
    def batch_size(self) -> int:
        """Experiments per round, never more than budget and plate allow."""
        wanted = self.spec.batch_size or self.protocol.lab.batch_size
        return min(wanted, self.n_left, self.protocol.most_per_batch)

    @property
    def n_initial(self) -> int:
        """Experiments to choose without a model first."""
        size = self.spec.batch_size or self.protocol.lab.batch_size
        return self.spec.n_initial or size

    def label(self, conditions: Conditions) -> str | None:
        """Return what people call the conditions; None where no part has a name."""
        named = {
            name: known[str(value)]
            for name, value in conditions.items()
            if (known := self.labels.get(name)) and str(value) in known
        }
        if not named:
            return None
        return ", ".join(
            named.get(name)
            or (f"{name} {value:g}" if isinstance(value, float) else str(value))
            for name, value in conditions.items()
        )

    @property
    def round_seed(self) -> int:
        """Seed of this round: the same campaign chooses the same again."""
        text = f"{self.spec.seed}/{self.round}".encode()
        return int.from_bytes(hashlib.sha256(text).digest()[:4]) >> 1


def read_opening(books: Books, campaign_id: str) -> Opening:
    """Return what a campaign was opened with.

    Raises:
        NotFoundError: If there is no such campaign.
    """
    prepared = books.ledger.events(campaign_id, kind=PREPARED)
    if not prepared:
        books.ledger.campaign(campaign_id)  # says which there are
        raise cut_off(campaign_id)
    return Opening.model_validate(prepared[0].body)


def cut_off(campaign_id: str) -> NotFoundError:
    """Return the error of a campaign that is not wholly there."""
    return NotFoundError(
        f"The campaign {campaign_id!r} was cut off while it was opened. Open it "
        "again with the same specification: it goes on."
    )


def present(opening: Opening, amendments: Sequence[Amendment]) -> Opening:
    """Return an opening with what the last amendment put in its place."""
    if not amendments:
        return opening
    last = amendments[-1]
    return opening.model_copy(
        update={
            "protocol_name": last.after.name,
            "protocol_version": last.after.version,
            "protocol_sha256": last.after.sha256,
            "pool_sha256": last.pool_sha256,
            "pool_object": last.pool_object,
            "labels_object": last.labels_object,
        }
    )


def read_present(books: Books, campaign_id: str) -> Opening:
    """Return what a campaign keeps to now: its opening as amended.

    Raises:
        NotFoundError: If there is no such campaign.
    """
    opening = read_opening(books, campaign_id)
    return present(opening, amendments_of(books, campaign_id))


def budget_of(books: Books, campaign_id: str, spec: CampaignSpec) -> int:
    """Return the experiments that a campaign may measure in all."""
    raised = books.ledger.events(campaign_id, kind=RAISED)
    return int(raised[-1].body["to"]) if raised else spec.budget


def read_situation(books: Books, campaign_id: str) -> Situation:
    """Read how a campaign stands.

    Raises:
        NotFoundError: If there is no such campaign.
    """
    opening = read_opening(books, campaign_id)
    amendments = amendments_of(books, campaign_id)
    opening = present(opening, amendments)
    protocol = books.ledger.protocol(opening.protocol_name, opening.protocol_version)
    rounds = rounds_of(books, campaign_id)
    controls = control_wells(rounds)
    as_of, all_stored = books.ledger.counting(campaign_id)
    stored = [
        (row, found)
        for row, found in all_stored
        if (found.job_key or "", found.well or "") not in controls
    ]
    results = tuple(measurement for _, measurement in stored)
    counts = count(
        rounds,
        results,
        retracted=books.ledger.retracted_slots(campaign_id),
        voided=voided_by(amendments),
    )
    reading = Reading(amendments, protocol)
    readable = _readable(reading, rounds, stored)
    return Situation(
        campaign_id=campaign_id,
        opening=opening,
        protocol=protocol,
        amendments=amendments,
        as_of=as_of,
        results=results,
        measurements=tuple(readable.values()),
        read_ids=tuple(readable),
        counts=counts,
        avoided=list(counts.avoided),
        # A trimmed batch, and one that was asked again, are of the same round.
        round=max((past.job.round + 1 for past in rounds), default=0),
        budget=budget_of(books, campaign_id, opening.spec),
        n_spent=sum(len(past.proposal_ids) for past in rounds if past.counts_as_spent),
        recipes=recipes_of(books, campaign_id),
        books=books,
    )


def _readable(
    reading: Reading,
    rounds: Sequence[Round],
    stored: Sequence[tuple[Revision, Measurement]],
) -> dict[str, Measurement]:
    """Return the results that the present version can read, in its terms."""
    if not reading.amendments:
        return {row.id: found for row, found in stored}
    versions = {past.job.submission_key: past.job.protocol_version for past in rounds}
    read = {
        row.id: reading.read(row.id, found, versions.get(found.job_key or ""))
        for row, found in stored
    }
    return {id_: one for id_, one in read.items() if isinstance(one, Measurement)}


def read_table(books: Books, opening: Opening) -> tuple[Measurement, ...]:
    """Return the table that a campaign was opened with; nothing if it had none."""
    if opening.table_object is None:
        return ()
    rows = json.loads(books.objects.get(opening.table_object))
    return tuple(Measurement.model_validate(row) for row in rows)


def objects_of(books: Books, campaign_id: str) -> tuple[str, ...]:
    """Return the digests of the objects that a campaign was opened or amended with."""
    opening = read_opening(books, campaign_id)
    named = {opening.pool_object, opening.table_object, opening.labels_object}
    for amendment in amendments_of(books, campaign_id):
        named |= {amendment.pool_object, amendment.labels_object}
    return tuple(sorted(digest for digest in named if digest is not None))


def pool_bytes(pool: Questions) -> bytes:
    """Return the pool as the object that a campaign keeps."""
    return canonical_json(pool.rows())


@functools.lru_cache(maxsize=4)
def _pool_of(data: bytes, protocol_json: bytes) -> Questions:
    protocol = Protocol.model_validate_json(protocol_json)
    return questions_from(protocol, json.loads(data))


def read_pool(books: Books, protocol: Protocol, opening: Opening) -> Questions:
    """Return the candidates that a campaign was opened or amended with."""
    return _pool_of(books.objects.get(opening.pool_object), protocol.canonical_json())
