"""The command line: names every command, and imports one only when it is called."""

import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from typing import Final

from cyclopts import App

from labwm import __version__
from labwm.errors import LabwmError

STOPPED: Final = 130
DEFECT: Final = 1

_COMMANDS: Final[Mapping[str, Mapping[str, str]]] = {
    "campaign: Start campaigns, move them on, decide on their batches.": {
        "start campaigns:start": "Open a campaign and run it until it waits.",
        "advance campaigns:advance": "Move a campaign on until it waits.",
        "status campaigns:status": "Say how a campaign stands.",
        "list campaigns:list_all": "List all campaigns.",
        "approve decisions:approve": "Approve the batch that waits.",
        "reject decisions:reject": "Reject the batch that waits.",
        "report campaigns:report": "Write the report: figures and one page.",
    },
    "lab: Labs that run experiments.": {
        "list labs:list_all": "List the labs.",
        "check labs:check": "Check that a lab can work here.",
        "work labs:work": "Run the jobs that wait in a lab's folder.",
    },
    "model: The world models of campaigns.": {
        "show models:show": "Show the model card of a campaign.",
    },
    "key: Bearer keys for people, agents and services.": {
        "create keys:create": "Create a key; its secret is shown once.",
        "list keys:list_all": "List the keys, without secrets.",
        "revoke keys:revoke": "Revoke a key for ever.",
    },
    "db: The ledger.": {
        "upgrade database:upgrade": "Bring the ledger to this program's revision.",
        "backup database:backup": "Copy the ledger to a file while it is in use.",
        "verify database:verify": "Check every campaign's chain.",
    },
}
_SINGLE: Final = {
    "up servers:up": "Start Prefect, the deployments, the API and the pages.",
    "serve servers:serve": "Serve REST, MCP and the pages.",
    "mcp servers:mcp": "Serve one agent over standard input and output.",
    "openapi servers:openapi": "Print the OpenAPI document of the REST door.",
    "doctor database:doctor": "Say what is where, and what is wrong with it.",
}


def create_cli() -> App:
    """Return the command line with every command registered by name only."""
    app = App(
        name="labwm",
        help="A world model of the lab, between agents and the real one.",
        version=__version__,
        version_flags=["--version"],
        result_action="return_value",
    )
    for group, commands in _COMMANDS.items():
        name, _, meaning = group.partition(": ")
        inner = App(name=name, help=meaning)
        _register(inner, commands)
        app.command(inner)
    _register(app, _SINGLE)
    return app


def _register(app: App, commands: Mapping[str, str]) -> None:
    for key, meaning in commands.items():
        name, target = key.split()
        app.command(f"labwm.api.commands.{target}", name=name, help=meaning)


def run(words: Sequence[str]) -> int:
    """Run one command and return its exit status.

    A deliberate error is one line on standard error; anything else is a defect and
    shows its traceback.
    """
    try:
        return create_cli()(words) or 0
    except LabwmError as error:
        sys.stderr.write(f"error[{error.code}]: {error}\n")
        return error.exit_status
    except KeyboardInterrupt:
        sys.stderr.write("\nStopped; what was stored stays stored.\n")
        return STOPPED
    except BrokenPipeError:
        # The reader of a pipe went away; nothing may be flushed to it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception:  # noqa: BLE001 the last place that can say what happened
        traceback.print_exc()
        sys.stderr.write("error[unexpected]: This is a defect; please report it.\n")
        return DEFECT


def main() -> None:
    """Run the command that the process was started with."""
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
