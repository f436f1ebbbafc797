"""Number the feasible points of a constrained space, and find one by its number.

With the number of points below every state known, a point of any rank is found in one
pass over the axes: a fair draw from 6**15 constrained points costs no enumeration.
"""

from dataclasses import dataclass

from labwm.errors import SpaceError
from labwm.schema import Conditions
from labwm.space.levels import Level
from labwm.space.walk import Node, Walk

Branch = tuple[list[Level | None], Node, int]


@dataclass(frozen=True)
class Ranking:
    """The feasible points of a walk in a fixed order."""

    walk: Walk
    branches: list[dict[Node, list[Branch]]]
    """For each axis and state: (values, next state, points below one value)."""
    n_points: int

    def point(self, rank: int) -> Conditions:
        """Return the feasible point of that rank, from 0 up to `n_points`.

        Raises:
            SpaceError: If there is no such rank.
        """
        if not 0 <= rank < self.n_points:
            raise SpaceError(
                f"A rank lies from 0 to {self.n_points - 1}; got {rank}. Ask for "
                "another."
            )
        node, conditions = self.walk.root(), Conditions()
        for axis, layer in zip(self.walk.axes, self.branches, strict=True):
            for values, child, below in layer[node]:
                if rank < below * len(values):
                    value = values[rank // below]
                    rank, node = rank % below, child
                    if value is not None:
                        conditions[axis.name] = value
                    break
                rank -= below * len(values)
        return conditions


def ranking_of(walk: Walk) -> Ranking:
    """Number the points of a walk that can be counted; costs as much as counting."""
    n_axes = len(walk.axes)
    found: list[dict[Node, list[Branch]]] = []
    layer = [walk.root()]
    for i in range(n_axes):
        found.append({node: walk.branches(node, i) for node in layer})
        layer = list(
            {child: None for group in found[i].values() for _, child, _ in group}
        )
    below: dict[Node, int] = dict.fromkeys(layer, 1)
    for i in reversed(range(n_axes)):
        found[i] = {
            node: [(v, child, below[child]) for v, child, _ in group if below[child]]
            for node, group in found[i].items()
        }
        below = {
            node: sum(len(values) * n for values, _, n in group)
            for node, group in found[i].items()
        }
    return Ranking(walk, found, below.get(walk.root(), 0))
