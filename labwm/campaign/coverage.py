"""How often the 90 % intervals held what was measured after they were stored."""

from collections.abc import Mapping

from labwm import scores
from labwm.schema import CalibrationSoFar, Protocol
from labwm.store.tallies import INSIDE, STATED


def calibration(
    tally: Mapping[str, int], protocol: Protocol
) -> tuple[CalibrationSoFar, ...]:
    """Return coverage of first results per readout, with its interval at 95 %.

    Args:
        tally: What became of a campaign's experiments.
        protocol: The present one: its readouts come first.
    """
    scored = {what.removeprefix(STATED) for what in tally if what.startswith(STATED)}
    present = [name for name in protocol.readout_names if name in scored]
    return tuple(
        _so_far(name, tally[STATED + name], tally.get(INSIDE + name, 0))
        for name in (*present, *sorted(scored - set(present)))
    )


def _so_far(readout: str, n: int, n_inside: int) -> CalibrationSoFar:
    low, high = scores.share_interval(n_inside, n)
    return CalibrationSoFar(
        readout=readout,
        n=n,
        n_inside_90=n_inside,
        coverage_90=n_inside / n,
        low=low,
        high=high,
    )
