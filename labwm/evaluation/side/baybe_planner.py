"""BayBE over JSON lines, with its own defaults; run by a side interpreter.

A line with `pool` builds the search space, a line with `ask` gets a batch. Molecules
are `SubstanceParameter` with BayBE's default encoding, names are one-hot, numbers
discrete.
"""

import numpy as np
import pandas as pd
from baybe import Campaign  # pyright: ignore[reportMissingImports]
from baybe.objectives import (  # pyright: ignore[reportMissingImports]
    ParetoObjective,
    SingleTargetObjective,
)
from baybe.parameters import (  # pyright: ignore[reportMissingImports]
    CategoricalParameter,
    NumericalDiscreteParameter,
    SubstanceParameter,
)
from baybe.searchspace import (  # pyright: ignore[reportMissingImports]
    SearchSpace,
    SubspaceDiscrete,
)
from baybe.targets import NumericalTarget  # pyright: ignore[reportMissingImports]
from baybe.utils.random import (  # pyright: ignore[reportMissingImports]
    set_random_seed,
)
from grid import answer_lines  # pyright: ignore[reportMissingImports]


class Planner:
    """The search space of one table, and batches from it."""

    def __init__(self, message):
        self.names = [column["name"] for column in message["columns"]]
        frame = pd.DataFrame(message["pool"], columns=self.names)
        parameters = [parameter(column, frame) for column in message["columns"]]
        self.frame = frame
        self.space = SearchSpace(
            discrete=SubspaceDiscrete.from_dataframe(frame, parameters)
        )
        self.row_of = {key: row for row, key in enumerate(keys(frame))}
        self.targets = [target(o) for o in message["objectives"]]

    def ask(self, message):
        """Return rows of the pool."""
        set_random_seed(message["seed"])
        several = len(self.targets) > 1
        objective = (
            ParetoObjective(self.targets)
            if several
            else SingleTargetObjective(self.targets[0])
        )
        campaign = Campaign(searchspace=self.space, objective=objective)
        known = [m for m in message["measured"] if None not in m["values"]]
        failed = [m["row"] for m in message["measured"] if None in m["values"]]
        if known:
            table = self.frame.iloc[[m["row"] for m in known]].reset_index(drop=True)
            for j, one in enumerate(self.targets):
                table[one.name] = [m["values"][j] for m in known]
            campaign.add_measurements(table)
        if failed:
            campaign.toggle_discrete_candidates(self.frame.iloc[failed], exclude=True)
        chosen = campaign.recommend(message["ask"])
        return [self.row_of[key] for key in keys(chosen[self.names])]


def parameter(column, frame):
    """Return BayBE's parameter for one column."""
    name, values = column["name"], frame[column["name"]]
    levels = sorted(values.unique())
    if len(levels) == 1:
        raise ValueError(f"{name} has one level only")
    if column["kind"] == "number":
        return NumericalDiscreteParameter(name, values=levels)
    if column["kind"] == "molecule":
        return SubstanceParameter(name, data={level: level for level in levels})
    return CategoricalParameter(name, values=levels)


def target(objective):
    """Return BayBE's target for one objective."""
    name, goal = objective["readout"], objective["goal"]
    if goal == "match":
        return NumericalTarget.match_absolute(name, match_value=objective["target"])
    return NumericalTarget(name, minimize=goal == "minimise")


def keys(frame):
    """Return the rows of a table as tuples."""
    return [
        tuple(float(v) if isinstance(v, (float, int, np.number)) else v for v in row)
        for row in frame.itertuples(index=False)
    ]


if __name__ == "__main__":
    answer_lines(Planner)
