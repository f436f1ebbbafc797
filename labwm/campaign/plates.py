"""Lay a batch out on a plate, and check the plate map that would be sent."""

import hashlib
from collections import Counter
from collections.abc import Sequence

from labwm.errors import InvalidInputError
from labwm.schema import Control, Job, Plate, PlateLayout, Protocol, Well


def lay_out(
    protocol: Protocol, wells: Sequence[Well], *, seed: int
) -> tuple[Well, ...]:
    """Give the wells of a batch their places on the plate, and add the controls.

    As many places as are needed are taken down the columns, and their order is drawn:
    by the digest of seed and place, so that any program draws it again. Without a
    plate the wells keep their names.

    Raises:
        InvalidInputError: If they do not fit.
    """
    plate = protocol.plate
    if plate is None:
        return tuple(wells)
    if len(wells) > plate.n_free:
        raise InvalidInputError(
            f"A plate of {plate.rows} x {plate.columns} has room for {plate.n_free} "
            f"wells beside its controls; got {len(wells)}. Make the batch smaller."
        )
    fixed = [
        _control_well(place, control=control, n=n)
        for control in plate.controls
        for n, place in enumerate(control.wells)
    ]
    loose = [
        _control_well("?", control=control, n=n)
        for control in plate.controls
        for n in range(control.count)
    ]
    taken = {well.name for well in fixed} | set(plate.unused)
    free = [place for place in plate.places if place not in taken]
    wells = sorted(wells, key=lambda well: (well.proposal_id or "", well.replicate))
    drawn = _in_drawn_order(free[: len(wells) + len(loose)], seed)
    placed = [
        well.model_copy(update={"name": place})
        for well, place in zip([*wells, *loose], drawn, strict=True)
    ]
    order = {place: i for i, place in enumerate(plate.places)}
    return tuple(sorted([*fixed, *placed], key=lambda well: order[well.name]))


def layout_of(protocol: Protocol, *, seed: int) -> PlateLayout | None:
    """Return what a job says of its plate."""
    if protocol.plate is None:
        return None
    return PlateLayout(
        rows=protocol.plate.rows, columns=protocol.plate.columns, seed=seed
    )


def faults_of(protocol: Protocol, job: Job) -> list[str]:
    """Return what is wrong with the plate map of a job; nothing if it is right."""
    plate = protocol.plate
    if plate is None:
        return [] if job.plate is None else ["the protocol declares no plate"]
    if job.plate is None:
        return ["the batch was not laid out on the plate that the protocol declares"]
    faults: list[str] = []
    size = (job.plate.rows, job.plate.columns)
    if size != (plate.rows, plate.columns):
        faults.append(f"a plate of {plate.rows} x {plate.columns}; got {size}")
    faults += _control_faults(plate, job)
    faults += _replicate_faults(protocol, job)
    if len([w for w in job.wells if w.control is None]) > plate.n_free:
        return [*faults, f"room for {plate.n_free} wells beside the controls"]
    if wrong := sorted({well.name for well in job.wells} & set(plate.unused)):
        faults.append(f"{wrong} stay empty")
    if not faults and not _is_drawn(protocol, job):
        faults.append(f"the order is not the one drawn with seed {job.plate.seed}")
    return faults


def _control_faults(plate: Plate, job: Job) -> list[str]:
    faults: list[str] = []
    found: dict[str, list[Well]] = {}
    for well in job.wells:
        if well.control is not None:
            found.setdefault(well.control, []).append(well)
    for control in plate.controls:
        wells = found.pop(control.name, [])
        places = {well.name for well in wells}
        if len(wells) != control.n_wells or not places.issuperset(control.wells):
            wanted = list(control.wells) or f"{control.count} wells"
            faults.append(f"control {control.name} in {wanted}; got {sorted(places)}")
        if any(well.conditions != control.conditions for well in wells):
            faults.append(f"control {control.name} with its own conditions")
    return faults + [f"no control is called {name}" for name in found]


def _replicate_faults(protocol: Protocol, job: Job) -> list[str]:
    n_wells = Counter(w.proposal_id for w in job.wells if w.proposal_id is not None)
    wanted = protocol.n_replicates
    few = [name for name, n in n_wells.items() if n < wanted]
    return [f"{wanted} wells of each experiment; {few[0]} has fewer"] if few else []


def _is_drawn(protocol: Protocol, job: Job) -> bool:
    wells = [well for well in job.wells if well.proposal_id is not None]
    seed = job.plate.seed if job.plate else 0
    return lay_out(protocol, wells, seed=seed) == job.wells


def _control_well(place: str, *, control: Control, n: int) -> Well:
    return Well(
        name=place,
        proposal_id=None,
        conditions=control.conditions,
        replicate=n,
        control=control.name,
    )


def _in_drawn_order(places: Sequence[str], seed: int) -> list[str]:
    def key(place: str) -> bytes:
        return hashlib.sha256(f"{seed}/{place}".encode()).digest()

    return sorted(places, key=key)
