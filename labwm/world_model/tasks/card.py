"""What a task prior was learnt from."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TaskCard:
    """The card of a task prior.

    Attributes:
        n_assays: Learnt from.
        n_rows: Of all of them.
        n_items: Distinct, readable.
        n_unreadable: Rows left out because their item could not be read.
        n_limits: Rows whose value is a limit; they count as limits.
        n_without_value: Rows whose label alone was learnt from.
        data_sha256: Of the assays, see `labwm.data.assays.digest`.
        labwm_version: That learnt it.
        settings: What else decides it.
        notes: Where the data come from, their licence, in words.
    """

    n_assays: int
    n_rows: int
    n_items: int
    n_unreadable: int
    n_limits: int
    n_without_value: int
    data_sha256: str
    labwm_version: str
    settings: dict[str, float | str]
    notes: tuple[str, ...] = ()
