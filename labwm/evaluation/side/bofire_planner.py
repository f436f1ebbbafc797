"""BoFire over JSON lines, with its own defaults; run by a side interpreter.

Names and molecules are one-hot categories, numbers discrete. One objective is `Sobo`,
several `Mobo`; until something was measured `Random`.
"""

import bofire.strategies.api as strategies  # pyright: ignore[reportMissingImports]
import pandas as pd
from bofire.data_models.domain.api import (  # pyright: ignore[reportMissingImports]
    Domain,
)
from bofire.data_models.features.api import (  # pyright: ignore[reportMissingImports]
    CategoricalInput,
    ContinuousOutput,
    DiscreteInput,
)
from bofire.data_models.objectives.api import (  # pyright: ignore[reportMissingImports]
    MaximizeObjective,
    MinimizeObjective,
)
from bofire.data_models.strategies.api import (  # pyright: ignore[reportMissingImports]
    MoboStrategy,
    RandomStrategy,
    SoboStrategy,
)
from grid import answer_lines, fresh, levels_of  # pyright: ignore[reportMissingImports]


class Planner:
    """The grid of one table, and batches from it."""

    def __init__(self, message):
        self.levels, self.row_of = levels_of(message)
        self.rows = {row: key for key, row in self.row_of.items()}
        self.kinds = {c["name"]: c["kind"] for c in message["columns"]}
        self.targets = [o["readout"] for o in message["objectives"]]
        self.domain = Domain.from_lists(
            inputs=[self.feature(name) for name in self.levels],
            outputs=[output(o) for o in message["objectives"]],
        )

    def ask(self, message):
        """Return rows of the pool."""
        known = [m for m in message["measured"] if None not in m["values"]]
        kind = SoboStrategy if len(self.targets) == 1 else MoboStrategy
        kind = kind if len(known) > 1 else RandomStrategy
        strategy = strategies.map(kind(domain=self.domain, seed=message["seed"]))
        if kind is not RandomStrategy:
            strategy.tell(self.table(known))
        found = strategy.ask(message["ask"])
        proposed = [
            self.row_of[tuple(self.level(name, row[name]) for name in self.levels)]
            for _, row in found.iterrows()
        ]
        taken = {one["row"] for one in message["measured"]}
        return fresh(proposed, taken, len(self.rows), message["ask"])

    def table(self, known):
        """Return what was measured as BoFire reads it."""
        table = pd.DataFrame(
            [self.rows[m["row"]] for m in known], columns=list(self.levels)
        )
        for j, name in enumerate(self.targets):
            table[name] = [m["values"][j] for m in known]
            table[f"valid_{name}"] = 1
        return table

    def level(self, name, value):
        """Return the level that a proposed value stands for."""
        if self.kinds[name] != "number":
            return value
        return min(self.levels[name], key=lambda level: abs(level - value))

    def feature(self, name):
        """Return BoFire's input for one column."""
        if self.kinds[name] == "number":
            return DiscreteInput(key=name, values=self.levels[name])
        return CategoricalInput(key=name, categories=self.levels[name])


def output(objective):
    """Return BoFire's output for one objective."""
    goals = {"maximise": MaximizeObjective, "minimise": MinimizeObjective}
    if objective["goal"] not in goals:
        raise ValueError(f"the goal {objective['goal']} has no plain counterpart")
    return ContinuousOutput(
        key=objective["readout"], objective=goals[objective["goal"]](w=1.0)
    )


if __name__ == "__main__":
    answer_lines(Planner)
