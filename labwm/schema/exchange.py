"""What doors and use-cases hand each other: one record per request and per answer."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, Field, model_validator

from labwm.schema.campaign import CampaignSpec, CampaignState, WaitsFor
from labwm.schema.job import Well
from labwm.schema.measurement import Conditions, Measurement
from labwm.schema.model_card import ModelCard
from labwm.schema.outlook import Outlook
from labwm.schema.plate import PlateLayout
from labwm.schema.prediction import PredictedReadout
from labwm.schema.proposal import Proposal, StoredPrediction
from labwm.schema.record import Record, Sha256
from labwm.schema.stock import AccountInfo


class Scope(StrEnum):
    """What a key lets its principal do."""

    READ = "read"
    PROPOSE = "propose"
    SUBMIT = "submit"
    APPROVE = "approve"
    ADMIN = "admin"


class PrincipalKind(StrEnum):
    """Who stands behind a key; an agent never approves."""

    PERSON = "person"
    AGENT = "agent"
    SERVICE = "service"


def _in_order(scopes: tuple[Scope, ...]) -> tuple[Scope, ...]:
    return tuple(sorted(set(scopes)))


Scopes = Annotated[tuple[Scope, ...], AfterValidator(_in_order)]
"""Scopes as a set: order and repeats do not matter."""


class Principal(Record):
    """Somebody who is known, and what they may do."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._@-]{1,63}$")
    kind: PrincipalKind
    scopes: Scopes

    def may(self, scope: Scope) -> bool:
        """Does any of the scopes allow this?"""
        return scope in self.scopes or Scope.ADMIN in self.scopes


class KeyRequest(Record):
    """Ask for a bearer key."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._@-]{1,63}$")
    kind: PrincipalKind = PrincipalKind.AGENT
    scopes: Scopes = (Scope.PROPOSE, Scope.READ)


class KeyCreated(Record):
    """A new key; its secret is shown once and only its hash is stored."""

    principal: Principal
    secret: str


class KeyInfo(Record):
    """A key as it is listed: never the secret."""

    principal: Principal
    key_id: str
    is_revoked: bool


class PredictRequest(Record):
    """Ask what measuring some conditions once would give."""

    campaign_id: str
    experiments: tuple[Conditions, ...] = Field(min_length=1, max_length=1000)


class PredictAnswer(Record):
    """Stored predictions, in the order asked; cite their ids when proposing."""

    predictions: tuple[StoredPrediction, ...]
    recipe: str
    n_rows: int


class SuggestRequest(Record):
    """Ask a policy what to measure next; nothing is sent to a lab."""

    campaign_id: str
    n: int = Field(default=4, ge=1, le=96)
    policy: str = "default"


class Suggestion(Record):
    """One suggestion with its reason."""

    conditions: Conditions
    reason: str
    acquisition: float | None = None
    support: float | None = None
    success: float | None = None
    readouts: dict[str, PredictedReadout] = {}


class SuggestAnswer(Record):
    """Suggestions in the order of preference."""

    policy: str
    suggestions: tuple[Suggestion, ...]


class ProposeRequest(Record):
    """Propose experiments of one's own; they are screened and stored, not yet sent."""

    campaign_id: str
    experiments: tuple[Conditions, ...] = Field(min_length=1, max_length=384)
    reason: str = Field(min_length=3, max_length=2000)
    idempotency_key: str = Field(min_length=8, max_length=128)
    """The same key again returns the first answer; with other content it is refused."""


class ScreenedProposal(Record):
    """A proposal and what screening said of it."""

    proposal: Proposal
    prediction: StoredPrediction | None
    verdict: Literal["pass", "hold"]
    reasons: tuple[str, ...]
    """Reason codes with words: `measured-before: …`, `outside-space: …`."""


class ProposeAnswer(Record):
    """What became of the proposals."""

    proposals: tuple[ScreenedProposal, ...]


class SubmitRequest(Record):
    """Ask that proposals which passed screening be measured in the next round."""

    campaign_id: str
    proposal_ids: tuple[str, ...] = Field(min_length=1, max_length=384)
    idempotency_key: str = Field(min_length=8, max_length=128)


class SubmitAnswer(Record):
    """What will be measured, and what it still waits for."""

    queued: tuple[str, ...]
    n_left: int
    """Experiments that the budget still allows after these."""
    needs_approval: bool


class ApprovalRequest(Record):
    """Decide on exactly the batch whose content has this digest."""

    campaign_id: str
    content_sha256: Sha256
    decision: Literal["approve", "trim", "reject"]
    keep: tuple[str, ...] = Field(default=(), max_length=10_000)
    """With `trim`: identifiers of the proposals that stay; the rest is left out."""
    note: str = Field(default="", max_length=2000)

    @model_validator(mode="after")
    def _keeps_only_where_it_trims(self) -> "ApprovalRequest":
        if bool(self.keep) != (self.decision == "trim"):
            raise ValueError(
                "to trim, and only that, names what to keep; got decision "
                f"{self.decision!r} with {len(self.keep)} to keep"
            )
        return self


class BudgetRequest(Record):
    """Raise the budget of a campaign; a person's act, as an approval is."""

    campaign_id: str
    budget: int = Field(ge=1, le=1_000_000)
    """Experiments in all, what was spent before included."""
    note: str = Field(min_length=3, max_length=2000)


class SupplyRequest(Record):
    """Say that more of a stock is there; a person's act."""

    campaign_id: str
    stock: str
    amount: str = Field(max_length=100)
    """What came in: a quantity, or a number of wells."""
    note: str = Field(min_length=3, max_length=2000)
    idempotency_key: str = Field(min_length=8, max_length=128)
    """The same key again adds nothing."""


class GateResult(Record):
    """What one gate said of a batch."""

    gate: str
    passed: bool
    why: str


class Decision(Record):
    """Who decided on a batch, how and when."""

    how: str
    """approved, self-approved, auto-approved, rejected or expired."""
    by: str
    """Principal; or the written policy, or what moved it."""
    at: AwareDatetime
    note: str = ""


class UnfreezeRequest(Record):
    """Let a frozen campaign go on."""

    campaign_id: str
    note: str = Field(min_length=3, max_length=2000)
    """What the person found; kept with the decision."""


class SettleRequest(Record):
    """Say what a lab said of a job whose acknowledgement was lost."""

    campaign_id: str
    verdict: Literal["arrived", "never_arrived", "given_up"]
    submission_key: str | None = None
    """Of the job in doubt; the last one when not given."""
    note: str = Field(default="", max_length=2000)


class BatchInfo(Record):
    """A batch and where it stands."""

    batch_id: str
    round: int
    """From 0, as in the records of its proposals; people are told one more."""
    content_sha256: Sha256
    approval: str
    """drafted, awaiting, approved, rejected or expired."""
    submission: str | None
    """State of its job; None before one exists."""
    submission_key: str | None
    proposals: tuple[Proposal, ...]
    wells: tuple[Well, ...] = ()
    """Exactly what would be sent, by place; controls included."""
    plate: PlateLayout | None = None
    cost: float = 0.0
    currency: str | None = None
    asks: tuple[str, ...] = ()
    """Why a person is asked; nothing where the written policy decides."""
    gates: tuple[GateResult, ...] = ()
    decision: Decision | None = None


class CampaignSummary(Record):
    """One line of a list of campaigns."""

    campaign_id: str
    title: str
    protocol: str
    lab: str
    state: CampaignState
    waits_for: WaitsFor
    round: int
    """Rounds so far; people count them from 1, records from 0."""
    n_measured: int
    """Experiments of batches with a result, failed ones included."""
    n_failed: int
    """Experiments whose results hold no value."""
    n_pending: int
    """Experiments of the open batch without a result."""
    n_own: int
    """Results that people took in beside the batches."""
    budget: int
    opened_at: AwareDatetime


class Best(Record):
    """The best measurement so far of one objective."""

    readout: str
    goal: str
    value: float
    unit: str | None
    conditions: Conditions


class CalibrationSoFar(Record):
    """Predictions stored before, against what was measured first after each."""

    readout: str
    n: int
    n_inside_90: int
    coverage_90: float
    low: float
    """Lower end of the 95 % interval of the coverage (Wilson)."""
    high: float


class CampaignStatus(Record):
    """How a campaign stands."""

    summary: CampaignSummary
    spec: CampaignSpec
    best: tuple[Best, ...]
    calibration: tuple[CalibrationSoFar, ...]
    batches: tuple[BatchInfo, ...]
    """The last ones, the first of them first; ask for an earlier one by its name."""
    n_batches: int = Field(default=0, ge=0)
    """How many there are in all."""
    model: ModelCard | None
    outlook: Outlook | None = None
    """What was left to gain when the last round was proposed; None without a model."""
    link: str
    frozen: str | None = None
    """Why nothing is sent until a person has looked; None if it goes on."""
    accounts: tuple[AccountInfo, ...] = ()
    """Budget and stocks, as far as a batch has asked for them."""


class MeasurementPage(Record):
    """Some measurements of a campaign, failures included."""

    total: int
    measurements: tuple[Measurement, ...]


class ReportSummary(Record):
    """Where a report lies, and its figures."""

    folder: str
    page: str
    figures: dict[str, float]
    headline: tuple[str, ...]


class Problem(Record):
    """An error as the doors show it, after RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    code: str
