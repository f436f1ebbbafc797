"""What wells take from the stocks of a protocol: amounts, volumes, hazards."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from labwm.errors import ProtocolError, UnitError, suggest
from labwm.schema import (
    CategoricalParameter,
    Conditions,
    DiscreteParameter,
    LevelCost,
    MoleculeParameter,
    Protocol,
    Stock,
)
from labwm.schema.record import Scalar
from labwm.units import product, split_quantity

WELLS = "wells"
"""Unit of a stock that is given as how many wells it lasts for."""

Labels = Mapping[str, Mapping[str, str]]
"""Names of molecules: parameter to SMILES to name."""


@dataclass(frozen=True)
class StockLine:
    """One stock, and what takes of it.

    Attributes:
        name: As people are told of it, and name of its account.
        amount: What there was when the protocol was written, in `unit`.
        unit: Of all its amounts.
        when: Conditions under which a well takes of it: any of the values of each.
        factor: Taken by a well, in `unit`; times the condition `of`, if there is one.
        of: Condition that what is taken is proportional to.
        per_batch: Lost with each batch that takes any.
        lead_time: Seconds until more is there once it is ordered.
    """

    name: str
    amount: float
    unit: str
    when: Mapping[str, frozenset[str]]
    factor: float
    of: str | None = None
    per_batch: float = 0.0
    lead_time: float | None = None

    def taken_by(self, conditions: Conditions) -> float:
        """Return what one well with these conditions takes, in the stock's unit."""
        for name, values in self.when.items():
            if text_of(conditions.get(name)) not in values:
                return 0.0
        if self.of is None:
            return self.factor
        value = conditions.get(self.of)
        return self.factor * value if isinstance(value, float | int) else 0.0

    def taken_by_all(self, wells: Sequence[Conditions]) -> float:
        """Return what the wells of one batch take together."""
        taken = sum(self.taken_by(conditions) for conditions in wells)
        return taken + self.per_batch if taken else 0.0


def check_levels(protocol: Protocol, labels: Labels) -> None:
    """Refuse costs of levels that are none, now that levels and names are known.

    Raises:
        ProtocolError: If a level that it names is none of its parameter.
    """
    for parameter, levels in protocol.costs.levels.items():
        _refuse_unknown_levels(protocol, parameter, list(levels), labels)


def stock_lines(protocol: Protocol, labels: Labels) -> tuple[StockLine, ...]:
    """Return every stock that a protocol declares.

    Raises:
        UnitError: If amounts do not fit together.
    """
    lines = [
        _level_line(parameter, key, level, labels)
        for parameter, key, level in _levels(protocol)
        if level.stock is not None
    ]
    for name, stock in protocol.costs.stocks.items():
        lines.append(_stock_line(protocol, name, stock, labels))
    return tuple(lines)


def hazards_of(
    protocol: Protocol, labels: Labels, wells: Sequence[Conditions]
) -> tuple[str, ...]:
    """Return the hazards in some wells, each as `class: what`; sorted, each once."""
    found: set[str] = set()
    for parameter, key, level in _levels(protocol):
        values = _values_of(labels, parameter, (key,))
        present = any(text_of(w.get(parameter)) in values for w in wells)
        if level.hazard is not None and present:
            found.add(f"{level.hazard}: {parameter} {key}")
    for name, stock in protocol.costs.stocks.items():
        line = _stock_line(protocol, name, stock, labels)
        if stock.hazard is not None and line.taken_by_all(wells):
            found.add(f"{stock.hazard}: {name}")
    return tuple(sorted(found))


def price_of(protocol: Protocol, labels: Labels, rows: Sequence[Conditions]) -> float:
    """Return what one batch of experiments costs, its levels included."""
    costs = protocol.costs
    total = costs.per_batch.amount + costs.per_experiment.amount * len(rows)
    for parameter, key, level in _levels(protocol):
        values = _values_of(labels, parameter, (key,))
        n_with = sum(text_of(row.get(parameter)) in values for row in rows)
        total += (level.price or 0.0) * n_with
    return total


def overfull(
    protocol: Protocol, lines: Sequence[StockLine], conditions: Conditions
) -> str | None:
    """Say by how much the stocks in one well exceed it; None if they fit."""
    if protocol.plate is None or protocol.plate.well_volume is None:
        return None
    room, unit = split_quantity(protocol.plate.well_volume)
    volume = 0.0
    for line in lines:
        if line.unit == WELLS:
            continue
        try:
            volume += product([(line.taken_by(conditions), line.unit)], unit)
        except UnitError:
            continue  # a mass takes no volume that is known
    if volume <= room * (1 + 1e-9):
        return None
    return f"{volume:g} {unit} in a well that holds {room:g} {unit}"


def check_stocks(protocol: Protocol) -> None:
    """Refuse amounts that do not fit together, before labels and levels are known.

    Raises:
        UnitError: If they do not.
        ProtocolError: If a parameter without levels has levels with costs.
    """
    for name, stock in protocol.costs.stocks.items():
        _stock_line(protocol, name, stock, {})
    for parameter, levels in protocol.costs.levels.items():
        _refuse_without_levels(protocol, parameter)
        for key, level in levels.items():
            if level.stock is not None:
                _level_line(parameter, key, level, {})
    if protocol.plate is not None and protocol.plate.well_volume is not None:
        volume, unit = split_quantity(protocol.plate.well_volume)
        product([(volume, unit)], "mL")


def text_of(value: Scalar | None) -> str:
    """Return a condition as protocols write it: 500, not 500.0."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _levels(protocol: Protocol) -> Iterator[tuple[str, str, LevelCost]]:
    for parameter, levels in protocol.costs.levels.items():
        for key, level in levels.items():
            yield parameter, key, level


def _refuse_without_levels(protocol: Protocol, name: str) -> None:
    parameter = next(p for p in protocol.parameters if p.name == name)
    kinds = (DiscreteParameter, CategoricalParameter, MoleculeParameter)
    if not isinstance(parameter, kinds):
        raise ProtocolError(
            f"Only discrete, categorical and molecule parameters have levels; "
            f"costs.levels names {name!r}, which is {parameter.kind}. Declare it under "
            "costs.stocks."
        )


def _refuse_unknown_levels(
    protocol: Protocol, name: str, keys: Sequence[str], labels: Labels
) -> None:
    parameter = next(p for p in protocol.parameters if p.name == name)
    if isinstance(parameter, MoleculeParameter):
        levels: Sequence[Scalar] = parameter.smiles or ()
    elif isinstance(parameter, DiscreteParameter | CategoricalParameter):
        levels = parameter.levels or ()
    else:
        levels = ()
    known = {text_of(level) for level in levels} | set(labels.get(name, {}).values())
    if not levels:
        return  # they come from a table that is not at hand
    for key in keys:
        if key not in known:
            raise ProtocolError(
                f"costs.levels names levels of the parameter {name!r}; got {key!r}. "
                f"{suggest(key, known)}"
            )


def _values_of(labels: Labels, name: str, keys: Sequence[Scalar]) -> frozenset[str]:
    """Return the values, as text, that some keys stand for: by value or by name."""
    texts = {text_of(key) for key in keys}
    named = {value for value, label in labels.get(name, {}).items() if label in texts}
    return frozenset(texts | named)


def _level_line(
    parameter: str, key: str, level: LevelCost, labels: Labels
) -> StockLine:
    amount, unit, each = level.stock or 0.0, WELLS, 1.0
    if isinstance(amount, str):
        amount, unit = split_quantity(amount)
        each = product([split_quantity(level.uses or "")], unit)
    return StockLine(
        name=f"{parameter} {key}",
        amount=float(amount),
        unit=unit,
        when={parameter: _values_of(labels, parameter, (key,))},
        factor=each,
        lead_time=level.lead_time,
    )


def _stock_line(
    protocol: Protocol, name: str, stock: Stock, labels: Labels
) -> StockLine:
    amount, unit = split_quantity(stock.amount)
    when = {key: _values_of(labels, key, values) for key, values in stock.when.items()}
    try:
        factor = _factor(protocol, stock, unit)
        lost = (
            product([split_quantity(stock.per_batch)], unit) if stock.per_batch else 0
        )
    except UnitError as error:
        raise UnitError(f"costs.stocks: {name!r}: {error}") from error
    return StockLine(
        name=name,
        amount=amount,
        unit=unit,
        when=when,
        factor=factor,
        of=stock.of,
        per_batch=lost,
        lead_time=stock.lead_time,
    )


def _factor(protocol: Protocol, stock: Stock, unit: str) -> float:
    if stock.per_well is not None:
        return product([split_quantity(stock.per_well)], unit)
    of = stock.of or ""
    parameter = next(p for p in protocol.parameters if p.name == of.split(".")[0])
    times = [(1.0, parameter.unit or "dimensionless")]
    if stock.volume is not None:
        times.append(split_quantity(stock.volume))
    over = [split_quantity(stock.concentration)] if stock.concentration else []
    return product(times, unit, over=over)
