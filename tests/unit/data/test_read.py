"""Tables in every dialect that scientists export."""

import contextlib
import gzip
import zipfile
from pathlib import Path

import openpyxl
import pytest

from labwm.data.read import read_table
from labwm.errors import TableError, UnavailableError

PLAIN = "Temp (°C),base,yield\n90,KOAc,12.5\n105,CsOAc,<5\n"


def write(path: Path, content: str | bytes) -> Path:
    if isinstance(content, str):
        content = content.encode()
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("content", "encoding", "delimiter"),
    [
        (PLAIN.encode(), "utf-8", ","),
        (PLAIN.encode("utf-8-sig"), "utf-8-sig", ","),
        (PLAIN.encode("utf-16"), "utf-16", ","),
        (PLAIN.encode("latin-1"), "latin-1", ","),
        (PLAIN.replace(",", ";").encode(), "utf-8", ";"),
        (PLAIN.replace(",", "\t").encode(), "utf-8", "\t"),
        (PLAIN.replace("\n", "\r\n").encode(), "utf-8", ","),
        (("\n" + PLAIN + "\n\n").encode(), "utf-8", ","),
    ],
    ids=["utf8", "bom", "utf16", "latin1", "semicolon", "tab", "crlf", "blank-lines"],
)
def test_a_csv_is_read_in_any_dialect(tmp_path, content, encoding, delimiter):
    table = read_table(write(tmp_path / "t.csv", content))
    assert table.headers == ("Temp (°C)", "base", "yield")
    assert table.cells("Temp") == ("90", "105")
    assert table.unit("Temp") == "degC"
    assert table.cells("yield") == ("12.5", "<5")
    assert (table.encoding, table.delimiter) == (encoding, delimiter)
    assert table.n_rows == 2


def test_the_last_resort_latin_1_is_noted(tmp_path):
    table = read_table(write(tmp_path / "t.csv", PLAIN.encode("latin-1")))
    assert "Latin-1" in table.notes[0]


def test_decimal_commas_are_seen_by_column(tmp_path):
    table = read_table(write(tmp_path / "t.csv", "a;name;b\n1,5;x, y;2.5\n2,25;z;3\n"))
    assert table.decimal_of("a") == ","
    assert table.decimal_of("b") == "."
    assert table.decimal == ","


def test_quoted_cells_may_hold_delimiters_quotes_and_line_ends(tmp_path):
    content = 'name,y\n"a, ""b""\nc",1\nd,2\n'
    table = read_table(write(tmp_path / "t.csv", content))
    assert table.cells("name") == ('a, "b"\nc', "d")
    assert table.lines == (2, 4)


def test_packed_tables_and_workbooks_read_like_plain_ones(tmp_path):
    plain = read_table(write(tmp_path / "t.csv", PLAIN))
    packed = write(tmp_path / "t.csv.gz", gzip.compress(PLAIN.encode()))
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
        archive.writestr("t.csv", PLAIN)
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in [
        ["Temp (°C)", "base", "yield"],
        [90, "KOAc", 12.5],
        [105.0, "CsOAc", "<5"],
    ]:
        sheet.append(row)
    book.create_sheet("other").append(["x"])
    book.save(tmp_path / "t.xlsx")
    for path in (packed, tmp_path / "t.zip", tmp_path / "t.xlsx"):
        table = read_table(path)
        assert dict(table.columns) == dict(plain.columns), path
    assert "first of 2 sheets" in read_table(tmp_path / "t.xlsx").notes[0]


def test_a_sheet_is_chosen_by_name(tmp_path):
    book = openpyxl.Workbook()
    book.create_sheet("Round 2").append(["x"])
    book["Round 2"].append([1])
    book.save(tmp_path / "t.xlsx")
    assert read_table(tmp_path / "t.xlsx", sheet="Round 2").cells("x") == ("1",)
    with pytest.raises(TableError, match="Did you mean 'Round 2'"):
        read_table(tmp_path / "t.xlsx", sheet="Round2")


def test_a_row_of_column_types_is_left_out_and_noted(tmp_path):
    content = "NAME,a,y\nTYPE,DATA,DATA\n0,1,2\n"
    table = read_table(write(tmp_path / "t.csv", content))
    assert table.n_rows == 1
    assert table.lines == (3,)
    assert "line 2 declares column types" in table.notes[0]


def test_column_names_can_be_given_for_a_file_without_header(tmp_path):
    path = write(tmp_path / "t.csv", "0.5,1.5\n0.7,2.5\n")
    assert read_table(path, header=("a", "y")).cells("y") == ("1.5", "2.5")
    with pytest.raises(TableError, match="Add a line with names"):
        read_table(path)


def test_columns_without_a_name_are_named_and_noted(tmp_path):
    table = read_table(write(tmp_path / "t.csv", ",y\n0,1\n"))
    assert table.headers == ("unnamed_1", "y")
    assert "unnamed_1" in table.notes[0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b" \n \n", "is empty"),
        (b"\xef\xbb\xbf", "has a header and rows|is empty"),
        (b"a,b\n", "only a header"),
        (b"a,a\n1,2\n", "'a' more than once"),
        (b"a,b\n1,2,3\n", ":2: a row has as many cells as the header, 2; got 3"),
        (b'a,b\n"1,2\n', "balanced quotes"),
        (b"a\x00\x01\x02b", "binary bytes"),
        (b"\xff\xfea", "does not go on so"),
    ],
    ids=[
        "empty", "blank", "only-a-mark", "header", "twice", "ragged", "quote", "binary",
        "broken-utf16",
    ],
)  # fmt: skip
def test_what_is_no_table_is_refused(tmp_path, content: bytes, message: str):
    with pytest.raises(TableError, match=message):
        read_table(write(tmp_path / "t.csv", content))


@pytest.mark.parametrize("name", ["t.xlsx", "t.zip", "t.csv.gz"])
def test_a_damaged_packed_file_is_refused(tmp_path, name: str):
    with pytest.raises(TableError, match="must"):
        read_table(write(tmp_path / name, b"not what the name says"))


def test_a_zip_with_several_tables_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
        archive.writestr("a.csv", PLAIN)
        archive.writestr("b.csv", PLAIN)
    with pytest.raises(TableError, match="one CSV file"):
        read_table(tmp_path / "t.zip")


def test_an_absent_file_is_unavailable(tmp_path):
    with pytest.raises(UnavailableError, match="No such file"):
        read_table(tmp_path / "absent.csv")


def test_an_unknown_column_brings_the_nearest(tmp_path):
    table = read_table(write(tmp_path / "t.csv", PLAIN))
    with pytest.raises(TableError, match=r"no 'yeild'\. Did you mean 'yield'"):
        table.cells("yeild")


@pytest.mark.parametrize(
    "name",
    [
        "softmax_absorbance_partial_plate.txt",
        "gen5_absorbance_overflow_missed.txt",
        "bmg_mars_absorbance.csv",
        "echo_cherry_pick_complete.csv",
    ],
)
def test_raw_instrument_exports_are_read_or_refused_never_crashed_on(shared, name: str):
    """They are no plain tables: reading one gives a typed error or all of its text."""
    path = shared / "data" / "plate_reader_exports" / name
    table = None
    with contextlib.suppress(TableError):
        table = read_table(path)
    assert table is None or table.n_rows > 0


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("one-long-line.csv", b"x,y\n" + b"a" * 10_000_001 + b",1\n"),
        ("a-late-nul.csv", b"x,y\n" + b"1,2\n" * 2000 + b"a\x00b,2\n"),
        ("no-gzip.csv.gz", b"\x1f\x8bnothing"),
    ],
)
def test_what_is_no_table_is_refused_with_words(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(TableError, match=name):
        read_table(path)


def test_a_cell_of_many_characters_is_read(tmp_path):
    path = tmp_path / "long.csv"
    path.write_text('x,y\n"' + "a" * 200_000 + '",1\n')
    assert len(read_table(path).cells("x")[0]) == 200_000


@pytest.mark.parametrize("suffix", [".csv.gz", ".zip"])
def test_a_packed_table_that_would_fill_the_memory_is_refused(
    tmp_path, monkeypatch, suffix
):
    monkeypatch.setattr("labwm.data.read.MAX_UNPACKED", 1000)
    path, text = tmp_path / f"bomb{suffix}", b"x,y\n" + b"1,2\n" * 1000
    if suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("bomb.csv", text)
    else:
        path.write_bytes(gzip.compress(text))
    with pytest.raises(TableError, match="when unpacked"):
        read_table(path)


def test_an_encrypted_archive_is_refused_with_words(tmp_path):
    path = tmp_path / "locked.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("t.csv", "x,y\n1,2\n")
    content = bytearray(path.read_bytes())
    content[6] |= 1  # the flag of the file, and that of its entry in the directory
    content[content.find(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(bytes(content))
    with pytest.raises(TableError, match="encrypted"):
        read_table(path)


def test_formulas_without_results_are_refused_not_read_as_empty(tmp_path):
    path = tmp_path / "formulas.xlsx"
    book = openpyxl.Workbook()
    for row in (("x", "y"), (1, "=A2*2")):
        book.active.append(row)
    book.save(path)
    with pytest.raises(TableError, match="=A2"):
        read_table(path)
