"""What the amendments of a campaign changed, read back from its chain.

Nothing stored is rewritten: results keep the conditions under which they were measured,
and are read under the present version by the mappings that each amendment declared.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from labwm.campaign.books import Books
from labwm.schema import (
    Amendment,
    Carrying,
    Conditions,
    ContextParameter,
    DependsConstraint,
    Measurement,
    MixtureParameter,
    Protocol,
)

AMENDED = "campaign.amended"
"""Kind of the event that holds an amendment."""


def amendments_of(books: Books, campaign_id: str) -> tuple[Amendment, ...]:
    """Return the amendments of a campaign, the first one first."""
    return tuple(
        Amendment.model_validate(event.body)
        for event in books.ledger.events(campaign_id, kind=AMENDED)
    )


@dataclass(frozen=True)
class Reading:
    """How results of any version are read under the present one."""

    amendments: tuple[Amendment, ...]
    protocol: Protocol
    """The present version."""

    def read(
        self, observation_id: str, found: Measurement, version: int | None
    ) -> Measurement | str:
        """Return the measurement in present terms, or why that cannot be.

        Args:
            observation_id: Its digest.
            found: As it is stored.
            version: Version of the protocol that its job followed; None without a job.
        """
        start = self.start_of(observation_id, version)
        return self.read_from(start, found)

    def read_from(self, start: int, found: Measurement) -> Measurement | str:
        """As `read`, for a result that follows the first `start` amendments."""
        conditions = found.conditions
        for amendment in self.amendments[start:]:
            conditions = carried(conditions, amendment.carrying)
        if why := unreadable(self.protocol, conditions, found):
            return why
        if conditions is found.conditions:
            return found
        return found.model_copy(update={"conditions": conditions})

    def start_of(self, observation_id: str, version: int | None) -> int:
        """Return how many amendments the conditions of a result already follow."""
        terms = self._terms.get(observation_id)
        return self.terms_of(version) if terms is None else terms

    @cached_property
    def _terms(self) -> dict[str, int]:
        """Of each result that people typed: what its conditions already follow."""
        return {
            taken.observation_id: taken.terms
            for amendment in self.amendments
            for taken in amendment.results
        }

    def terms_of(self, version: int | None) -> int:
        """Return how many amendments a job of this version already follows."""
        n = 0
        for i, amendment in enumerate(self.amendments):
            if amendment.after.version == version:
                n = i + 1
        return n


def carried(conditions: Conditions, carrying: Carrying) -> Conditions:
    """Return conditions of one version in terms of the next."""
    if carrying.is_identity:
        return conditions
    kept = {
        carrying.renamed.get(name, name): value
        for name, value in conditions.items()
        if name not in carrying.left_out
    }
    for name, levels in carrying.levels.items():
        if name in kept:
            kept[name] = levels.get(str(kept[name]), kept[name])
    return dict(carrying.filled) | kept


def unreadable(
    protocol: Protocol, conditions: Conditions, found: Measurement
) -> str | None:
    """Return why a result cannot be read under a protocol; None if it can."""
    name = f"version {protocol.version}"
    if beyond := sorted(set(conditions) - set(protocol.condition_names)):
        return f"{name} has no condition {beyond}; declare how it is carried"
    if lacking := sorted(_needed(protocol) - set(conditions)):
        return f"{name} needs {lacking}, which it does not state"
    if not set(found.readouts) & set(protocol.readout_names):
        return f"{name} observes none of {sorted(found.readouts)}"
    return None


def _needed(protocol: Protocol) -> set[str]:
    """Conditions that every experiment states: contexts and dependent ones aside."""
    optional = {
        constraint.parameter
        for constraint in protocol.constraints
        if isinstance(constraint, DependsConstraint)
    }
    names: set[str] = set()
    for parameter in protocol.parameters:
        if isinstance(parameter, MixtureParameter):
            names |= set(parameter.part_columns)
        elif not isinstance(parameter, ContextParameter):
            names.add(parameter.name)
    return names - optional


def voided_by(amendments: Sequence[Amendment]) -> frozenset[str]:
    """Return the batches that amendments voided."""
    return frozenset(key for one in amendments for key in one.voided)


def withdrawn_by(amendments: Sequence[Amendment]) -> frozenset[str]:
    """Return the proposals that amendments withdrew."""
    return frozenset(item.id for one in amendments for item in one.withdrawn)


def versions_of(books: Books, amendments: Sequence[Amendment]) -> tuple[Protocol, ...]:
    """Return every version of the protocol that a job of the campaign may follow."""
    names = {(v.name, v.version) for one in amendments for v in (one.before, one.after)}
    return tuple(books.ledger.protocol(*name) for name in sorted(names))
