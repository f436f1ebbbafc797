"""The catalogue: every public set, pinned, checked, read without the network."""

import csv
import functools
import shutil
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from labwm.data.catalogue import catalogue, describe, fetch, load_table
from labwm.data.protocols import list_protocols
from labwm.errors import (
    IntegrityError,
    InvalidInputError,
    NotFoundError,
    StoreError,
    UnavailableError,
)

PUBLISHED = [
    "direct_arylation", "aryl_halide", "buchwald_hartwig", "buchwald_a", "buchwald_b",
    "buchwald_c", "buchwald_d", "buchwald_e", "esol", "freesolv", "lipophilicity",
    "photoswitch", "crossed_barrel", "agnp", "yield_and_cost", "reizman_suzuki_1",
    "reizman_suzuki_2", "hplc", "oer_3496", "oer_3851", "enamine10k_4unn", "tcpl",
]  # fmt: skip
N_ROWS = {
    "direct_arylation": 1728, "aryl_halide": 4599, "buchwald_hartwig": 3955,
    "esol": 1128, "freesolv": 642, "lipophilicity": 4200, "photoswitch": 405,
    "crossed_barrel": 1800, "agnp": 3295, "yield_and_cost": 1728,
    "reizman_suzuki_1": 96, "reizman_suzuki_2": 96, "hplc": 1386, "buchwald_a": 792,
    "enamine10k_4unn": 10449, "oer_3496": 2121, "aqsoldb": 9982, "growth_curves": 4992,
    "buchwald_hartwig_splits": 3955, "cep": 29978,
}  # fmt: skip


@pytest.fixture
def server(shared) -> Iterator[str]:
    """A real HTTP server over the mirror's files."""
    folder = str(shared / "data" / "mirror")

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=folder)
    ) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


@pytest.fixture
def no_mirror(monkeypatch) -> None:
    monkeypatch.delenv("LABWM_DATA_MIRROR", raising=False)


def test_the_catalogue_holds_every_file_of_the_manifest(mirror):
    with (mirror / "MANIFEST.csv").open(encoding="utf-8") as stream:
        listed = {
            (r["repository"], r["commit"], r["path"], r["sha256"], int(r["bytes"]))
            for r in csv.DictReader(stream)
        }
    known = {
        (f.repository, f.commit, f.path, f.sha256, f.bytes)
        for entry in catalogue().values()
        for f in entry.files
    }
    assert known == listed
    assert set(PUBLISHED) <= set(catalogue())


def test_every_set_states_its_licence_and_citation_and_its_protocol_ships():
    for entry in catalogue().values():
        assert entry.licence, entry.name
        assert entry.citation, entry.name
        assert entry.protocol is None or entry.protocol in list_protocols()
        assert (entry.reader == "other") == (entry.why is not None)


@pytest.mark.parametrize("name", sorted(catalogue()))
def test_every_file_of_a_set_is_in_the_mirror_and_whole(mirror, name: str):
    paths = fetch(name)
    assert len(paths) == len(describe(name).files)
    assert all(path.is_relative_to(mirror.resolve()) for path in paths)


@pytest.mark.parametrize("name", sorted(N_ROWS))
def test_a_set_is_read_as_a_table_with_its_targets(mirror, name: str):
    table = load_table(name)
    assert table.n_rows == N_ROWS[name]
    assert all(table.has(target) for target in describe(name).targets)
    assert table.sha256 == describe(name).files[0].sha256


def test_a_users_own_file_is_read_by_its_path(tmp_path):
    (tmp_path / "mine.csv").write_text("a,y\n1,2\n")
    assert load_table(tmp_path / "mine.csv").cells("y") == ("2",)
    assert load_table(str(tmp_path / "mine.csv")).n_rows == 1


def test_an_unknown_name_brings_the_nearest():
    with pytest.raises(NotFoundError, match="Did you mean 'photoswitch'"):
        load_table("photoswich")
    with pytest.raises(NotFoundError, match="Did you mean 'esol'"):
        describe("essol")


def test_a_set_that_is_no_table_says_what_it_is(mirror):
    with pytest.raises(InvalidInputError, match="an R data file"):
        load_table("tcpl")


def test_a_missing_mirror_names_the_variable(monkeypatch, tmp_path):
    monkeypatch.setenv("LABWM_DATA_MIRROR", str(tmp_path / "absent"))
    with pytest.raises(UnavailableError, match="LABWM_DATA_MIRROR names a folder"):
        fetch("esol")


def test_an_incomplete_mirror_names_the_file(monkeypatch, tmp_path):
    monkeypatch.setenv("LABWM_DATA_MIRROR", str(tmp_path))
    with pytest.raises(UnavailableError, match=r"must hold leojklarner.*ESOL\.csv"):
        fetch("esol")


def test_another_file_in_the_mirror_is_refused(monkeypatch, tmp_path):
    relative = describe("esol").files[0].relative
    (tmp_path / relative).parent.mkdir(parents=True)
    (tmp_path / relative).write_text("smiles,y\nC,1\n")
    monkeypatch.setenv("LABWM_DATA_MIRROR", str(tmp_path))
    with pytest.raises(IntegrityError, match="has the sha256 that the catalogue pins"):
        fetch("esol")


@pytest.mark.usefixtures("no_mirror")
@pytest.mark.parametrize("name", ["freesolv", "crossed_barrel"])
def test_a_set_is_downloaded_once_and_then_cached(server, name: str):
    """The path of crossed_barrel holds a blank."""
    (path,) = fetch(name, address=server)
    assert path.stat().st_size == describe(name).files[0].bytes
    # No server is needed any more.
    assert fetch(name, address="http://127.0.0.1:9") == [path]


@pytest.mark.usefixtures("no_mirror")
def test_a_damaged_cache_is_fetched_again(server):
    (path,) = fetch("freesolv", address=server)
    path.write_text("damaged")
    (path,) = fetch("freesolv", address=server)
    assert path.stat().st_size == describe("freesolv").files[0].bytes


@pytest.mark.usefixtures("no_mirror")
def test_a_download_of_other_content_is_refused_and_not_kept(tmp_path, monkeypatch):
    home = Path(tmp_path / "home")
    monkeypatch.setenv("LABWM_HOME", str(home))
    site = tmp_path / "site"
    relative = describe("freesolv").files[0].relative
    (site / relative).parent.mkdir(parents=True)
    (site / relative).write_text("smiles,y\nC,1\n")
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        with pytest.raises(IntegrityError, match="was not kept"):
            fetch("freesolv", address=f"http://127.0.0.1:{running.server_port}")
        running.shutdown()
        thread.join()
    assert not [path for path in home.rglob("*") if path.is_file()]


@pytest.mark.usefixtures("no_mirror")
def test_a_silent_network_is_unavailable():
    with pytest.raises(UnavailableError, match="did not answer"):
        fetch("freesolv", address="http://127.0.0.1:9")


@pytest.mark.usefixtures("no_mirror")
def test_an_absent_file_on_the_server_is_unavailable(server):
    with pytest.raises(UnavailableError, match="did not answer"):
        fetch("freesolv", address=f"{server}/elsewhere")


@pytest.mark.usefixtures("no_mirror")
def test_a_cache_that_cannot_be_written_is_told(server, tmp_path, monkeypatch):
    (tmp_path / "home").write_text("a file in the way")
    monkeypatch.setenv("LABWM_HOME", str(tmp_path / "home"))
    with pytest.raises(StoreError, match="must be writable"):
        fetch("freesolv", address=server)


def test_a_copied_mirror_is_as_good(monkeypatch, mirror, tmp_path):
    relative = describe("freesolv").files[0].relative
    (tmp_path / relative).parent.mkdir(parents=True)
    shutil.copy(mirror / relative, tmp_path / relative)
    monkeypatch.setenv("LABWM_DATA_MIRROR", str(tmp_path))
    assert load_table("freesolv").n_rows == 642
