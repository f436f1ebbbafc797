"""`labwm up|serve|mcp|openapi`."""

import os
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from labwm.api.ports import LOOPBACK
from labwm.api.terminal import out
from labwm.errors import InvalidInputError, UnauthenticatedError

AllowedHosts = Annotated[
    list[str],
    Parameter(
        name="--allow-host",
        negative=(),
        help="Another name under which clients address this server; repeatable.",
    ),
]


def up(*, port: int = 8300, prefect_port: int = 4200) -> None:
    """Start Prefect, the deployments, the API and the pages; Ctrl-C stops them.

    Args:
        port: Port of the API and the pages, on loopback.
        prefect_port: Port of Prefect's pages and API, on loopback.
    """
    from labwm.api.launch import Ports
    from labwm.api.launch import up as launch

    launch(Ports(api=port, prefect=prefect_port), say=_say)


def serve(
    *,
    port: int = 8300,
    host: str = LOOPBACK,
    allow_host: AllowedHosts = [],  # noqa: B006 cyclopts reads it, nobody changes it
) -> None:
    """Serve REST, MCP and the pages until stopped.

    Args:
        port: Port to listen on; 0 takes any free one.
        host: Address to bind to; anything but loopback needs --allow-host.
    """
    from labwm.api.rest import LOOPBACK_NAMES, create_app, run_server

    if host != LOOPBACK and not allow_host:
        raise InvalidInputError(
            "A server that others reach names the hosts it is addressed by; got "
            f"--host {host} alone. Add --allow-host NAME, and put TLS in front of it."
        )
    app = create_app(allowed_hosts=(*LOOPBACK_NAMES, *allow_host))
    run_server(app, host=host, port=port, say=_say)


def mcp() -> None:
    """Serve one agent over standard input and output, as the holder of LABWM_KEY."""
    secret = os.environ.get("LABWM_KEY")
    if not secret:
        raise UnauthenticatedError(
            "An agent acts under a key; LABWM_KEY is not set. Set it to the secret of "
            "`labwm key create NAME --kind agent`."
        )
    from labwm.api.mcp import serve_stdio

    serve_stdio(secret)


def openapi(*, file: Path | None = None) -> None:
    """Print the OpenAPI document of the REST door, or write it to a file.

    Args:
        file: Where to write it.
    """
    from labwm.api.rest import openapi_json

    if file is None:
        out.print(openapi_json(), markup=False, end="")
    else:
        file.write_text(openapi_json(), encoding="utf-8")


def _say(text: str) -> None:
    out.print(text, markup=False)
    out.file.flush()
