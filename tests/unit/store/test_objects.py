"""Objects are their bytes: stored whole, read checked, wherever they lie."""

import os
import resource
import subprocess
import sys
import uuid
from hashlib import sha256
from pathlib import Path

import pytest

from labwm.errors import IntegrityError, NotFoundError, StoreError
from labwm.store import ObjectStore, open_objects

RAW = b"well,signal\na1,0.31\n"
DIGEST = sha256(RAW).hexdigest()


@pytest.fixture(params=["folder", "file-url", "memory"])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    places = {
        "folder": str(tmp_path / "objects"),
        "file-url": f"file://{tmp_path / 'objects'}",
        "memory": f"memory://objects-{uuid.uuid4().hex}",
    }
    return open_objects(places[request.param])


def test_bytes_are_read_back_under_their_digest(objects: ObjectStore):
    assert not objects.exists(DIGEST)
    assert objects.put(RAW) == DIGEST
    assert objects.put(RAW) == DIGEST
    assert objects.exists(DIGEST)
    assert objects.get(DIGEST) == RAW
    assert objects.get(objects.put(b"")) == b""


def test_an_absent_object_is_not_found(objects: ObjectStore):
    with pytest.raises(NotFoundError, match=f"No object of digest {DIGEST}"):
        objects.get(DIGEST)


@pytest.mark.parametrize("name", ["", "../../etc/passwd", DIGEST.upper(), DIGEST[:-1]])
def test_only_a_digest_names_an_object(objects: ObjectStore, name: str):
    with pytest.raises(NotFoundError, match="64 hexadecimal digits"):
        objects.get(name)


def test_orphans_are_what_nobody_knows_and_nobody_just_wrote(objects: ObjectStore):
    known, orphan = objects.put(RAW), objects.put(b"left behind")
    assert list(objects.orphans({known})) == []
    assert list(objects.orphans({known}, older_than=0)) == [orphan]
    objects.remove(orphan)
    objects.remove(orphan)
    assert list(objects.orphans({known}, older_than=0)) == []


def test_altered_bytes_are_refused(tmp_path: Path):
    objects = open_objects(str(tmp_path))
    objects.put(RAW)
    (path,) = (p for p in tmp_path.rglob("*") if p.is_file())
    path.write_bytes(RAW.replace(b"0.31", b"0.99"))
    with pytest.raises(IntegrityError, match="bytes match its name"):
        objects.get(DIGEST)


def test_the_settings_say_where_objects_lie(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("LABWM_OBJECTS_URL", str(tmp_path / "here"))
    open_objects().put(RAW)
    assert (tmp_path / "here" / DIGEST[:2] / DIGEST[2:]).read_bytes() == RAW


def test_an_address_of_an_unknown_kind_is_refused():
    with pytest.raises(StoreError, match="Mend LABWM_OBJECTS_URL"):
        open_objects("carrierpigeon://coop")


def test_on_a_full_disk_an_object_is_stored_whole_or_not_at_all(tmp_path: Path):
    code = """
import sys
from labwm.errors import StoreError
from labwm.store import open_objects
try:
    open_objects(sys.argv[1]).put(b"x" * 100_000)
except StoreError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000)),
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert "stored whole or not at all" in done.stdout
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
