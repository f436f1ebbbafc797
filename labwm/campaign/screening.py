"""Screen proposals before they may reach a lab: every hold has a reason code."""

from collections.abc import Sequence
from dataclasses import dataclass

from labwm.campaign.dispatch import refusals
from labwm.campaign.situation import Situation
from labwm.errors import SpaceError
from labwm.schema import Conditions, canonical_json
from labwm.space.membership import check


@dataclass(frozen=True)
class Verdict:
    """What screening says of one proposal; no reasons means that it passes."""

    reasons: tuple[str, ...]
    is_outside: bool


def screen(situation: Situation, rows: Sequence[Conditions]) -> list[Verdict]:
    """Check each row against the space, what is pending, and the rows before it.

    Conditions that were measured before pass: they are a replicate. Raises nothing for
    a bad row: it is held with `outside-space` and the rule that it breaks.
    """
    pending = {canonical_json(row) for row in situation.avoided}
    verdicts: list[Verdict] = []
    seen: set[bytes] = set()
    broken = [_outside(situation, row) for row in rows]
    refused = iter(
        refusals(
            situation.books,
            situation,
            [row for row, rule in zip(rows, broken, strict=True) if not rule],
        )
    )
    for row, outside in zip(rows, broken, strict=True):
        key = canonical_json(row)
        reasons: list[str] = []
        if outside:
            reasons.append(f"outside-space: {outside}")
        elif refusal := next(refused):
            reasons.append(f"lab-refuses: {refusal}")
        if key in pending:
            reasons.append(
                "pending: the same conditions are under way or were rejected"
            )
        if key in seen:
            reasons.append(
                "repeated: the same conditions stand earlier in this request"
            )
        seen.add(key)
        verdicts.append(Verdict(tuple(reasons), bool(outside)))
    return verdicts


def _outside(situation: Situation, row: Conditions) -> str | None:
    try:
        check(situation.protocol, row)
    except SpaceError as error:
        return str(error)
    return None
