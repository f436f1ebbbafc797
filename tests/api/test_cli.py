"""The command line: exit statuses, one clean line per error, and what is printed."""

import json
import re
import signal
import socket
import subprocess
import sys

import pytest

from labwm.data.keep import read_zarr
from labwm.data.protocols import load_protocol
from tests.conftest import ROOT

HEAVY = ("torch", "xarray", "rdkit", "prefect", "pandas", "matplotlib", "sqlalchemy")
TABLE = ("--data", "table.csv")


def test_help_imports_no_command_and_no_heavy_library():
    code = (
        "import sys; from labwm.api.cli import run\n"
        "run(['--help']); run(['campaign', '--help'])\n"
        f"assert not [m for m in {HEAVY} if m in sys.modules]\n"
        "assert not [m for m in sys.modules if m.startswith('labwm.api.commands.')]\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for group in ("protocol", "data", "bench", "campaign", "lab", "key", "db", "up"):
        assert group in done.stdout


@pytest.mark.parametrize(
    "group", ["protocol", "data", "bench", "campaign", "lab", "model", "key", "db"]
)
def test_every_registered_command_can_be_imported(group, desk):
    listed = desk.do(group, "--help")
    commands = [
        line.split()[1]
        for line in listed.splitlines()
        if line.startswith("│ ") and line.split()[1].isalpha()
    ]
    assert commands
    for command in commands:
        assert "Usage" in desk.do(group, command, "--help")


@pytest.mark.parametrize(
    ("words", "status", "code"),
    [
        (["campaign", "status", "nobody"], 3, "not-found"),
        (["campaign", "advance", "nobody"], 3, "not-found"),
        (["campaign", "start", "no_such_protocol"], 3, "not-found"),
        (
            ["campaign", "start", "free.yaml", *TABLE, "--budget", "0"],
            2,
            "invalid-input",
        ),
        (
            ["campaign", "start", "free.yaml", *TABLE, "--name", "X Y"],
            2,
            "invalid-input",
        ),
        (["campaign", "start", "free.yaml", "--data", "absent.csv"], 3, "not-found"),
        (["key", "create", "bot", "--kind", "robot"], 2, "invalid-input"),
        (
            ["key", "create", "bot", "--kind", "agent", "--scopes", "approve"],
            5,
            "forbidden",
        ),
        (["key", "revoke", "nobody"], 3, "not-found"),
        (["protocol", "validate", "absent.yaml"], 8, "unavailable"),
        (["data", "describe", "no_such_set"], 3, "not-found"),
        (["lab", "check", "no_such_lab"], 3, "not-found"),
        (["serve", "--host", "0.0.0.0"], 2, "invalid-input"),
        (["bench", "optimize", "--data", "table.csv"], 2, "invalid-input"),
        (
            ["bench", "optimize", *TABLE, "--protocol", "free.yaml", "--batch", "0"],
            2,
            "invalid-input",
        ),
        (["data", "describe", "folder/absent.csv"], 3, "not-found"),
    ],
    ids=lambda value: " ".join(value[:3]) if isinstance(value, list) else None,
)
def test_a_deliberate_error_is_one_line_and_its_exit_status(desk, words, status, code):
    done = desk.run(*words)
    assert done.returncode == status, done.stderr
    first, *_ = [line for line in done.stderr.splitlines() if line.startswith("error")]
    assert first.startswith(f"error[{code}]: ")
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    "words", [["nonsense"], ["campaign", "start"], ["lab", "list", "x"]]
)
def test_misuse_exits_with_2(desk, words):
    assert desk.run(*words).returncode == 2


def test_the_program_itself_ends_with_the_status(desk):
    done = subprocess.run(
        desk.command("campaign", "status", "nobody"),
        cwd=desk.folder,
        env=desk.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert done.stderr.startswith("error[not-found]: ")


def test_a_broken_protocol_is_refused_with_its_line(desk):
    text = (desk.folder / "free.yaml").read_text().replace("maximise", "maximize")
    (desk.folder / "broken.yaml").write_text(text)
    done = desk.run("protocol", "validate", "broken.yaml")
    assert done.returncode == 2
    line = next(i for i, row in enumerate(text.splitlines(), 1) if "maximize" in row)
    assert f"broken.yaml:{line}:" in done.stderr


def test_a_campaign_runs_to_its_end_and_tells_what_to_type_next(desk):
    started = desk.run("campaign", "start", "free.yaml", *TABLE, "--budget", 12)
    assert started.returncode == 0, started.stderr
    assert "12 of 12 measured" in started.stdout
    assert "labwm campaign report free" in started.stderr
    again = desk.run("campaign", "start", "free.yaml", *TABLE, "--budget", 12)
    assert again.returncode == 0
    assert "12 of 12 measured" in again.stdout
    other = desk.run("campaign", "start", "free.yaml", *TABLE, "--budget", 8)
    assert other.returncode == 4
    assert "error[duplicate]" in other.stderr
    card = desk.run("model", "show", "free")
    assert card.returncode == 0, card.stderr
    assert "yield" in card.stdout
    assert "free" in desk.do("db", "verify")
    desk.do("db", "backup", "copy.db")
    assert (desk.folder / "copy.db").stat().st_size > 0
    assert desk.run("db", "backup", "copy.db").returncode == 2
    assert desk.run("doctor").returncode == 0


def test_a_shipped_protocol_plays_the_public_set_of_its_name(desk, mirror):
    words = ("campaign", "start", "direct_arylation", "--budget", 4, "--batch-size", 2)
    assert "4 of 4 measured" in desk.do(*words, "--policy", "random")
    assert desk.status("direct-arylation")["spec"]["data"] == "direct_arylation"


def test_a_campaign_is_opened_without_waiting(desk):
    file = desk.folder / "status.json"
    desk.do("campaign", "start", "free.yaml", *TABLE, "--no-wait", "--name", "later")
    desk.do("campaign", "status", "later", "--json", file)
    assert json.loads(file.read_text())["summary"]["n_measured"] == 0
    assert "later" in desk.do("campaign", "list")


def test_a_result_file_that_cannot_be_written_is_refused_before_work(desk):
    done = desk.run(
        *("campaign", "start", "free.yaml", *TABLE),
        *("--json", desk.folder / "no" / "such" / "folder.json"),
    )
    assert done.returncode == 8
    assert "error[unavailable]" in done.stderr
    assert "free" not in desk.do("campaign", "list")


def test_ctrl_c_in_a_round_says_how_to_go_on_and_loses_nothing(desk):
    words = desk.command(
        "campaign", "start", "free.yaml", *TABLE, "--budget", 16, "--batch-size", 1
    )
    running = subprocess.Popen(
        words,
        cwd=desk.folder,
        env=desk.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stderr is not None
    for line in running.stderr:  # the first round is in, the next is under way
        if "learnt" in line:
            break
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 130, said
    assert "labwm campaign advance free" in said
    assert "Traceback" not in said
    assert "16 of 16 measured" in desk.do("campaign", "advance", "free")
    assert "free" in desk.do("db", "verify")


def test_a_decision_names_what_it_is_on(desk):
    desk.do("campaign", "start", "asking.yaml", *TABLE, "--budget", 4)
    blind = desk.run("campaign", "approve", "asking")
    assert blind.returncode == 2
    (batch,) = desk.status("asking")["batches"]
    digest = batch["content_sha256"]
    assert f"--digest {digest[:16]}" in blind.stderr
    assert (
        desk.run("campaign", "approve", "asking", "--digest", "0" * 16).returncode == 3
    )
    agent = desk.make_key("planner", "agent", "read", "submit")
    by_agent = desk.run(
        *("campaign", "approve", "asking", "--digest", digest), LABWM_KEY=agent
    )
    assert by_agent.returncode == 5
    desk.do("campaign", "approve", "asking", "--digest", digest[:16], "--note", "fine")
    assert desk.run("campaign", "reject", "asking", "--digest", digest).returncode == 4
    assert "4 of 4 measured" in desk.do("campaign", "advance", "asking")


def test_a_rejected_batch_is_not_measured(desk):
    desk.do("campaign", "start", "asking.yaml", *TABLE, "--budget", 4)
    (batch,) = desk.status("asking")["batches"]
    desk.do("campaign", "reject", "asking", "--digest", batch["content_sha256"])
    desk.do("campaign", "advance", "asking")
    status = desk.status("asking")
    assert status["summary"]["n_measured"] == 0
    assert status["batches"][0]["approval"] == "rejected"


def test_recipes_are_listed_promoted_and_rolled_back(desk):
    table = ("--data", "table.csv", "--no-wait", "--budget", 4)
    desk.do("campaign", "start", "free.yaml", *table)
    assert re.search(r"free +predict +default +the opening", desk.do("model", "list"))
    desk.do("model", "promote", "free", "explore", "--note", "smooth readout")
    listed = desk.do("model", "list", "free")
    assert re.search(r"free +predict +explore +\S+ \S+ UTC +local +smooth", listed)
    assert "default holds for 'predict'" in desk.do("model", "rollback", "free")
    nothing = desk.run("model", "rollback", "free")
    assert nothing.returncode == 4
    assert "There is nothing to undo" in nothing.stderr
    assert desk.run("model", "promote", "free", "exlore").returncode == 3
    assert desk.run("model", "reference", "free", "nowhere.json").returncode == 3
    assert desk.run("model", "reference", "free").returncode == 2
    choose = ("--use", "choose")
    done = desk.do("model", "promote", "free", "default", *choose)
    assert "default holds for 'choose' of free; by local." in done


def test_a_frozen_campaign_says_so_and_what_to_type(desk):
    desk.do("campaign", "start", "free.yaml", "--data", "table.csv", "--no-wait")
    desk.freeze("free")
    moved = desk.run("campaign", "advance", "free")
    assert "Frozen until a person looks" in moved.stdout
    assert "labwm campaign unfreeze free --note WHY" in moved.stderr
    said = desk.do("campaign", "unfreeze", "free", "--note", "a new lot of solvent")
    assert "free goes on, by local." in said
    assert desk.run("campaign", "unfreeze", "free", "--note", "again").returncode == 4


def test_a_secret_is_shown_once_and_never_listed(desk):
    secret = desk.make_key("ada", "person", "read")
    assert "\n" not in secret
    listed = desk.do("key", "list")
    assert "ada" in listed
    assert secret not in listed
    assert "revoked" in desk.do("key", "revoke", "ada")


def test_serve_says_that_its_port_is_taken(desk):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = desk.run("serve", "--port", port)
    assert done.returncode == 8
    assert f"127.0.0.1:{port}" in done.stderr


def test_serve_ends_cleanly_on_ctrl_c(desk):
    running = subprocess.Popen(
        desk.command("serve", "--port", 0),
        cwd=desk.folder,
        env=desk.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stdout is not None
    assert "http://127.0.0.1:" in running.stdout.readline()
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=30)
    assert running.returncode == 0
    assert said == ""


def test_shipped_protocols_and_the_catalogue_are_listed(desk):
    assert "xtb_dyes" in desk.do("protocol", "list")
    assert "gap" in desk.do("protocol", "show", "xtb_dyes")
    assert "direct_arylation" in desk.do("data", "list")
    assert json.loads(desk.do("protocol", "schema"))["properties"]["parameters"]


def test_a_table_is_imported_curated_and_kept_with_its_units(desk):
    said = desk.do(
        *("data", "import", "table.csv", "--protocol", "free.yaml"),
        *("--output", "kept.zarr", "--json", "reports.json"),
    )
    reports = json.loads((desk.folder / "reports.json").read_text())
    n = reports["imported"]["n_rows"]
    assert reports["curation"]["n_measurements"] == n > 0
    assert f"{n} measurements" in said
    kept = read_zarr(desk.folder / "kept.zarr")
    assert int((kept["_row"] >= 0).sum()) == n
    protocol = load_protocol(desk.folder / "free.yaml")
    for readout in protocol.readouts:
        assert kept[readout.name].attrs.get("units") == readout.unit


def test_a_bench_writes_the_long_table(desk):
    desk.do(
        *("bench", "optimize", *TABLE, "--protocol", "free.yaml", "--policy", "random"),
        *("--batch", 2, "--budget", 6, "--seeds", 2, "--json", "bench.json"),
    )
    found = json.loads((desk.folder / "bench.json").read_text())
    assert found["command"] == "labwm bench optimize"
    assert found["seeds"] == 2
    assert len(found["data_sha256"]) == 64
    best = [r for r in found["rows"] if (r["metric"], r["at"]) == ("best", 6)]
    assert {row["name"] for row in best} == {"random", "random_exact"}


def test_the_virtual_lab_is_judged_on_any_table_and_log(desk):
    rules = (*TABLE, "--protocol", "free.yaml")
    said = desk.do(
        *("bench", "fidelity", *rules, "--recipe", "explore", "--rows", 8),
        *("--budget", 8, "--n-initial", 3, "--logs", 1, "--seeds", 4),
        *("--plots", "plots", "--json", "fidelity.json"),
    )
    assert "regret_at_1" in said
    assert (desk.folder / "plots" / "fidelity_table.png").stat().st_size > 1000
    found = json.loads((desk.folder / "fidelity.json").read_text())
    # What a promotion reads: the recipe, and its figures over everything.
    assert found["settings"]["recipe"] == "explore"
    assert [
        row["name"]
        for row in found["rows"]
        if (row["metric"], row["at"]) == ("mmrv", None)
    ] == ["explore"]
    lines = [
        f"{who},{campaign},{order},{(first + 5 * campaign + order) % 16}"
        for who, first in (("ann", 3), ("bob", 7))
        for campaign in range(4)
        for order in range(4)
    ]
    (desk.folder / "log.csv").write_text(
        "\n".join(["behaviour,campaign,order,row", *lines]) + "\n"
    )
    said = desk.do(
        *("bench", "offpolicy", *rules, "--log", "log.csv", "--rows", 10),
        *("--measured", 5, "--block", 4, "--seeds", 1, "--json", "offpolicy.json"),
    )
    assert "prediction_powered" in said
    done = desk.run("bench", "offpolicy", *rules, "--log", "nobody.csv")
    assert done.returncode == 3
    assert "nobody.csv" in done.stderr


def test_labs_are_listed_checked_and_worked(desk):
    assert "replay" in desk.do("lab", "list")
    for name in ("replay", "virtual", "xtb"):
        assert "dedup_by_key: yes" in desk.do("lab", "check", name)
    assert "0 experiments done" in desk.do("lab", "work", "replay")


def test_a_defect_shows_its_traceback(desk):
    code = (
        "import labwm.api.cli as cli; from labwm import campaign\n"
        "def broken(): raise RuntimeError('boom')\n"
        "campaign.list_campaigns = broken\n"
        "raise SystemExit(cli.run(['campaign', 'list']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=desk.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "RuntimeError: boom" in done.stderr
    assert "error[unexpected]" in done.stderr


def test_a_first_protocol_is_written_with_its_reasons_and_is_valid(desk):
    words = ("protocol", "init", "table.csv", "--target", "yield", "--output")
    told = desk.do(*words, "mine.yaml")
    assert "heat" in told
    assert "because" in told
    assert "valid" in desk.do("protocol", "validate", "mine.yaml")
    assert desk.run(*words, "mine.yaml").returncode == 4
    printed = desk.do("protocol", "init", "table.csv", "--target", "yield")
    assert "heat" in printed
    unknown = desk.run("protocol", "init", "table.csv", "--target", "yeild")
    assert unknown.returncode == 2
    assert "yield" in unknown.stderr


def test_a_budget_beyond_the_table_is_said_and_ends_with_the_table(desk):
    done = desk.run(
        *("bench", "optimize", *TABLE, "--protocol", "free.yaml"),
        *("--policy", "random", "--seeds", "2", "--budget", "99", "--batch", "5"),
        *("--json", "beyond.json"),
    )
    assert done.returncode == 0, done.stderr
    assert "the table table.csv answers 16 experiments" in done.stderr
    found = json.loads((desk.folder / "beyond.json").read_text())
    assert found["settings"]["budget"] == 16
    ends = {row["at"] for row in found["rows"] if row["metric"] == "best"}
    assert ends == {5, 10, 15, 16}


def test_a_command_that_fails_leaves_no_empty_result_file(desk):
    words = ("bench", "optimize", *TABLE, "--protocol", "absent.yaml")
    assert desk.run(*words, "--json", "left.json").returncode == 8
    assert not (desk.folder / "left.json").exists()
