"""How wrong a campaign's own predictions were: what its next intervals learn from."""

from collections.abc import Sequence

from labwm.campaign.books import Books
from labwm.schema import Measurement, Status


def forecast_errors(
    books: Books, campaign_id: str, measurements: Sequence[Measurement]
) -> dict[str, tuple[float, ...]]:
    """Return `(measured - location) / scale` of predictions stored before, by readout.

    Only plain values count, in the order of the measurements.
    """
    proposals = {p.id: p for p in books.ledger.proposals(campaign_id)}
    predictions = {p.id: p for p in books.ledger.predictions(campaign_id)}
    errors: dict[str, list[float]] = {}
    for measurement in measurements:
        proposal = proposals.get(measurement.proposal_id or "")
        if proposal is None or proposal.prediction_id is None:
            continue
        for name, stated in predictions[proposal.prediction_id].readouts.items():
            found = measurement.readouts.get(name)
            if found is None or found.value is None or found.status is not Status.OK:
                continue
            scale = (stated.epistemic**2 + stated.aleatoric**2) ** 0.5
            if scale > 0:
                error = (found.value - stated.location) / scale
                errors.setdefault(name, []).append(error)
    return {name: tuple(found) for name, found in errors.items()}
