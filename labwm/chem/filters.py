"""Why a molecule is not wanted in a screen: structural alerts and property windows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

from rdkit import Chem
from rdkit.Chem import Descriptors, FilterCatalog, rdMolDescriptors

from labwm.chem.molecule import parse
from labwm.errors import InvalidInputError, suggest

PROPERTIES: Mapping[str, Callable[[Chem.Mol], float]] = {
    "weight": Descriptors.MolWt,  # pyright: ignore[reportAttributeAccessIssue]
    "logp": lambda molecule: rdMolDescriptors.CalcCrippenDescriptors(molecule)[0],
    "tpsa": rdMolDescriptors.CalcTPSA,
    "donors": rdMolDescriptors.CalcNumHBD,
    "acceptors": rdMolDescriptors.CalcNumHBA,
    "rotatable": rdMolDescriptors.CalcNumRotatableBonds,
    "rings": rdMolDescriptors.CalcNumRings,
    "heavy_atoms": rdMolDescriptors.CalcNumHeavyAtoms,
    "charge": Chem.GetFormalCharge,
}
"""Properties that a window may limit: g/mol, Å² and numbers."""


@dataclass(frozen=True)
class Filters:
    """What a molecule must keep to.

    Attributes:
        windows: Property to its least and greatest value, both allowed.
        refuses_alerts: Refuse the substructures that interfere with assays (PAINS).

    Reference:
        Baell & Holloway, J. Med. Chem. 53, 2719 (2010).
    """

    windows: Mapping[str, tuple[float, float]]
    refuses_alerts: bool = True

    def __post_init__(self) -> None:
        for name, (low, high) in self.windows.items():
            if name not in PROPERTIES:
                raise InvalidInputError(
                    f"A window limits a known property; got {name!r}. "
                    f"{suggest(name, PROPERTIES)}"
                )
            if not low <= high:
                raise InvalidInputError(
                    f"A window runs from its least to its greatest value; {name} got "
                    f"{low:g} to {high:g}. Swap them."
                )

    def reason(self, smiles: str) -> str | None:
        """Return the code of the first rule that a molecule breaks, if there is one.

        `property:NAME` or `pains:NAME`; windows come first, they cost less.

        Raises:
            MoleculeError: If it is no molecule.
        """
        molecule = parse(smiles)
        for name in sorted(self.windows):
            low, high = self.windows[name]
            if not low <= PROPERTIES[name](molecule) <= high:
                return f"property:{name}"
        if self.refuses_alerts and (match := _alerts().GetFirstMatch(molecule)):
            return f"pains:{match.GetDescription()}"
        return None


@cache
def _alerts() -> FilterCatalog.FilterCatalog:
    chosen = FilterCatalog.FilterCatalogParams()
    chosen.AddCatalog(FilterCatalog.FilterCatalogParams.FilterCatalogs.PAINS)
    return FilterCatalog.FilterCatalog(chosen)
