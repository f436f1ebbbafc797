"""The names by which people know molecules: from a library or from a table."""

from labwm.data.protocols import load_labels
from labwm.data.table import Table
from labwm.schema import MoleculeParameter, Protocol

Labels = dict[str, dict[str, str]]
"""Parameter to SMILES as written to name."""


def labels_of(protocol: Protocol, source: str, table: Table | None) -> Labels:
    """Return the names of molecules, from the protocol's libraries and the table.

    Args:
        protocol: Whose molecule parameters may declare a `label_column`.
        source: Name or path of the protocol, whose library files hold names.
        table: Of the campaign, if it has one.
    """
    labels = {name: dict(known) for name, known in load_labels(source).items()}
    for parameter in protocol.parameters:
        if table and isinstance(parameter, MoleculeParameter):
            labels.setdefault(parameter.name, {}).update(_in_table(parameter, table))
    return {name: known for name, known in labels.items() if known}


def _in_table(parameter: MoleculeParameter, table: Table) -> dict[str, str]:
    label = parameter.label_column
    if label is None or not table.has(label) or not table.has(parameter.columns[0]):
        return {}
    pairs = zip(table.cells(parameter.columns[0]), table.cells(label), strict=True)
    return {smiles: name for smiles, name in pairs if smiles and name}
