"""Taking steps in the state machines, and folding them into present states."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, insert, select, update

from labwm.errors import IllegalTransitionError, NotFoundError
from labwm.schema import sha256_of
from labwm.store.chain import Author, Json, append_event, text_of
from labwm.store.machine_tables import moves, states
from labwm.store.machines import NEW, Machine

Subject = tuple[str, ...]


@dataclass(frozen=True)
class Standing:
    """Where one subject stands: `detail` is merged from all its steps."""

    step: int
    state: str
    detail: Json


@dataclass(frozen=True)
class Move:
    """One step of one subject."""

    subject: Subject
    step: int
    from_state: str
    to_state: str
    detail: Json

    def identity(self) -> list[object]:
        """Return what the event's digest covers."""
        return [*self.subject, self.step, self.from_state, self.to_state, self.detail]


def digest_of_moves(taken: Iterable[Move]) -> str:
    """Return the digest of some steps, whatever their order."""
    return sha256_of(sorted((m.identity() for m in taken), key=text_of))


def standings(
    connection: Connection, machine: Machine, first: str
) -> dict[Subject, Standing]:
    """Return where subjects stand whose first column is `first`."""
    table = states[machine.name]
    rows = connection.execute(
        select(table).where(table.c[machine.subject[0]] == first)
    ).mappings()
    return {
        tuple(row[column] for column in machine.subject): Standing(
            row["step"], row["state"], parse(row["detail"])
        )
        for row in rows
    }


def parse(text: str) -> Json:
    """Return the JSON object that a text column holds."""
    return json.loads(text)


def begin(
    connection: Connection, author: Author, machine: Machine, subjects: list[Subject]
) -> None:
    """Give new subjects their first state.

    Raises:
        ConflictError: If one of them has a state already.
    """
    first = machine.after(NEW)[0]
    taken = [Move(subject, 0, NEW, first, {}) for subject in subjects]
    _store(connection, author, machine, taken)


def move(
    connection: Connection,
    author: Author,
    machine: Machine,
    wanted: Mapping[Subject, str],
    detail: Json,
) -> None:
    """Take one step for each subject, all sharing their first column; one event.

    Raises:
        NotFoundError: If a subject is unknown.
        IllegalTransitionError: If the machine has no such step.
    """
    if not wanted:
        return
    current = standings(connection, machine, next(iter(wanted))[0])
    taken: list[Move] = []
    for subject, to_state in wanted.items():
        if subject not in current:
            raise NotFoundError(
                f"A step needs something to take it; the ledger knows no "
                f"{machine.name} of {'/'.join(subject)!r}. Store it first."
            )
        standing = current[subject]
        _refuse_illegal(machine, subject, standing.state, to_state)
        step = Move(subject, standing.step + 1, standing.state, to_state, detail)
        taken.append(step)
    _store(connection, author, machine, taken)
    _fold(connection, machine, taken, current)


def _refuse_illegal(machine: Machine, subject: Subject, state: str, to: str) -> None:
    if (state, to) not in machine.legal:
        after = ", ".join(machine.after(state)) or "nothing: it has ended"
        raise IllegalTransitionError(
            f"The {machine.name} of {'/'.join(subject)!r} is {state}, after which "
            f"may come {after}; got {to}. Read the present state and decide again."
        )


def _store(
    connection: Connection, author: Author, machine: Machine, taken: list[Move]
) -> None:
    body: Json = {
        "machine": machine.name,
        "n": len(taken),
        "sha256": digest_of_moves(taken),
    }
    if len(taken) == 1:
        only = taken[0]
        body |= {
            "subject": "/".join(only.subject),
            "from": only.from_state,
            "to": only.to_state,
            "detail": only.detail,
        }
    seq = append_event(connection, author, "moved", body)
    connection.execute(
        insert(moves[machine.name]),
        [_move_row(machine, author.campaign_id, seq, step) for step in taken],
    )
    if fresh := [step for step in taken if step.step == 0]:
        connection.execute(
            insert(states[machine.name]),
            [
                _subject_columns(machine, step)
                | {"step": 0, "state": step.to_state, "detail": text_of(step.detail)}
                for step in fresh
            ],
        )


def _fold(
    connection: Connection,
    machine: Machine,
    taken: list[Move],
    before: Mapping[Subject, Standing],
) -> None:
    table = states[machine.name]
    statement = update(table).values(
        step=bindparam("next_step"), state=bindparam("next"), detail=bindparam("merged")
    )
    for column in machine.subject:
        statement = statement.where(table.c[column] == bindparam(f"the_{column}"))
    connection.execute(
        statement,
        [
            {
                "next_step": step.step,
                "next": step.to_state,
                "merged": text_of(before[step.subject].detail | step.detail),
            }
            | {f"the_{k}": v for k, v in _subject_columns(machine, step).items()}
            for step in taken
        ],
    )


def _subject_columns(machine: Machine, step: Move) -> dict[str, str]:
    return dict(zip(machine.subject, step.subject, strict=True))


def _move_row(
    machine: Machine, campaign_id: str, seq: int, step: Move
) -> dict[str, object]:
    return {"campaign_id": campaign_id, "event_seq": seq} | {
        **_subject_columns(machine, step),
        "step": step.step,
        "previous_step": step.step - 1 if step.step else None,
        "from_state": step.from_state,
        "to_state": step.to_state,
        "detail": text_of(step.detail),
    }
