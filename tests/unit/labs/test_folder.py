"""The folder lab as people and robots meet it: whole files in, nothing lost."""

import csv
from hashlib import sha256
from pathlib import Path

import pytest

from labwm.errors import ProtocolError, UnsupportedError
from labwm.labs import FolderLab, build_lab
from labwm.schema import Job, JobState, Origin, Protocol, Status, Value, Well

KEY = "folder-job-0001"


def protocol(**lab: object) -> Protocol:
    return Protocol.model_validate(
        {
            "name": "oven",
            "version": 1,
            "parameters": [
                {
                    "name": "heat",
                    "kind": "continuous",
                    "unit": "degC",
                    "bounds": [0, 99],
                },
                {"name": "solvent", "kind": "categorical", "levels": ["water", "dmf"]},
            ],
            "readouts": [
                {"name": "yield", "unit": "percent", "bounds": [0, 100]},
                {"name": "dose", "unit": "mmol/L"},
            ],
            "objectives": [{"readout": "yield", "goal": "maximise"}],
            "lab": {"adapter": "folder", "settings": lab},
        }
    )


def job() -> Job:
    wells = [
        Well(
            name=f"A{i}", proposal_id=f"p{i}", conditions={"heat": h, "solvent": "dmf"}
        )
        for i, h in enumerate((20.5, 40.0, 60.0), start=1)
    ]
    return Job(
        submission_key=KEY,
        campaign_id="oven",
        round=0,
        lab="folder",
        protocol_name="oven",
        protocol_version=1,
        protocol_sha256=protocol().digest(),
        wells=tuple(wells),
    )


@pytest.fixture
def lab(tmp_path: Path) -> FolderLab:
    lab = FolderLab(tmp_path, protocol(), settle_seconds=0.0)
    lab.submit(job())
    return lab


def put(lab: FolderLab, text: str, name: str = f"{KEY}.results.csv") -> Path:
    path = lab.folder / "inbox" / name
    path.write_text(text)
    return path


def reason(lab: FolderLab) -> str:
    (path,) = (lab.folder / "quarantine").glob("*.reason.txt")
    assert path.with_name(path.name.removesuffix(".reason.txt")).exists()
    return path.read_text()


def readouts(lab: FolderLab, well: str = "A1") -> list[Value]:
    return [r.readouts["yield"] for r in lab.collect(KEY) if r.well == well]


def test_the_worklist_says_what_to_do_in_which_units(lab: FolderLab):
    path = lab.folder / "outbox" / f"{KEY}.worklist.csv"
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert len(rows) == 3
    assert rows[0] == {
        "submission_key": KEY,
        "well": "A1",
        "replicate": "0",
        "heat [degC]": "20.5",
        "solvent": "dmf",
        "yield [percent]": "",
        "dose [mmol/L]": "",
    }


def test_a_worklist_that_was_taken_is_never_offered_again(lab: FolderLab):
    path = lab.folder / "outbox" / f"{KEY}.worklist.csv"
    path.rename(lab.folder / "taken" / path.name)
    assert lab.submit(job()).is_duplicate
    assert lab.status(KEY).state is JobState.RUNNING
    # Even if the note that it was offered was lost in a crash.
    (lab.folder / "keys" / KEY / "offered").unlink()
    assert lab.submit(job()).is_duplicate
    assert not path.exists()


def test_a_crash_before_the_worklist_is_made_good_by_the_next_question(lab: FolderLab):
    path = lab.folder / "outbox" / f"{KEY}.worklist.csv"
    path.unlink()
    (lab.folder / "keys" / KEY / "offered").unlink()
    assert lab.status(KEY).state is JobState.ACCEPTED
    assert path.exists()


def test_cells_keep_their_status_and_units_are_converted(lab: FolderLab):
    put(lab, "well,yield [fraction],dose [umol/L]\nA1,0.5,2000\nA2,<5,ND\nA3,failed,\n")
    first, second, third = lab.collect(KEY)
    assert first.readouts["yield"].value == pytest.approx(50.0)
    assert first.readouts["dose"].value == pytest.approx(2.0)
    assert first.origin is Origin.MEASURED
    assert second.readouts["yield"].status is Status.BELOW
    assert second.readouts["yield"].value == pytest.approx(500.0)
    assert second.readouts["dose"].status is Status.NOT_DETECTED
    assert third.readouts["yield"].status is Status.FAILED
    assert third.readouts["dose"].status is Status.MISSING
    assert lab.status(KEY).state is JobState.FINISHED


def test_a_worklist_filled_in_with_decimal_commas_is_read(lab: FolderLab):
    head = "submission_key;well;replicate;heat [degC];solvent;yield [percent]"
    put(lab, f"{head}\n{KEY};A1;0;20,5;dmf;12,5\n{KEY};A2;0;40,0;dmf;\n")
    assert readouts(lab) == [Value(value=12.5, raw="12,5")]
    assert lab.status(KEY).n_done == 1


def test_equal_results_change_nothing_and_others_are_revisions(lab: FolderLab):
    put(lab, "well,yield\nA1,10\n")
    lab.collect(KEY)
    put(lab, "well,yield\nA1,10\n")
    assert [r.revision for r in lab.collect(KEY)] == [0]
    put(lab, "well,yield\nA1,11\nA2,20\n", f"{KEY}.corrected.csv")
    results = lab.collect(KEY)
    assert [(r.well, r.revision) for r in results] == [("A1", 0), ("A1", 1), ("A2", 0)]
    assert [v.value for v in readouts(lab)] == [10.0, 11.0]


def test_results_after_the_end_and_of_a_withdrawn_worklist_are_taken(lab: FolderLab):
    worklist = lab.folder / "outbox" / f"{KEY}.worklist.csv"
    with pytest.raises(UnsupportedError, match="move it from outbox to withdrawn"):
        lab.cancel(KEY)
    assert lab.status(KEY).state is JobState.ACCEPTED
    worklist.rename(lab.folder / "withdrawn" / worklist.name)
    assert lab.status(KEY).state is JobState.CANCELLED
    put(lab, "well,yield\nA1,1\nA2,2\nA3,3\n")
    assert lab.status(KEY).state is JobState.FINISHED
    put(lab, "well,yield\nA3,4\n", f"{KEY}.late.csv")
    assert [v.value for v in readouts(lab, "A3")] == [3.0, 4.0]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("well,yield\nA1,10\nB7,20\n", "'B7'"),
        ("well,yield,colour\nA1,10,red\n", "'colour'"),
        ("well,yield [degC]\nA1,10\n", "degC"),
        ("well,heat [degC],yield\nA1,20.5,1\nA2,60,2\n", "planned with heat 40"),
        ("well,solvent,yield\nA1,water,1\n", "planned with solvent dmf"),
        ("submission_key,well,yield\nother-job-1,A1,1\n", "other-job-1"),
        ("well,yield\nA1,10\nA1,20\n", "again"),
        ("well,heat [degC]\nA1,20.5\n", "none of"),
        ("yield\n10\n", "'well'"),
        ("well,yield,measured_at\nA1,1,yesterday\n", "ISO 8601"),
        ("", "empty"),
        ("well,yield\n", "only a header"),
    ],
)
def test_what_cannot_be_read_is_put_aside_whole(lab: FolderLab, text: str, why: str):
    path = put(lab, text)
    assert lab.collect(KEY) == ()
    assert why in reason(lab)
    assert not path.exists()
    assert lab.status(KEY).message == "1 files in quarantine"


def test_results_of_no_known_job_are_put_aside_until_renamed(lab: FolderLab):
    put(lab, "well,yield\nA1,10\n", "monday.csv")
    assert lab.collect(KEY) == ()
    assert "KEY.results.csv" in reason(lab)
    (aside,) = (lab.folder / "quarantine").glob("*-monday.csv")
    aside.rename(lab.folder / "inbox" / f"{KEY}.monday.csv")
    assert [v.value for v in readouts(lab)] == [10.0]


def test_a_file_is_taken_when_it_was_left_alone_or_is_marked(tmp_path: Path):
    lab = FolderLab(tmp_path, protocol(), settle_seconds=60.0)
    lab.submit(job())
    path = put(lab, "well,yield\nA1,10\n")
    assert lab.collect(KEY) == ()
    assert path.exists()
    path.with_name(path.name + ".done").touch()
    assert len(lab.collect(KEY)) == 1
    assert not list((tmp_path / "inbox").iterdir())
    put(lab, "well,yield\nA2,10\n", f"{KEY}.results.csv.tmp")
    assert len(lab.collect(KEY)) == 1


def test_a_file_that_grows_after_it_was_read_is_read_again(lab: FolderLab):
    path = put(lab, "well,yield\nA1,10\n")
    with path.open("a") as writer:
        assert len(lab.collect(KEY)) == 1
        assert not path.exists()
        writer.write("A2,20\n")
    assert [r.well for r in lab.collect(KEY)] == ["A1", "A2"]
    assert [r.revision for r in lab.collect(KEY)] == [0, 0]


def test_a_protocol_that_no_worklist_can_hold_is_refused(tmp_path: Path):
    clash = protocol().model_dump(mode="json")
    clash["readouts"][0]["column"] = "well"
    with pytest.raises(ProtocolError, match="'well'"):
        FolderLab(tmp_path, Protocol.model_validate(clash))


@pytest.mark.parametrize("given", [{"settle_second": 1}, {"settle_seconds": "long"}])
def test_settings_that_are_none_are_refused(tmp_path: Path, given: dict[str, object]):
    with pytest.raises(ProtocolError, match="settle_second"):
        build_lab("folder", protocol=protocol(**given), folder=tmp_path)


def test_a_number_that_was_cut_is_never_read(lab: FolderLab):
    path = put(lab, "well,yield\nA1,10\nA2,12")
    assert lab.collect(KEY) == ()
    assert lab.status(KEY).message == "1 files that end within a line"
    with path.open("a") as writer:
        writer.write(".5\nA3,7\n")
    assert [r.readouts["yield"].value for r in lab.collect(KEY)] == [10.0, 12.5, 7.0]
    assert [r.revision for r in lab.collect(KEY)] == [0, 0, 0]


def test_a_last_line_without_an_end_is_read_when_somebody_says_it_is_whole(
    lab: FolderLab,
):
    path = put(lab, "well,yield\nA1,10")
    path.with_name(path.name + ".done").touch()
    assert [v.value for v in readouts(lab)] == [10.0]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_what_spreadsheets_of_any_country_save_is_read(
    lab: FolderLab, encoding: str, end: str
):
    lines = ["well;yield [percent];dose [mmol/L]", "A1;12,5;1,25", "A2;7,0;"]
    path = lab.folder / "inbox" / f"{KEY}.Größe.csv"
    path.write_bytes((end.join(lines) + end).encode(encoding))
    first, second = lab.collect(KEY)
    assert first.readouts["yield"].value == 12.5
    assert first.readouts["dose"].value == 1.25
    assert second.readouts["dose"].status is Status.MISSING


def test_the_same_file_again_also_renamed_changes_nothing(lab: FolderLab):
    text = "well,yield\nA1,10\nA2,20\n"
    put(lab, text)
    first = lab.collect(KEY)
    put(lab, text)
    put(lab, text, f"{KEY}.again (1).csv")
    assert lab.collect(KEY) == first
    assert not list((lab.folder / "inbox").iterdir())


def test_a_file_corrected_in_quarantine_is_read_there(lab: FolderLab):
    put(lab, "well,yield\nA1,10\nB7,20\n")
    assert lab.collect(KEY) == ()
    (aside,) = (lab.folder / "quarantine").glob("*.csv")
    aside.write_text("well,yield\nA1,10\n")
    assert [v.value for v in readouts(lab)] == [10.0]
    assert not list((lab.folder / "quarantine").iterdir())
    assert lab.status(KEY).message == ""


def test_results_of_no_known_job_are_told_at_every_job(lab: FolderLab):
    put(lab, "well,yield\nA1,10\n", "other-job-1.results.csv")
    assert lab.status(KEY).message == "1 files of no known job in quarantine"


@pytest.mark.parametrize("name", [f"{KEY}.results.pdf", f"{KEY}.results", "notes.docx"])
def test_what_is_no_table_does_not_lie_in_the_inbox_unseen(lab: FolderLab, name: str):
    path = put(lab, "well,yield\nA1,10\n", name)
    assert lab.collect(KEY) == ()
    assert not path.exists()
    assert "Export it as CSV" in reason(lab)


def test_every_byte_that_came_is_somewhere_whatever_it_was(lab: FolderLab):
    came = {
        f"{KEY}.a.csv": b"well,yield\nA1,10\n",
        f"{KEY}.b.csv": b"well,yield\nA1,11\n",
        f"{KEY}.c.csv": b"\x00\x01\x02\n",
        f"{KEY}.d.xlsx": b"PK\x03\x04 cut",
        "whose.csv": b"well,yield\nA1,12\n",
    }
    for name, content in came.items():
        (lab.folder / "inbox" / name).write_bytes(content)
    kept: set[bytes] = set()
    raws: list[bytes] = []

    def keep(raw: bytes) -> str:
        raws.append(raw)
        return sha256(raw).hexdigest()

    results = lab.collect(KEY, keep=keep)
    assert [r.readouts["yield"].value for r in results] == [10.0, 11.0]
    assert raws == [came[f"{KEY}.a.csv"], came[f"{KEY}.b.csv"]]
    for place in ("read", "quarantine"):
        kept |= {path.read_bytes() for path in (lab.folder / place).iterdir()}
    assert set(came.values()) <= kept
    assert lab.status(KEY).message == (
        "2 files in quarantine, 1 files of no known job in quarantine"
    )
