"""`labwm key create|list|revoke`."""

from typing import Annotated

from cyclopts import Parameter

from labwm import campaign
from labwm.api.terminal import Json, out, record, side, table, write_json
from labwm.schema import KeyInfo, KeyRequest

Scopes = Annotated[
    list[str],
    Parameter(
        name=("--scopes", "--scope"),
        negative=(),
        consume_multiple=True,
        help="Any of read, propose, submit, approve, admin.",
    ),
]


def create(name: str, *, kind: str | None = None, scopes: Scopes = []) -> None:  # noqa: B006 cyclopts reads the default, nobody changes it
    """Create a key and print its secret, which is shown this once.

    Args:
        name: Who holds it: lower case letters, digits and . _ @ -
        kind: person, agent or service; agents never approve.
    """
    fields = {"name": name, "kind": kind, "scopes": tuple(scopes) or None}
    made = campaign.create_key(record(KeyRequest, fields))
    held = ", ".join(made.principal.scopes)
    side.print(
        f"{made.principal.name} ({made.principal.kind}) may: {held}. The secret is "
        "shown once; only its hash is stored.",
        markup=False,
    )
    out.print(made.secret, markup=False)


def list_all(*, json: Json = None) -> None:
    """List the keys, without secrets."""
    found = campaign.list_keys()
    write_json(json, found)
    _show(found)


def revoke(name: str) -> None:
    """Revoke every key of a holder, or one key by its id, at once and for ever.

    Args:
        name: Who holds it, or the id of one key.
    """
    _show(campaign.revoke_key(name))


def _show(keys: tuple[KeyInfo, ...]) -> None:
    table(
        *("name", "kind", "scopes", "key", "state"),
        rows=[
            (
                *(key.principal.name, key.principal.kind),
                *(", ".join(key.principal.scopes), key.key_id),
                "revoked" if key.is_revoked else "valid",
            )
            for key in keys
        ],
    )
