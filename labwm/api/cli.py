"""The command line: names every command, and imports one only when it is called."""

import os
import sys
import traceback
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from cyclopts import App

from labwm import __version__
from labwm.errors import LabwmError

STOPPED: Final = 130
DEFECT: Final = 1


class _Command(NamedTuple):
    """A command by name: where it is, and what it does in one line."""

    name: str
    target: str
    meaning: str


_GROUPS: Final = {
    "protocol": "What an experiment is.",
    "data": "Assay data: public sets and tables.",
    "bench": "Back-tests on any table with any protocol.",
    "campaign": "Start campaigns, move them on, decide on their batches.",
    "lab": "Labs that run experiments.",
    "model": "The world models of campaigns.",
    "key": "Bearer keys for people, agents and services.",
    "db": "The ledger.",
}
_COMMANDS: Final = {
    "protocol": (
        _Command("init", "protocols:init", "Guess a first protocol from a table."),
        _Command("validate", "protocols:validate", "Check a protocol, line by line."),
        _Command("show", "protocols:show", "Show what may be varied and is wanted."),
        _Command("list", "protocols:list_all", "List the protocols that ship."),
        _Command("schema", "protocols:schema", "Print the JSON schema of protocols."),
    ),
    "data": (
        _Command("list", "data:list_all", "List the public sets of the catalogue."),
        _Command("fetch", "data:fetch", "Fetch a public set and check its sha256."),
        _Command("describe", "data:describe", "Say what a set or a table holds."),
        _Command("import", "data:import_table", "Curate a table and keep it as zarr."),
    ),
    "bench": (
        _Command(
            "optimize", "bench_optimize:optimize", "How fast do policies find the best?"
        ),
        _Command("screen", "bench:screen", "How much of a pool's best is found?"),
        _Command(
            "dynamics", "bench_dynamics:dynamics", "How well are curves foretold?"
        ),
        _Command("predict", "bench_models:predict", "How well do models predict rows?"),
        _Command(
            "feedback", "bench_models:feedback", "Do intervals hold in campaigns?"
        ),
        _Command(
            "practise",
            "bench_practise:practise",
            "Does practice in the virtual lab pay in the real one?",
        ),
        _Command(
            "exploit",
            "bench_exploit:exploit",
            "What becomes of a choice that is searched harder and harder?",
        ),
        _Command(
            "stopping", "bench_stopping:stopping", "Is little left where it is said?"
        ),
        _Command(
            "fidelity",
            "bench_fidelity:fidelity",
            "Does the virtual lab rank policies as the real one does?",
        ),
        _Command(
            "offpolicy",
            "bench_offpolicy:offpolicy",
            "What is a policy worth, judged from another's log?",
        ),
        _Command("env", "bench:env", "How fast are the practice environments?"),
        _Command(
            "tasks", "bench_tasks:tasks", "What many assays teach about new ones."
        ),
        _Command("core", "core:core", "How fast is the default model's core?"),
        _Command(
            "procedures",
            "bench_procedures:procedures",
            "How well are operations foreseen and planned?",
        ),
        _Command(
            "procedure-log", "bench_procedures:procedure_log", "Log real procedures."
        ),
    ),
    "campaign": (
        _Command("start", "campaigns:start", "Open a campaign and run it."),
        _Command("advance", "campaigns:advance", "Move a campaign on until it waits."),
        _Command("status", "campaigns:status", "Say how a campaign stands."),
        _Command("list", "campaigns:list_all", "List all campaigns."),
        _Command("approve", "decisions:approve", "Approve the batch that waits."),
        _Command("reject", "decisions:reject", "Reject the batch that waits."),
        _Command("unfreeze", "decisions:unfreeze", "Let a frozen campaign go on."),
        _Command("amend", "amending:amend", "Change what it may do, or its results."),
        _Command("pause", "amending:pause", "Send nothing more for now."),
        _Command("resume", "amending:resume", "Let a paused campaign go on."),
        _Command("stop", "amending:stop", "End it before its budget is spent."),
        _Command("trim", "spending:trim", "Leave some out and approve the rest."),
        _Command("budget", "spending:budget", "Raise the budget, as a person."),
        _Command("supply", "spending:supply", "Say that more of a stock came in."),
        _Command("settle", "decisions:settle", "Say what became of a job in doubt."),
        _Command("report", "campaigns:report", "Write the report: figures and a page."),
    ),
    "lab": (
        _Command("list", "labs:list_all", "List the labs."),
        _Command("check", "labs:check", "Check that a lab can work here."),
        _Command("work", "labs:work", "Run the jobs that wait in a lab's folder."),
        _Command("serve", "labs:serve", "Serve a lab that plays a table, over HTTP."),
        _Command("install", "labs:install", "Make a side interpreter for a program."),
    ),
    "model": (
        _Command("list", "models:list_all", "List the recipes of campaigns' models."),
        _Command("show", "models:show", "Show the card of a campaign's model."),
        _Command("promote", "models:promote", "Let a recipe hold from now on."),
        _Command("rollback", "models:rollback", "Undo the last promotion."),
        _Command("reference", "models:reference", "Keep a bench's result for reviews."),
    ),
    "key": (
        _Command("create", "keys:create", "Create a key; its secret is shown once."),
        _Command("list", "keys:list_all", "List the keys, without secrets."),
        _Command("revoke", "keys:revoke", "Revoke a key for ever."),
    ),
    "db": (
        _Command("upgrade", "database:upgrade", "Migrate the ledger, after a backup."),
        _Command("downgrade", "database:downgrade", "Go back one release."),
        _Command("backup", "database:backup", "Copy the ledger while it is in use."),
        _Command("verify", "database:verify", "Check every campaign's chain."),
    ),
}
_SINGLE: Final = (
    _Command("screen", "screening:screen", "Screen a pool of molecules."),
    _Command("up", "servers:up", "Start Prefect, the deployments, API and pages."),
    _Command("serve", "servers:serve", "Serve REST, MCP and the pages."),
    _Command("mcp", "servers:mcp", "Serve one agent over standard input and output."),
    _Command("openapi", "servers:openapi", "Print the OpenAPI document of REST."),
    _Command("trace", "tracing:trace", "Where a thing comes from; what rests on it."),
    _Command("doctor", "database:doctor", "Say what is where, and what is wrong."),
)


def create_cli() -> App:
    """Return the command line with every command registered by name only."""
    app = App(
        name="labwm",
        help="A world model of the lab, between agents and the real one.",
        version=__version__,
        version_flags=["--version"],
        result_action="return_value",
    )
    for name, meaning in _GROUPS.items():
        group = App(name=name, help=meaning)
        _register(group, _COMMANDS[name])
        app.command(group)
    _register(app, _SINGLE)
    return app


def _register(app: App, commands: Iterable[_Command]) -> None:
    for name, target, meaning in commands:
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
