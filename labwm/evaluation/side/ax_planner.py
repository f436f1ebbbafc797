"""Ax over JSON lines, with the defaults of its client; run by a side interpreter.

Names and molecules are unordered choices, numbers ordered ones: Ax has no molecules.
Each batch is asked of a client that is told everything measured so far.
"""

import logging

from ax.api.client import Client  # pyright: ignore[reportMissingImports]
from ax.api.configs import (  # pyright: ignore[reportMissingImports]
    ChoiceParameterConfig,
)
from grid import answer_lines, fresh, levels_of  # pyright: ignore[reportMissingImports]


class Planner:
    """The grid of one table, and batches from it."""

    def __init__(self, message):
        self.levels, self.row_of = levels_of(message)
        self.rows = {row: key for key, row in self.row_of.items()}
        self.kinds = {c["name"]: c["kind"] for c in message["columns"]}
        if any(o["goal"] == "match" for o in message["objectives"]):
            raise ValueError("its client has no target to match")
        # Ax reads objectives as expressions, in which `yield` is no name.
        self.metrics = [f"readout{j}" for j in range(len(message["objectives"]))]
        self.objective = ", ".join(
            ("-" if o["goal"] == "minimise" else "") + name
            for name, o in zip(self.metrics, message["objectives"], strict=True)
        )

    def ask(self, message):
        """Return rows of the pool."""
        client = Client(random_seed=message["seed"])
        client.configure_experiment(
            parameters=[self.parameter(name) for name in self.levels]
        )
        client.configure_optimization(objective=self.objective)
        for one in message["measured"]:
            point = dict(zip(self.levels, self.rows[one["row"]], strict=True))
            trial = client.attach_trial(parameters=point)
            if None in one["values"]:
                client.mark_trial_failed(trial_index=trial)
            else:
                values = dict(zip(self.metrics, one["values"], strict=True))
                client.complete_trial(trial_index=trial, raw_data=values)
        found = client.get_next_trials(max_trials=message["ask"]).values()
        proposed = [
            self.row_of[tuple(point[name] for name in self.levels)] for point in found
        ]
        taken = {one["row"] for one in message["measured"]}
        return fresh(proposed, taken, len(self.rows), message["ask"])

    def parameter(self, name):
        """Return Ax's parameter for one column."""
        is_number = self.kinds[name] == "number"
        return ChoiceParameterConfig(
            name=name,
            values=self.levels[name],
            parameter_type="float" if is_number else "str",
            is_ordered=is_number,
        )


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    answer_lines(Planner)
