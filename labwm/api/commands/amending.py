"""`labwm campaign amend|pause|resume|stop`: what only a person decides."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import yaml
from cyclopts import Parameter
from pydantic import AwareDatetime

from labwm import campaign
from labwm.api.access import principal_with
from labwm.api.terminal import Json, out, record, refuse_unwritable, table, write_json
from labwm.errors import InvalidInputError, UnavailableError
from labwm.schema import (
    Amendment,
    AmendRequest,
    Conditions,
    Principal,
    ReasonRequest,
    Record,
)
from labwm.schema.record import Scalar

Pairs = Annotated[tuple[str, ...], Parameter(negative=(), consume_multiple=False)]
Flag = Annotated[bool, Parameter(negative=())]
Change = dict[str, Any]
_SHOWN = 12


def amend(  # noqa: PLR0913 one argument per flag
    name: str,
    *,
    reason: str,
    drop: Pairs = (),
    add: Pairs = (),
    bounds: Pairs = (),
    objective: Pairs = (),
    protocol: Path | None = None,
    carry: Path | None = None,
    result: Path | None = None,
    correct: Pairs = (),
    retract: Pairs = (),
    dry_run: Flag = False,
    json: Json = None,
) -> int:
    """Amend a running campaign, as the holder of LABWM_KEY or as this person.

    All changes are made or none. Batches of which nothing was sent are void: what the
    new version allows of them goes first in the next batch, under a new approval.

    Args:
        name: Name of the campaign.
        reason: Kept with the amendment.
        drop: PARAMETER=LEVEL that can be had no longer. Repeatable, as the next ones.
        add: PARAMETER=LEVEL that is new, or was dropped before.
        bounds: PARAMETER=LOW:HIGH, in the parameter's unit.
        objective: READOUT=maximise, minimise or match:TARGET; all that hold from now
            on.
        protocol: File with a later version of the whole protocol.
        carry: File that says how results of before are read under it: renamed, levels,
            filled, left_out.
        result: File with results of one's own: a list of conditions, readouts and,
            where a planned well or proposal was done differently, instead_of.
        correct: RESULT:READOUT=VALUE; the value as in a table's cell.
        retract: RESULT that must not count. Results are named by their digest, or its
            first 8 letters: `labwm trace JOB/WELL` shows them.
        dry_run: Only say what would happen.
    """
    refuse_unwritable(json)
    rules = campaign.protocol_of(name)

    def values(cells: dict[str, str]) -> dict[str, object]:
        typed = campaign.typed_values(rules, cells)
        return {key: value.model_dump(mode="json") for key, value in typed.items()}

    changes: list[Change] = [
        *([_version(protocol, carry)] if protocol else []),
        *({"kind": "drop", "parameter": p, "level": v} for p, v in _of(drop)),
        *({"kind": "add", "parameter": p, "level": v} for p, v in _of(add)),
        *({"kind": "bounds", "parameter": p, "bounds": _span(v)}
          for p, v in _of(bounds)),
        *([{"kind": "objectives", "objectives": _aims(objective)}]
          if objective else []),
        *({"kind": "result", **one.model_dump(mode="json"),
           "readouts": values({k: str(v) for k, v in one.readouts.items()})}
          for one in _results(result)),
        *({"kind": "correct", "observation": o, "readouts": values(dict([pair]))}
          for o, pair in _corrections(correct)),
        *({"kind": "retract", "observation": o} for o in retract),
    ]  # fmt: skip
    if not changes:
        raise InvalidInputError(
            "An amendment changes something; got no change. See `labwm campaign amend "
            "--help`."
        )
    if carry is not None and protocol is None:
        raise InvalidInputError(
            "How results are carried goes with a new version; got --carry alone. Add "
            "--protocol FILE."
        )
    fields = {
        "campaign_id": name,
        "reason": reason,
        "changes": changes,
        "dry_run": dry_run,
    }
    made = campaign.amend(record(AmendRequest, fields), principal=_person())
    write_json(json, made)
    _show(made)
    return 0


def pause(name: str, *, reason: str, json: Json = None) -> int:
    """Send nothing more until somebody resumes; what the lab has still comes in.

    Args:
        name: Name of the campaign.
        reason: Kept in the ledger.
    """
    asked = record(ReasonRequest, {"campaign_id": name, "reason": reason})
    write_json(json, campaign.pause(asked, principal=_person()))
    out.print(f"{name} is paused. Go on with: labwm campaign resume {name}")
    return 0


def resume(name: str, *, reason: str, json: Json = None) -> int:
    """Let a paused campaign go on where it was.

    Args:
        name: Name of the campaign.
        reason: Kept in the ledger.
    """
    asked = record(ReasonRequest, {"campaign_id": name, "reason": reason})
    write_json(json, campaign.resume(asked, principal=_person()))
    out.print(f"{name} is open again. Go on with: labwm campaign advance {name}")
    return 0


def stop(name: str, *, reason: str, json: Json = None) -> int:
    """End a campaign before its budget is spent; late results are still taken in.

    Args:
        name: Name of the campaign.
        reason: Kept in the ledger.
    """
    asked = record(ReasonRequest, {"campaign_id": name, "reason": reason})
    write_json(json, campaign.close(asked, principal=_person()))
    out.print(f"{name} is closed. What it found: labwm campaign report {name}")
    return 0


def _show(made: Amendment) -> None:
    would = "would become" if made.is_dry_run else "is now"
    said = [f"{made.campaign_id} {would} amended, number {made.number}"]
    if made.changes_protocol:
        said.append(
            f"{made.after.name} version {made.before.version} → {made.after.version}"
        )
    out.print(f"{', '.join(said)}.", markup=False)
    table(
        "",
        "n",
        "which",
        rows=[
            ("candidates", made.n_candidates, ""),
            ("results carried over", made.n_carried, ""),
            ("results not carried", len(made.not_carried), _reasons(made.not_carried)),
            ("batches void", len(made.voided), ", ".join(made.voided)),
            ("jobs kept", len(made.kept), ", ".join(made.kept)),
            ("proposals again", len(made.queued_again), ", ".join(made.queued_again)),
            ("proposals withdrawn", len(made.withdrawn), _reasons(made.withdrawn)),
            ("results", len(made.results), _taken(made)),
        ],
    )


def _reasons(items: Sequence[Any]) -> str:
    return "\n".join(f"{item.id[:40]}: {item.why}" for item in items[:_SHOWN])


def _taken(made: Amendment) -> str:
    return "\n".join(f"{t.observation_id[:12]}: {t.what}" for t in made.results)


def _person() -> Principal:
    secret = os.environ.get("LABWM_KEY")
    return principal_with(secret) if secret else campaign.LOCAL_PERSON


def _of(pairs: Sequence[str]) -> list[tuple[str, str]]:
    return [_pair(pair) for pair in pairs]


def _pair(text: str) -> tuple[str, str]:
    key, sign, value = text.partition("=")
    if not (key and sign and value):
        raise InvalidInputError(
            f"A change is NAME=VALUE; got {text!r}. Write for example ligand=XPhos."
        )
    return key.strip(), value.strip()


def _scalar(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _span(text: str) -> list[float]:
    low, _, high = text.partition(":")
    try:
        return [float(low), float(high)]
    except ValueError as error:
        raise InvalidInputError(
            f"Bounds are LOW:HIGH; got {text!r}. Write for example temperature=20:80."
        ) from error


def _aims(pairs: Sequence[str]) -> list[Change]:
    aims: list[Change] = []
    for readout, goal in _of(pairs):
        word, _, target = goal.partition(":")
        aim: Change = {"readout": readout, "goal": word}
        if target:
            aim["target"] = _scalar(target)
        aims.append(aim)
    return aims


def _corrections(texts: Sequence[str]) -> list[tuple[str, tuple[str, str]]]:
    found: list[tuple[str, tuple[str, str]]] = []
    for text in texts:
        name, sign, pair = text.partition(":")
        if not sign:
            raise InvalidInputError(
                f"A correction is RESULT:READOUT=VALUE; got {text!r}. Find the result "
                "with `labwm trace JOB/WELL`."
            )
        found.append((name.strip(), _pair(pair)))
    return found


def _version(path: Path, carry: Path | None) -> Change:
    from labwm.data.protocols import load_protocol

    content = load_protocol(str(path)).model_dump(mode="json")
    carrying: object = _yaml(carry) if carry else {}
    return {"kind": "protocol", "protocol": content, "carrying": carrying}


class _Typed(Record):
    """One entry of a file of results, with values as in a table's cells."""

    conditions: Conditions
    readouts: dict[str, Scalar]
    instead_of: str | None = None
    measured_at: AwareDatetime | None = None


class _TypedFile(Record):
    """A file of results: one entry or several."""

    result: _Typed | tuple[_Typed, ...]


def _results(path: Path | None) -> tuple[_Typed, ...]:
    if path is None:
        return ()
    found = record(_TypedFile, {"result": _yaml(path)}).result
    return found if isinstance(found, tuple) else (found,)


def _yaml(path: Path) -> object:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UnavailableError(
            f"A file can be read; {path}: {error.strerror}. Check the path."
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"{path} is YAML or JSON; {error}. Mend it.") from error
