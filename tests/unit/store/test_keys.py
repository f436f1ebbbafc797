"""Keys open what they open until they are revoked; secrets are never stored."""

from pathlib import Path

import pytest

from labwm.errors import (
    DuplicateError,
    InvalidInputError,
    NotFoundError,
    UnauthenticatedError,
)
from labwm.store import Ledger


def test_a_key_opens_for_its_principal_until_revoked(ledger: Ledger):
    secret = ledger.create_key("bot-1", kind="agent", scopes=["read", "propose"])
    holder = ledger.authenticate(secret)
    assert (holder.name, holder.kind) == ("bot-1", "agent")
    assert holder.scopes == {"read", "propose"}
    ledger.revoke_key(holder.key_id)
    with pytest.raises(UnauthenticatedError, match="unknown or revoked"):
        ledger.authenticate(secret)
    (listed,) = ledger.keys()
    assert listed.is_revoked
    with pytest.raises(NotFoundError, match="none is called 'nope'"):
        ledger.revoke_key("nope")


def test_a_second_key_can_replace_the_first(ledger: Ledger):
    first = ledger.create_key("ada", kind="person", scopes=["approve"])
    second = ledger.create_key("ada", kind="person", scopes=["read"])
    ledger.revoke_key(ledger.authenticate(first).key_id)
    assert ledger.authenticate(second).scopes == {"read"}


def test_an_agent_never_turns_into_a_person(ledger: Ledger):
    ledger.create_key("bot-1", kind="agent", scopes=[])
    with pytest.raises(DuplicateError, match="'bot-1' is of kind agent"):
        ledger.create_key("bot-1", kind="person", scopes=["approve"])


@pytest.mark.parametrize(
    ("name", "kind"), [("", "agent"), ("a b", "agent"), ("a", "x")]
)
def test_a_principal_has_a_name_and_a_kind(ledger: Ledger, name: str, kind: str):
    with pytest.raises(InvalidInputError, match="a person, an agent or a service"):
        ledger.create_key(name, kind=kind, scopes=[])  # type: ignore[arg-type]


def test_the_secret_is_nowhere_in_the_database(tmp_path: Path):
    path = tmp_path / "ledger.db"
    ledger = Ledger.open(f"sqlite:///{path}")
    secret = ledger.create_key("ada", kind="person", scopes=["read"])
    ledger.close()
    for file in tmp_path.iterdir():
        assert secret.encode() not in file.read_bytes()
