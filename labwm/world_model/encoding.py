"""From a protocol and a choice of features to encoded inputs.

Shapes: `q` questions, `d` dense columns.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from labwm.chem.fingerprints import Kind
from labwm.errors import SpaceError
from labwm.schema import (
    CategoricalParameter,
    ContextParameter,
    ContinuousParameter,
    DiscreteParameter,
    MixtureParameter,
    MoleculeParameter,
    Protocol,
    Scale,
)
from labwm.schema.parameters import Parameter
from labwm.space.questions import Questions
from labwm.world_model.columns import (
    ColumnEncoder,
    MoleculeEncoder,
    NamesEncoder,
    NumberEncoder,
    TimeEncoder,
    smiles_of,
)
from labwm.world_model.embedding import (
    Standardiser,
    fit_kernel_pca,
    fit_similarity,
    fit_standardiser,
)
from labwm.world_model.inputs import Inputs
from labwm.world_model.molecules import counts_of, descriptors_of, distinct

MoleculeFeatures = Literal[
    "kernel-pca", "kernel-pca-names", "names", "similarity", "library", "quick-library"
]

N_COMPONENTS = 5
"""Components per role; 3 and 8 found optima later on two reaction grids."""
FEW_OF_A_ROLE = 16
"""So many molecules are told apart by a few components, more by their similarity."""
MOST_COMPONENTS = 60
"""Of a role that is compared by similarity as a whole."""
MAX_LANDMARKS = 400
LIBRARY_KINDS: tuple[Kind, ...] = ("ecfp4", "atom_pair", "torsion")


@dataclass(frozen=True)
class Encoder:
    """Turns questions into the inputs of one kernel.

    Attributes:
        dense: Encoders of the dense columns.
        library: Molecule parameter compared by whole fingerprints and descriptors.
        standardiser: Of the library's descriptors.
        is_quick: Are only descriptors used that take little time?
    """

    dense: tuple[ColumnEncoder, ...]
    library: str | None = None
    standardiser: Standardiser | None = None
    is_quick: bool = False

    @property
    def groups(self) -> Tensor:
        """Lengthscale of each dense column, length `d`."""
        groups: list[int] = []
        for encoder in self.dense:
            first = groups[-1] + 1 if groups else 0
            own = range(encoder.width)
            groups += [first + (0 if encoder.is_tied else i) for i in own]
        return torch.tensor(groups, dtype=torch.int64)

    def encode(self, questions: Questions) -> Inputs:
        """Encode questions.

        Raises:
            SpaceError: If a condition that the protocol declares is absent.
            MoleculeError: If a SMILES is not a molecule.
        """
        parts = [np.empty((len(questions), 0))]
        parts += [encoder.columns(questions) for encoder in self.dense]
        dense = torch.from_numpy(np.concatenate(parts, axis=1))
        if self.library is None or self.standardiser is None:
            return Inputs(dense)
        smiles = smiles_of(questions, self.library)
        names, row = distinct(smiles)
        z = self.standardiser.apply(descriptors_of(names, self.is_quick))
        # Over the root of their number, so that two molecules are about 1 apart.
        smooth = torch.from_numpy(z / np.sqrt(max(z.shape[1], 1)))[torch.as_tensor(row)]
        counts = tuple(counts_of(smiles, kind) for kind in LIBRARY_KINDS)
        return Inputs(dense, (smooth,), counts)


def build_encoder(
    protocol: Protocol,
    seen: Sequence[Questions],
    features: MoleculeFeatures,
) -> Encoder:
    """Build the encoder of a protocol.

    Args:
        protocol: Declares the parameters.
        seen: Questions whose levels count where the protocol declares none: those
            measured and those that may be asked.
        features: How molecules are compared.

    Raises:
        SpaceError: If a condition that the protocol declares is absent.
    """
    _refuse_absent(protocol, seen)
    conditional = {c.parameter for c in protocol.constraints if c.kind == "depends"}
    dense: list[ColumnEncoder] = []
    library = None
    for parameter in protocol.parameters:
        if isinstance(parameter, MoleculeParameter):
            if features in ("library", "quick-library"):
                library = parameter.name
            else:
                dense += _molecule_encoders(parameter, seen, features)
        else:
            dense += _plain_encoders(parameter, seen, parameter.name in conditional)
    dense += _time_encoders(seen)
    if library is None:
        return Encoder(tuple(dense))
    # The molecules measured, not the pool: descriptors cost milliseconds each.
    names = sorted(set(smiles_of(seen[0], library)))
    is_quick = features == "quick-library"
    standardiser = fit_standardiser(descriptors_of(names, is_quick))
    return Encoder(tuple(dense), library, standardiser, is_quick)


def levels_of(
    parameter: MoleculeParameter | CategoricalParameter | ContextParameter,
    seen: Iterable[Questions],
) -> tuple[str, ...]:
    """Return the levels that are declared or met, sorted."""
    match parameter:
        case MoleculeParameter():
            declared = parameter.smiles or ()
        case CategoricalParameter():
            declared = parameter.levels or ()
        case ContextParameter():
            declared = ()
    met = (smiles_of(questions, parameter.name) for questions in seen)
    return tuple(sorted(set(declared).union(*met)))


def _plain_encoders(
    parameter: Parameter, seen: Sequence[Questions], is_conditional: bool
) -> list[ColumnEncoder]:
    match parameter:
        case ContinuousParameter():
            low, high = parameter.bounds
            return [
                NumberEncoder(
                    parameter.name, low, high, parameter.scale, is_conditional
                )
            ]
        case DiscreteParameter():
            low, high = min(parameter.levels), max(parameter.levels)
            return [
                NumberEncoder(
                    parameter.name, low, high, parameter.scale, is_conditional
                )
            ]
        case MixtureParameter():
            return [
                NumberEncoder(name, 0.0, 1.0, Scale.LINEAR, is_conditional)
                for name in parameter.part_columns
            ]
        case CategoricalParameter() | ContextParameter():
            return [NamesEncoder(parameter.name, levels_of(parameter, seen))]
    return []


def _molecule_encoders(
    parameter: MoleculeParameter,
    seen: Sequence[Questions],
    features: MoleculeFeatures,
) -> list[ColumnEncoder]:
    levels = levels_of(parameter, seen)
    if features == "names":
        return [NamesEncoder(parameter.name, levels)]
    landmarks = levels
    if len(levels) > MAX_LANDMARKS:
        chosen = np.random.default_rng(0).permutation(len(levels))[:MAX_LANDMARKS]
        landmarks = tuple(levels[i] for i in sorted(chosen))
    if features == "similarity" and len(levels) > FEW_OF_A_ROLE:
        embedding = fit_similarity(landmarks, MOST_COMPONENTS)
        return [MoleculeEncoder(parameter.name, embedding, is_tied=True)]
    embedding = fit_kernel_pca(landmarks, N_COMPONENTS)
    encoders: list[ColumnEncoder] = [MoleculeEncoder(parameter.name, embedding)]
    if features == "kernel-pca-names" and len(levels) <= MAX_LANDMARKS:
        # What structure does not tell: two alike molecules may still differ.
        encoders.append(NamesEncoder(parameter.name, levels))
    return encoders


def _time_encoders(seen: Sequence[Questions]) -> list[ColumnEncoder]:
    times = seen[0].time
    if times is None or not len(times):
        return []
    return [TimeEncoder(float(times.min()), float(times.max()))]


def _refuse_absent(protocol: Protocol, seen: Sequence[Questions]) -> None:
    for questions in seen:
        if absent := sorted(set(protocol.condition_names) - set(questions.columns)):
            raise SpaceError(
                f"Questions hold a column for each condition of {protocol.name!r}; got "
                f"none for {absent[0]!r}. Build them with `questions_from`."
            )
