"""Named kernel structures, and which of them a recipe tries on a protocol.

A structure says how molecules are compared and which prior its lengthscales have.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from labwm.errors import NotFoundError, suggest
from labwm.schema import CategoricalParameter, MoleculeParameter, Protocol
from labwm.space.questions import Questions
from labwm.world_model.encoding import LIBRARY_KINDS, MoleculeFeatures, levels_of
from labwm.world_model.kernel import Term

RECIPES: Final = ("default", "explore")
"""`default` predicts best; `explore` has the prior that finds optima soonest."""

FEW_LEVELS: Final = 30
"""So many molecules of one role are told apart by components rather than whole."""


@dataclass(frozen=True)
class Structure:
    """One candidate.

    Attributes:
        name: As the model card shows it.
        features: How molecules are compared.
        prior: `wide` is weak; `chen` expects long lengthscales and a large variance;
            `explore` expects little noise as well.
        is_isotropic: Do all dense columns share one lengthscale?
    """

    name: str
    features: MoleculeFeatures = "names"
    prior: Literal["wide", "chen", "explore"] = "wide"
    is_isotropic: bool = False

    @property
    def terms(self) -> tuple[Term, ...]:
        """Summands of the kernel."""
        if self.features not in ("library", "quick-library"):
            return (Term("constant"),)
        fingerprints = [Term("minmax", i) for i in range(len(LIBRARY_KINDS))]
        return (*fingerprints, Term("matern", 0))

    def quick(self) -> "Structure":
        """Return the structure with features that very many molecules can afford."""
        if self.features != "library":
            return self
        return replace(self, name=f"{self.name}-quick", features="quick-library")


NUMERIC = (
    Structure("ard-matern52"),
    Structure("isotropic-matern52", is_isotropic=True),
)
NUMBERS_EXPLORE = (Structure("ard-matern52"),)
"""Numbers alone: there the weak prior finds optima sooner than the strong one."""
NAMES_EXPLORE = (Structure("ard-matern52-explore", prior="explore"),)
LIBRARY = (Structure("summed-tanimoto-descriptors", "library"),)
REACTION = (
    Structure("kpca-identity", "kernel-pca-names"),
    Structure("kpca-chen", "kernel-pca", "chen"),
    Structure("one-hot-chen", "names", "chen"),
)
REACTION_EXPLORE = (Structure("similarity-explore", "similarity", "explore"),)
"""Five components cannot tell the molecules of a large role apart: a search that has
nothing else never finds the best of them (docs/benchmarks.md, "Representations")."""


def candidates(
    protocol: Protocol, seen: Sequence[Questions], recipe: str
) -> tuple[Structure, ...]:
    """Return the structures that a recipe compares on a protocol.

    Raises:
        NotFoundError: If there is no such recipe.
    """
    if recipe not in RECIPES:
        raise NotFoundError(
            f"A recipe is one of {', '.join(RECIPES)}; got {recipe!r}. "
            f"{suggest(recipe, RECIPES)}"
        )
    molecules = [p for p in protocol.parameters if isinstance(p, MoleculeParameter)]
    if not molecules:
        if recipe != "explore":
            return NUMERIC
        return NAMES_EXPLORE if _has_names(protocol) else NUMBERS_EXPLORE
    if len(molecules) == 1 and len(levels_of(molecules[0], seen)) > FEW_LEVELS:
        return LIBRARY
    return REACTION_EXPLORE if recipe == "explore" else REACTION


def _has_names(protocol: Protocol) -> bool:
    return any(isinstance(p, CategoricalParameter) for p in protocol.parameters)
