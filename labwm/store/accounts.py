"""What may be spent: budgets and stocks, as accounts that are never overdrawn.

Entries are appended, and a trigger of the database folds each into its account: free,
reserved, used. The database refuses an entry that would make one of them negative.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, func, select

from labwm.errors import ConflictError
from labwm.schema import GRAIN, AccountInfo, Need, Record
from labwm.store.tables import account_entries as entries
from labwm.store.tables import accounts

Kind = Literal["supplied", "counted", "reserved", "used", "refunded"]


class Entry(Record):
    """One entry in an account; amounts in millionths of its unit."""

    id: str
    """The same act has the same name: it is never entered twice."""
    shelf: str
    account: str
    unit: str
    kind: Kind
    batch_id: str | None
    free: int
    reserved: int
    used: int
    note: str = ""


@dataclass(frozen=True)
class Held:
    """What a batch holds of one account, in millionths."""

    need: Need
    reserved: int
    used: int


def grains(amount: float) -> int:
    """Return an amount in whole millionths of its unit."""
    return round(amount * GRAIN)


def read_accounts(
    connection: Connection, shelves: Sequence[str]
) -> tuple[AccountInfo, ...]:
    """Return how the accounts of some shelves stand."""
    query = (
        select(accounts)
        .where(accounts.c.shelf.in_(shelves))
        .order_by(accounts.c.shelf, accounts.c.account)
    )
    return tuple(
        AccountInfo(
            shelf=row.shelf,
            account=row.account,
            unit=row.unit,
            free=row.free / GRAIN,
            reserved=row.reserved / GRAIN,
            used=row.used / GRAIN,
        )
        for row in connection.execute(query)
    )


def free_in(connection: Connection, shelf: str, account: str) -> int | None:
    """Return what is free, and keep others from the account; None without one."""
    query = (
        select(accounts.c.free)
        .where(accounts.c.shelf == shelf, accounts.c.account == account)
        .with_for_update()
    )
    return connection.execute(query).scalar_one_or_none()


def count_name(account: str, key: str) -> str:
    """Return the name of the entry of a count."""
    return f"counted/{account}/{key}"


def has_entry(connection: Connection, shelf: str, entry_id: str) -> bool:
    """Was this act entered for the shelf, by whichever campaign?"""
    query = select(entries.c.id).where(
        entries.c.shelf == shelf, entries.c.id == entry_id
    )
    return connection.execute(query).first() is not None


def held_by(connection: Connection, batch_id: str) -> list[Held]:
    """Return what a batch holds: reserved or used, by account."""
    total = [func.sum(column) for column in (entries.c.reserved, entries.c.used)]
    names = (entries.c.shelf, entries.c.account, entries.c.unit)
    rows = connection.execute(
        select(*names, *total)
        .where(entries.c.batch_id == batch_id)
        .group_by(*names)
        .order_by(*names)
    )
    return [
        Held(
            Need(shelf=shelf, account=account, unit=unit, amount=int(res + used)),
            int(res),
            int(used),
        )
        for shelf, account, unit, res, used in rows
        if res + used
    ]


def reserving(
    connection: Connection, batch_id: str, attempt: int, needs: Sequence[Need]
) -> list[Entry]:
    """Return the entries that reserve what a batch needs.

    Raises:
        ConflictError: If something is not there; all of it is named, with amounts.
    """
    short: list[str] = []
    # In one order everywhere: two campaigns never wait for each other.
    ordered = sorted(needs, key=lambda need: (need.shelf, need.account))
    for need in ordered:
        free = free_in(connection, need.shelf, need.account) or 0
        if free < need.amount:
            short.append(shortage(need, free))
    if short:
        raise ConflictError(
            f"A batch takes what is there; {'; '.join(short)}. Trim the batch, or have "
            "a person supply more."
        )
    return [
        _entry(batch_id, attempt, "reserved", need, free=-need.amount,
               reserved=need.amount)
        for need in ordered
    ]  # fmt: skip


def shortage(need: Need, free: int) -> str:
    """Say what is missing, with amounts."""
    return (
        f"{need.account}: {need.amount / GRAIN:g} {need.unit} needed, "
        f"{free / GRAIN:g} {need.unit} free"
    )


def using(connection: Connection, batch_id: str, attempt: int) -> list[Entry]:
    """Return the entries that turn what a batch has reserved into used."""
    return [
        _entry(batch_id, attempt, "used", held.need, reserved=-held.reserved,
               used=held.reserved)
        for held in held_by(connection, batch_id)
        if held.reserved
    ]  # fmt: skip


def refunding(connection: Connection, batch_id: str, attempt: int) -> list[Entry]:
    """Return the entries that give back all that a batch holds."""
    return [
        _entry(batch_id, attempt, "refunded", held.need,
               free=held.reserved + held.used, reserved=-held.reserved,
               used=-held.used)
        for held in held_by(connection, batch_id)
    ]  # fmt: skip


def _entry(  # noqa: PLR0913 the three columns of an account
    batch_id: str,
    attempt: int,
    kind: Kind,
    need: Need,
    *,
    free: int = 0,
    reserved: int = 0,
    used: int = 0,
) -> Entry:
    return Entry(
        id=f"{batch_id}/{attempt}/{kind}/{need.account}",
        shelf=need.shelf,
        account=need.account,
        unit=need.unit,
        kind=kind,
        batch_id=batch_id,
        free=free,
        reserved=reserved,
        used=used,
    )


def standing(
    connection: Connection, shelf: str, account: str
) -> tuple[int, int, int] | None:
    """Return free, reserved and used as they are stored."""
    row = connection.execute(
        select(accounts.c.free, accounts.c.reserved, accounts.c.used).where(
            accounts.c.shelf == shelf, accounts.c.account == account
        )
    ).first()
    return (row.free, row.reserved, row.used) if row else None


def sums(connection: Connection, shelf: str, account: str) -> tuple[int, int, int]:
    """Return free, reserved and used as the entries of all campaigns add up."""
    query = select(
        func.sum(entries.c.free), func.sum(entries.c.reserved), func.sum(entries.c.used)
    ).where(entries.c.shelf == shelf, entries.c.account == account)
    free, reserved, used = connection.execute(query).one()
    return int(free), int(reserved), int(used)


def entered_by(connection: Connection, campaign_id: str) -> list[tuple[str, str]]:
    """Return shelf and account of every account that a campaign entered into."""
    query = (
        select(entries.c.shelf, entries.c.account)
        .where(entries.c.campaign_id == campaign_id)
        .distinct()
    )
    return [(shelf, account) for shelf, account in connection.execute(query)]
