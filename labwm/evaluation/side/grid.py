"""What adapters of planners that search whole grids share; standard library only."""

import json
import resource
import sys
import warnings


def levels_of(message):
    """Return each column's levels, and the row of each combination.

    Raises:
        ValueError: If the table is not the whole grid of its levels.
    """
    names = [column["name"] for column in message["columns"]]
    rows = [tuple(row[name] for name in names) for row in message["pool"]]
    levels = {name: sorted({row[j] for row in rows}) for j, name in enumerate(names)}
    n_grid = 1
    for own in levels.values():
        n_grid *= len(own)
    if n_grid != len(rows) or len(set(rows)) != len(rows):
        raise ValueError(
            f"it searches whole grids; the table has {len(rows)} of {n_grid} "
            "combinations"
        )
    return levels, {row: i for i, row in enumerate(rows)}


def fresh(proposed, taken, n_rows, n):
    """Return up to n rows as proposed; what was measured or proposed twice is left out.

    Where nothing is left the first row that was not measured is taken, so that a
    campaign goes on.
    """
    chosen = []
    for row in proposed:
        if row not in taken and row not in chosen:
            chosen.append(row)
    if not chosen:
        chosen = [next(row for row in range(n_rows) if row not in taken)]
    return chosen[:n]


def answer_lines(planner_of):
    """Answer each line of standard input with one line, by a planner of a pool."""
    warnings.simplefilter("ignore")
    planner = None
    # What the packages print must not stand between the answers.
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        message = json.loads(line)
        try:
            if "pool" in message:
                planner = planner_of(message)
                answer = {"ok": True}
            elif planner is None:
                answer = {"error": "a batch is asked for before any pool"}
            else:
                answer = {"rows": planner.ask(message)}
        except Exception as error:  # noqa: BLE001 the other side says it
            answer = {"error": f"{type(error).__name__}: {error}"[:2000]}
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
        answers.write(json.dumps(answer | {"peak_mb": peak}) + "\n")
        answers.flush()
