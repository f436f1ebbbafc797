"""Campaigns copied under new names, each with records, digests and a chain of its own.

To fill a ledger with a million results through its own code takes half an hour. A copy
says the same under another name of the same length: texts are replaced, and everything
that is a digest of them is made again, as `labwm doctor` would.
"""

import hashlib
import json
import sqlite3
from collections import defaultdict
from pathlib import Path
from typing import Any

from labwm.schema import Job
from labwm.store import tables
from labwm.store.chain import GENESIS, event_sha256, text_of
from labwm.store.content import CONTENTS, digest_of_records
from labwm.store.machine_tables import moves
from labwm.store.machines import MACHINES
from labwm.store.moves import Move, digest_of_moves

Row = dict[str, Any]
DERIVED = ("observation_slots", "dataset_rows", "tallies", "model_uses")
FIRST = ("campaigns", "datasets", "dataset_origins", "leases")


class Copier:
    """Copies one campaign of a ledger in SQLite, again and again."""

    def __init__(self, path: Path, original: str) -> None:
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.connection.row_factory = sqlite3.Row
        # What is copied satisfied them; `labwm doctor` asks SQLite again in the end.
        self.connection.execute("PRAGMA foreign_keys=OFF")
        self.connection.execute("PRAGMA synchronous=OFF")
        self.original = original
        self.rows = {name: self._read(name) for name in self._tables()}

    def copy(self, name: str) -> None:
        """Write the campaign under another name of the same length."""
        assert len(name) == len(self.original)
        rows = {
            table: [self._renamed(row, name) for row in found]
            for table, found in self.rows.items()
        }
        digests = self._renew_records(rows)
        for table in DERIVED:
            for row in rows[table]:
                if (old := row.get("observation_id")) is not None:
                    row["observation_id"] = digests[old]
        self._renew_chain(rows)
        self.connection.execute("BEGIN")
        for table, found in rows.items():
            self._insert(table, found)
        self.connection.execute("COMMIT")

    @property
    def n_results(self) -> int:
        """How many results it has."""
        return len(self.rows["observations"])

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()

    def _tables(self) -> list[str]:
        content = [content.table.name for content in CONTENTS]
        machines = [
            f"{m.name}_{kind}" for m in MACHINES for kind in ("moves", "states")
        ]
        return [*FIRST, "events", *content, "wells", *machines, *DERIVED]

    def _read(self, table: str) -> list[Row]:
        """Return the campaign's rows of a table, by whatever names its campaign."""
        columns = [
            row["name"]
            for row in self.connection.execute(f"PRAGMA table_info({table})")
        ]
        owner = next(
            column
            for column in (
                "campaign_id",
                "submission_key",
                "batch_id",
                "dataset_id",
                "id",
            )
            if column in columns
        )
        query = (
            f"SELECT * FROM {table} WHERE {owner} = ? OR {owner} LIKE ? ORDER BY rowid"
        )
        values = (self.original, f"{self.original}-%")
        return [dict(row) for row in self.connection.execute(query, values)]

    def _renamed(self, row: Row, name: str) -> Row:
        return {
            column: value.replace(self.original, name) if type(value) is str else value
            for column, value in row.items()
        }

    def _renew_records(self, rows: dict[str, list[Row]]) -> dict[str, str]:
        """Make digests of records again; return those of results by the old ones."""
        digests: dict[str, str] = {}
        content_of: dict[str, str] = {}
        for content in CONTENTS:
            for row in rows[content.table.name]:
                row["sha256"] = hashlib.sha256(row["body"].encode()).hexdigest()
                if content.table is tables.observations:
                    digests[row["id"]] = row["id"] = row["sha256"]
                if content.table is tables.batches:
                    job = Job.model_validate(json.loads(row["body"])["job"])
                    content_of[row["batch_id"]] = job.content_sha256
                if "content_sha256" in row:
                    row["content_sha256"] = content_of[row["batch_id"]]
        return digests

    def _renew_chain(self, rows: dict[str, list[Row]]) -> None:
        claims = _claims(rows)
        previous = GENESIS
        for event in sorted(rows["events"], key=lambda row: row["seq"]):
            if (claim := claims.get(event["seq"])) is not None:
                body = json.loads(event["body"]) | {"sha256": claim}
                event["body"] = text_of(body)
            event["prev_sha256"] = previous
            event["sha256"] = previous = event_sha256(event)

    def _insert(self, table: str, rows: list[Row]) -> None:
        if not rows:
            return
        marks = ", ".join("?" for _ in rows[0])
        statement = f"INSERT INTO {table} ({', '.join(rows[0])}) VALUES ({marks})"
        self.connection.executemany(statement, [tuple(row.values()) for row in rows])


def _claims(rows: dict[str, list[Row]]) -> dict[int, str]:
    """Return the digest that each event holds of the records or steps it covers."""
    claims: dict[int, str] = {}
    for content in CONTENTS:
        covered = defaultdict(list)
        for row in rows[content.table.name]:
            covered[row["event_seq"]].append(row["sha256"])
        claims |= {seq: digest_of_records(found) for seq, found in covered.items()}
    for machine in MACHINES:
        taken = defaultdict(list)
        for row in rows[moves[machine.name].name]:
            subject = tuple(row[column] for column in machine.subject)
            detail = json.loads(row["detail"])
            step = Move(
                subject, row["step"], row["from_state"], row["to_state"], detail
            )
            taken[row["event_seq"]].append(step)
        claims |= {seq: digest_of_moves(found) for seq, found in taken.items()}
    return claims
