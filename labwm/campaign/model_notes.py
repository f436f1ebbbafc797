"""What a campaign's model is, in Markdown: recipes, the last review, card, plots."""

from labwm.campaign.books import Books, books
from labwm.campaign.markdown import image, text
from labwm.campaign.recipes import Champion, champions
from labwm.campaign.reporting import record_of
from labwm.campaign.reviewing import REVIEWED, ModelReview
from labwm.campaign.situation import Situation, read_situation
from labwm.errors import InvalidInputError, NotEnoughDataError
from labwm.schema import ModelCard


def model_note(campaign_id: str) -> str:
    """Tell which recipes hold and why, how the last review went, and the model's card.

    The model is fitted to everything measured so far, by the recipe that holds.

    Raises:
        NotFoundError: If there is no such campaign.
    """
    store = books()
    situation = read_situation(store, campaign_id)
    reviewed = store.ledger.events(campaign_id, kind=REVIEWED)
    lines = [f"# Model of {campaign_id}", "", *_recipes(champions(campaign_id))]
    if reviewed:
        lines += _review(ModelReview.model_validate(reviewed[-1].body))
    lines += _card(situation)
    lines += _plots(store, situation)
    return "\n".join(lines) + "\n"


def _recipes(held: tuple[Champion, ...]) -> list[str]:
    rows = [
        f"| {one.use} | **{one.recipe}** | "
        f"{f'{one.since:%Y-%m-%d %H:%M} UTC' if one.since else 'the opening'} | "
        f"{text(one.by)} | {text(one.why)} |"
        for one in held
    ]
    return [
        "| use | recipe | since | by | why |",
        "|---|---|---|---|---|",
        *rows,
        "",
    ]


def _review(found: ModelReview) -> list[str]:
    lines = [
        f"## Last review: {found.verdict}",
        "",
        found.why,
        "",
        f"Champion **{found.champion}**, challenger **{found.challenger}**; "
        f"{found.n_scored} predictions scored in {found.n_rounds} rounds, each by "
        "models fitted to what was measured before. Data sha256 "
        f"`{found.data_sha256[:12]}`.",
        "",
    ]
    if found.crps and found.log_loss and found.coverage90:
        lines += [
            "| challenger minus champion | mean | 95 % interval |",
            "|---|---|---|",
        ]
        for name, one in (
            ("CRPS [standard deviations]", found.crps),
            ("log loss [nats]", found.log_loss),
        ):
            lines.append(
                f"| {name} | {one.mean:.3g} | {one.low:.3g} to {one.high:.3g} |"
            )
        own, other = found.coverage90
        lines += [
            "",
            f"90 % intervals held {own:.2f} (champion) and {other:.2f} (challenger).",
            "",
        ]
    return lines


def _card(situation: Situation) -> list[str]:
    from labwm.campaign.modelling import fitted

    try:
        card = fitted(situation).card
    except NotEnoughDataError as error:
        return ["## Card", "", f"There is no model yet: {text(str(error))}", ""]
    return [
        "## Card",
        "",
        f"Recipe **{card.recipe}**, labwm {card.labwm_version}; {card.n_rows} "
        f"measurements and {card.n_failed} failures of {text(card.protocol_name)} "
        f"version {card.protocol_version}. Data sha256 `{card.data_sha256}`.",
        "",
        *(f"- {name}: {text(told)}" for name, told in card.structure.items()),
        *(f"- {text(note)}" for note in card.notes),
        "",
        *_metrics(card),
    ]


def _metrics(card: ModelCard) -> list[str]:
    rows = [
        f"| {one.readout} | {one.name} | {one.value:.4g} | "
        f"{_interval(one.low, one.high)} | {one.n} | {text(one.how)} |"
        for one in card.metrics
    ]
    head = [
        "| readout | metric | value | interval | n | how |",
        "|---|---|---|---|---|---|",
    ]
    return [*head, *rows, ""]


def _interval(low: float | None, high: float | None) -> str:
    return "–" if low is None or high is None else f"{low:.4g} to {high:.4g}"


def _plots(store: Books, situation: Situation) -> list[str]:
    from labwm.evaluation.campaign_record import stated_before
    from labwm.evaluation.honesty_plots import before_after_plot, calibration_plot

    try:
        stated = stated_before(record_of(store, situation))
    except InvalidInputError:  # nothing was measured
        stated = None
    if stated is None:
        return [
            "Nothing was predicted and then measured yet: there is nothing to draw."
        ]
    return [
        "## Predictions stored before measuring",
        "",
        image("predicted against measured", before_after_plot(stated)),
        "",
        image("calibration", calibration_plot(stated)),
        "",
    ]
