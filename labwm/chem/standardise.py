"""Standardise a molecule for curation reports, and refuse where that would lose it.

The input always stays beside the result. The identity of a reagent is its canonical
SMILES as given (potassium acetate is a base, not acetic acid); standardising serves to
find the same substance under two writings.
"""

from collections import Counter
from dataclasses import dataclass

from rdkit import Chem, rdBase
from rdkit.Chem.MolStandardize import rdMolStandardize

from labwm.chem.molecule import canonical, parse

METALS = frozenset(
    number
    for first, last in ((3, 4), (11, 13), (19, 31), (37, 50), (55, 84), (87, 118))
    for number in range(first, last + 1)
)
"""Atomic numbers; metalloids (B, Si, Ge, As, Sb, Te) do not count."""

COUNTER_IONS = {
    Chem.MolToSmiles(parse(smiles), isomericSmiles=False): name
    for name, smiles in {
        "lithium": "[Li+]",
        "sodium": "[Na+]",
        "potassium": "[K+]",
        "caesium": "[Cs+]",
        "magnesium": "[Mg+2]",
        "calcium": "[Ca+2]",
        "ammonia": "N",
        "fluoride": "F",
        "chloride": "Cl",
        "bromide": "Br",
        "iodide": "I",
        "nitrate": "O[N+](=O)[O-]",
        "perchlorate": "O[Cl](=O)(=O)=O",
        "sulfate": "OS(=O)(=O)O",
        "phosphate": "OP(=O)(O)O",
        "carbonate": "OC(=O)O",
        "tetrafluoroborate": "F[B-](F)(F)F",
        "hexafluorophosphate": "F[P-](F)(F)(F)(F)F",
        "formate": "OC=O",
        "acetate": "CC(=O)O",
        "trifluoroacetate": "OC(=O)C(F)(F)F",
        "mesylate": "CS(=O)(=O)O",
        "triflate": "OS(=O)(=O)C(F)(F)F",
        "tosylate": "Cc1ccc(cc1)S(=O)(=O)O",
        "oxalate": "OC(=O)C(=O)O",
        "fumarate or maleate": "OC(=O)C=CC(=O)O",
        "succinate": "OC(=O)CCC(=O)O",
        "tartrate": "OC(=O)C(O)C(O)C(=O)O",
        "citrate": "OC(=O)CC(O)(CC(=O)O)C(=O)O",
        "water": "O",
        "methanol": "CO",
        "ethanol": "CCO",
        "2-propanol": "CC(C)O",
        "acetonitrile": "CC#N",
        "acetone": "CC(C)=O",
        "ethyl acetate": "CCOC(C)=O",
        "diethyl ether": "CCOCC",
        "tetrahydrofuran": "C1CCOC1",
        "dichloromethane": "ClCCl",
        "chloroform": "ClC(Cl)Cl",
        "toluene": "Cc1ccccc1",
        "dimethylformamide": "CN(C)C=O",
        "dimethyl sulfoxide": "CS(C)=O",
    }.items()
}
"""What may be removed beside a parent, by neutral SMILES without stereochemistry."""


@dataclass(frozen=True)
class Standardised:
    """What standardising did to one molecule."""

    input: str
    """The SMILES as it was given."""
    standardised: str
    """Canonical SMILES of the parent; where refused, of the input, whole."""
    changes: tuple[str, ...]
    """Each change in words, in order; empty if only the writing changed or nothing."""
    reason: str = ""
    """Why standardising was refused; empty if it was not."""

    @property
    def is_refused(self) -> bool:
        """Tell whether standardising would have lost a part of the molecule."""
        return bool(self.reason)


def standardise(smiles: str) -> Standardised:
    """Normalise groups, remove known counter-ions and solvents, neutralise charges.

    Tautomers stay as they are: canonical tautomers of RDKit lose some aromatic rings
    (rdkit#8960). Isotopes and stereochemistry stay.

    Raises:
        MoleculeError: If `smiles` is not a molecule.
    """
    given = parse(smiles)
    whole = Chem.MolToSmiles(given)
    with rdBase.BlockLogs():
        clean = rdMolStandardize.Cleanup(given)
    fragments = Chem.GetMolFrags(clean, asMols=True)
    if reason := _metal_reason(fragments):
        return Standardised(smiles, whole, (), reason)
    parents = {
        Chem.MolToSmiles(fragment): fragment
        for fragment in fragments
        if len(fragments) == 1 or not _counter_ion(fragment)
    }
    if reason := _parent_reason(list(parents)):
        return Standardised(smiles, whole, (), reason)
    (charged, parent), *_ = parents.items()
    # Sanitise again: standardising may leave a molecule unsanitised (rdkit#3094).
    standardised = canonical(Chem.MolToSmiles(_neutral(parent)))
    changes = _cleaning(whole, clean) + _removals(fragments, charged)
    if standardised != charged:
        changes.append("charges neutralised")
    return Standardised(smiles, standardised, tuple(changes))


def _metal_reason(fragments: tuple[Chem.Mol, ...]) -> str:
    """Say which metal would part from its ligands; one whole fragment keeps them."""
    if len(fragments) == 1:
        return ""
    symbols = {
        atom.GetSymbol()
        for fragment in fragments
        if not _counter_ion(fragment)
        for atom in fragment.GetAtoms()
        if atom.GetAtomicNum() in METALS
    }
    if not symbols:
        return ""
    return (
        f"The metal {', '.join(sorted(symbols))} would part from its ligands; keep the "
        "complex or salt as it was given."
    )


def _parent_reason(parents: list[str]) -> str:
    if len(parents) == 1:
        return ""
    if not parents:
        return (
            "Every fragment is a counter-ion or a solvent, so that none is the parent; "
            "keep the salt as it was given."
        )
    return (
        f"It holds {len(parents)} fragments that are no known counter-ion or solvent "
        f"({', '.join(sorted(parents))}); separate them or keep the mixture as given."
    )


def _cleaning(whole: str, clean: Chem.Mol) -> list[str]:
    return [] if Chem.MolToSmiles(clean) == whole else ["groups normalised"]


def _removals(fragments: tuple[Chem.Mol, ...], parent: str) -> list[str]:
    written = Counter(
        "repeated parent" if Chem.MolToSmiles(f) == parent else _counter_ion(f)
        for f in fragments
    )
    written["repeated parent"] -= 1
    return [f"removed {n} x {name}" for name, n in sorted(written.items()) if n]


def _counter_ion(fragment: Chem.Mol) -> str:
    """Return the name of a known counter-ion or solvent, or nothing."""
    neutral = Chem.MolToSmiles(_neutral(fragment), isomericSmiles=False)
    return COUNTER_IONS.get(neutral, "")


def _neutral(molecule: Chem.Mol) -> Chem.Mol:
    with rdBase.BlockLogs():
        return rdMolStandardize.Uncharger().uncharge(molecule)
