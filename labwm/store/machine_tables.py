"""The tables of the state machines: legal steps, steps taken, present states.

A step of `<machine>_moves` refers to a legal pair of states and to the step before it,
so that the database refuses illegal, repeated and gapped steps. A present state refers
to the step that led to it.
"""

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from labwm.store.machines import (
    APPROVAL,
    CAMPAIGN,
    MACHINES,
    SUBMISSION,
    WELL,
    Machine,
)
from labwm.store.tables import metadata


def _text(name: str) -> Column[str]:
    return Column(name, String, nullable=False)


def _key(name: str) -> Column[str]:
    return Column(name, String, primary_key=True)


_PARENT = {
    CAMPAIGN.name: ["campaigns.id"],
    APPROVAL.name: ["batches.batch_id"],
    SUBMISSION.name: ["jobs.submission_key"],
    WELL.name: ["wells.submission_key", "wells.well"],
}


def _legal_table(machine: Machine) -> Table:
    return Table(
        f"{machine.name}_legal", metadata, _key("from_state"), _key("to_state")
    )


def _moves_table(machine: Machine) -> Table:
    name, subject = f"{machine.name}_moves", list(machine.subject)
    campaign = [] if "campaign_id" in subject else [_text("campaign_id")]
    return Table(
        name,
        metadata,
        *(_key(column) for column in subject),
        Column("step", Integer, primary_key=True, autoincrement=False),
        Column("previous_step", Integer),
        _text("from_state"),
        _text("to_state"),
        *campaign,
        Column("event_seq", Integer, nullable=False),
        Column("detail", Text, nullable=False),
        UniqueConstraint(*subject, "step", "to_state"),
        CheckConstraint(
            "(step = 0 AND previous_step IS NULL AND from_state = 'new') OR (step > 0"
            " AND previous_step IS NOT NULL AND previous_step = step - 1)",
            name="gapless",
        ),
        ForeignKeyConstraint(subject, _PARENT[machine.name]),
        ForeignKeyConstraint(
            ["from_state", "to_state"],
            [f"{machine.name}_legal.from_state", f"{machine.name}_legal.to_state"],
        ),
        ForeignKeyConstraint(
            [*subject, "previous_step", "from_state"],
            [f"{name}.{column}" for column in (*subject, "step", "to_state")],
        ),
        ForeignKeyConstraint(
            ["campaign_id", "event_seq"],
            ["events.campaign_id", "events.seq"],
            name=f"fk_{name}_event",
        ),
        Index(f"ix_{name}_event", "campaign_id", "event_seq"),
    )


def _states_table(machine: Machine) -> Table:
    subject, moves = list(machine.subject), f"{machine.name}_moves"
    return Table(
        f"{machine.name}_states",
        metadata,
        *(_key(column) for column in subject),
        Column("step", Integer, nullable=False),
        _text("state"),
        Column("detail", Text, nullable=False),
        ForeignKeyConstraint(
            [*subject, "step", "state"],
            [f"{moves}.{column}" for column in (*subject, "step", "to_state")],
        ),
        Index(None, "state"),
    )


legal = {machine.name: _legal_table(machine) for machine in MACHINES}
moves = {machine.name: _moves_table(machine) for machine in MACHINES}
states = {machine.name: _states_table(machine) for machine in MACHINES}
