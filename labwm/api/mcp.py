"""The MCP door: agents look, predict, propose and submit; no tool approves."""

import inspect
import typing
from collections.abc import Callable, Sequence
from typing import Any, Final

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase, FuncMetadata
from mcp.server.transport_security import TransportSecuritySettings
from mcp.types import ToolAnnotations
from pydantic import ConfigDict, Field, ValidationError, create_model
from starlette.routing import BaseRoute, Route

import labwm
from labwm import campaign
from labwm.api.access import principal_with, require
from labwm.api.json_body import refuse_unstorable
from labwm.api.problems import as_text
from labwm.errors import LabwmError
from labwm.schema import (
    CampaignStatus,
    CategoricalParameter,
    Constraint,
    ContinuousParameter,
    Costs,
    DiscreteParameter,
    MeasurementPage,
    MixtureParameter,
    MoleculeParameter,
    Objective,
    OutcomeConstraint,
    Parameter,
    Principal,
    Readout,
    Record,
    Scope,
)
from labwm.schema.record import Scalar

MOST_LEVELS: Final = 60
"""Levels that a description lists; a library of molecules would fill a context."""
LAST_BATCHES: Final = 2
INSTRUCTIONS = """\
labwm stands between you and a laboratory. Looking, predicting and suggesting are \
cheap; measuring is dear and counts against the campaign's budget.
Start with lab_describe and lab_history. Then lab_suggest or your own ideas with \
lab_predict; lab_propose what is worth measuring, with your reason; lab_submit the \
proposals whose verdict is 'pass'; lab_status says what became of them. Some batches \
wait until a person approves them: you cannot."""

READS = ToolAnnotations(read_only_hint=True, open_world_hint=False)
WRITES = ToolAnnotations(
    read_only_hint=False, destructive_hint=False, idempotent_hint=True
)


class CampaignRequest(Record):
    """Name a campaign."""

    campaign_id: str


class HistoryRequest(Record):
    """Ask for some of a campaign's measurements, oldest first."""

    campaign_id: str
    offset: int = Field(default=0, ge=0, le=10**9)
    limit: int = Field(default=20, ge=1, le=50)


class Varied(Record):
    """A parameter and the values that it may take."""

    name: str
    kind: str
    unit: str | None
    bounds: tuple[float, float] | None = None
    levels: tuple[Scalar, ...] = ()
    """The first of them, at most `MOST_LEVELS`."""
    n_levels: int | None = None


class Description(Record):
    """What may be varied, what is observed and wanted, and what is left to spend."""

    protocol: str
    title: str
    parameters: tuple[Varied, ...]
    constraints: tuple[Constraint, ...]
    readouts: tuple[Readout, ...]
    objectives: tuple[Objective, ...]
    outcome_constraints: tuple[OutcomeConstraint, ...]
    costs: Costs
    lab: str
    batch_size: int
    budget: int
    n_measured: int
    n_pending: int


def create_server(caller: Callable[[], Principal]) -> MCPServer[Any]:
    """Return a server whose tools act as the principal that `caller` names.

    Args:
        caller: Asked once per call of a tool, in the context of that call.
    """

    def tool(
        name: str, use_case: Callable[..., Record], hints: ToolAnnotations
    ) -> Tool:
        return _tool(name, use_case, hints, caller)

    return MCPServer(
        "labwm",
        instructions=INSTRUCTIONS,
        version=labwm.__version__,
        log_level="WARNING",
        tools=[
            tool("lab_describe", describe, READS),
            tool("lab_history", history, READS),
            tool("lab_predict", campaign.predict, READS),
            tool("lab_suggest", campaign.suggest, READS),
            tool("lab_propose", campaign.propose, WRITES),
            tool("lab_submit", campaign.submit, WRITES),
            tool("lab_status", status, READS),
        ],
    )


def routes_of(server: MCPServer[Any], allowed_hosts: Sequence[str]) -> list[BaseRoute]:
    """Return the server's route at /mcp, to serve behind `KeyGate`.

    Its session manager runs in the lifespan of the application that serves them.
    """
    names = [name for host in allowed_hosts for name in (host, f"{host}:*")]
    security = TransportSecuritySettings(
        allowed_hosts=names, allowed_origins=[f"http://{name}" for name in names]
    )
    app = server.streamable_http_app(
        streamable_http_path="/mcp",
        stateless_http=True,
        json_response=True,
        transport_security=security,
    )
    for route in app.routes:
        if isinstance(route, Route):
            # Nothing is ever pushed here: a GET would hold its connection for nothing.
            route.methods = {"POST"}
    return app.routes


def serve_stdio(secret: str) -> None:
    """Serve one agent over standard input and output, as the holder of a key.

    The key is checked again at each call: revoking it ends what the agent may do.

    Raises:
        UnauthenticatedError: If the key is not valid.
    """

    def holder() -> Principal:
        return principal_with(secret)

    holder()
    create_server(holder).run("stdio")


def describe(request: CampaignRequest, *, principal: Principal) -> Description:
    """Say what this campaign may vary, observes and wants, and its budget."""
    require(principal, Scope.READ)
    found = campaign.status(request.campaign_id)
    protocol = campaign.protocol_of(request.campaign_id)
    return Description(
        protocol=found.summary.protocol,
        title=protocol.title,
        parameters=tuple(_varied(parameter) for parameter in protocol.parameters),
        constraints=protocol.constraints,
        readouts=protocol.readouts,
        objectives=protocol.objectives,
        outcome_constraints=protocol.outcome_constraints,
        costs=protocol.costs,
        lab=found.summary.lab,
        batch_size=found.spec.batch_size or protocol.lab.batch_size,
        budget=found.summary.budget,
        n_measured=found.summary.n_measured,
        n_pending=found.summary.n_pending,
    )


def _varied(parameter: Parameter) -> Varied:
    levels: tuple[Scalar, ...] = ()
    if isinstance(parameter, DiscreteParameter | CategoricalParameter):
        levels = parameter.levels or ()
    elif isinstance(parameter, MoleculeParameter):
        levels = parameter.smiles or ()
    elif isinstance(parameter, MixtureParameter):
        levels = parameter.part_columns
    is_continuous = isinstance(parameter, ContinuousParameter)
    return Varied(
        name=parameter.name,
        kind=parameter.kind,
        unit=parameter.unit,
        bounds=parameter.bounds if is_continuous else None,
        levels=levels[:MOST_LEVELS],
        n_levels=len(levels) or None,
    )


def history(request: HistoryRequest, *, principal: Principal) -> MeasurementPage:
    """List what was measured so far, failures included, with the total count."""
    require(principal, Scope.READ)
    return campaign.measurements(
        request.campaign_id, offset=request.offset, limit=request.limit
    )


def status(request: CampaignRequest, *, principal: Principal) -> CampaignStatus:
    """Say how the campaign stands: best so far, last batches, what it waits for."""
    require(principal, Scope.READ)
    found = campaign.status(request.campaign_id)
    return found.model_copy(update={"batches": found.batches[-LAST_BATCHES:]})


class _Arguments(ArgModelBase):
    # A misspelt argument is refused with the tool's schema, never dropped.
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


def _tool(
    name: str,
    use_case: Callable[..., Record],
    hints: ToolAnnotations,
    caller: Callable[[], Principal],
) -> Tool:
    request, answer = _records_of(use_case)

    def call(**arguments: object) -> Record:
        try:
            refuse_unstorable(arguments)
            return use_case(request.model_validate(arguments), principal=caller())
        except (LabwmError, ValidationError) as error:
            raise ToolError(as_text(error)) from error

    fields: Any = {key: (f.annotation, f) for key, f in request.model_fields.items()}
    arguments = create_model(f"{name}_arguments", __base__=_Arguments, **fields)
    return Tool(
        fn=call,
        name=name,
        title=None,
        context_kwarg=None,
        description=inspect.cleandoc(use_case.__doc__ or ""),
        parameters=arguments.model_json_schema(by_alias=True),
        fn_metadata=FuncMetadata(arg_model=arguments, output_model=answer),
        is_async=False,
        annotations=hints,
    )


def _records_of(use_case: Callable[..., Record]) -> tuple[type[Record], type[Record]]:
    hints = typing.get_type_hints(use_case)
    return hints["request"], hints["return"]
