"""Read a table from a file: CSV in its many dialects, zipped or not, or a workbook."""

import csv
import gzip
import hashlib
import io
import zipfile
import zlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from labwm.data.cells import decimal_sign, number_in
from labwm.data.table import Table
from labwm.errors import TableError, UnavailableError, suggest
from labwm.units import split_header

DELIMITERS = (",", ";", "\t", "|")
WORKBOOKS = frozenset({".xlsx", ".xlsm"})
MAX_CELL = 10_000_000
MAX_UNPACKED = 1 << 30
"""Bytes that a packed table may grow to."""
_MARKS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)

Rows = list[tuple[int, list[str]]]
"""Line on which a row starts, and its cells."""


def read_table(
    path: Path | str, *, sheet: str | None = None, header: Sequence[str] | None = None
) -> Table:
    """Read a file as columns of text.

    Understood are CSV with commas, semicolons, tabs or bars; `.csv.gz`; a zip with one
    table; `.xlsx`; UTF-8, UTF-16 with a byte-order mark, and Latin-1 as a last resort,
    which is noted. A second row that says TYPE, DATA, … (Summit) is left out and noted.

    Args:
        path: The file.
        sheet: Name of a workbook's sheet; the first one when None.
        header: Column names of a file that has no header line.

    Raises:
        UnavailableError: If the file cannot be read.
        TableError: If it is empty, ragged, names a column twice, or is no table.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UnavailableError(
            f"A table is a readable file; got {path}: {error.strerror}. Check the path."
        ) from error
    return table_from(content, path, sheet=sheet, header=header)


def table_from(
    content: bytes,
    path: Path,
    *,
    sheet: str | None = None,
    header: Sequence[str] | None = None,
) -> Table:
    """Read the bytes of a file as columns of text; see `read_table`.

    Args:
        content: The whole file.
        path: Where it lies: its ending tells the kind, and errors name it.
        sheet: Name of a workbook's sheet; the first one when None.
        header: Column names of a file that has no header line.

    Raises:
        TableError: If it is empty, ragged, names a column twice, or is no table.
    """
    if not content.strip():
        raise TableError(f"A table has a header and rows; {path} is empty.")
    digest = hashlib.sha256(content).hexdigest()
    if path.suffix.lower() in WORKBOOKS:
        rows, notes = _workbook_rows(path, content, sheet)
        encoding, delimiter = "binary", ""
    else:
        text, encoding, notes = _decode(_unpack(path, content), path)
        rows, delimiter = _text_rows(text, path)
    return _table(rows, header, str(path), (digest, encoding, delimiter), tuple(notes))


def _unpack(path: Path, content: bytes) -> bytes:
    try:
        if path.suffix.lower() == ".gz":
            with gzip.GzipFile(fileobj=io.BytesIO(content)) as packed:
                return _not_too_large(packed.read(MAX_UNPACKED + 1), path)
        if path.suffix.lower() != ".zip":
            return content
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = [n for n in archive.namelist() if not n.endswith("/")]
            tables = [n for n in names if n.lower().endswith((".csv", ".tsv", ".txt"))]
            if len(tables) != 1:
                raise TableError(
                    f"A zipped table is one CSV file in the archive; {path} holds "
                    f"{names[:8]}. Unpack the one you mean."
                )
            with archive.open(tables[0]) as packed:
                return _not_too_large(packed.read(MAX_UNPACKED + 1), path)
    # Of an encrypted file, and of one packed in a way unknown here, the last two.
    except (
        *(OSError, EOFError, zlib.error, zipfile.BadZipFile),
        *(RuntimeError, NotImplementedError),
    ) as error:
        raise TableError(
            f"A packed table must unpack; {path} does not ({error}). Fetch it again."
        ) from error


def _not_too_large(content: bytes, path: Path) -> bytes:
    if len(content) > MAX_UNPACKED:
        raise TableError(
            f"A packed table has at most {MAX_UNPACKED >> 20} MiB when unpacked; "
            f"{path} has more. Take the rows that you need."
        )
    return content


def _decode(content: bytes, path: Path) -> tuple[str, str, list[str]]:
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            try:
                return content.decode(encoding), encoding, []
            except UnicodeDecodeError as error:
                raise TableError(
                    f"{path} starts as {encoding} and does not go on so at byte "
                    f"{error.start}. Save it as UTF-8."
                ) from error
    if b"\x00" in content:
        raise TableError(
            f"A table is text or a workbook; {path} holds binary bytes. Export it as "
            "CSV or .xlsx."
        )
    try:
        return content.decode("utf-8"), "utf-8", []
    except UnicodeDecodeError as error:
        note = f"not UTF-8 (byte {error.start}): read as Latin-1; check its accents"
        return content.decode("latin-1"), "latin-1", [note]


def _text_rows(text: str, path: Path) -> tuple[Rows, str]:
    csv.field_size_limit(MAX_CELL)
    delimiter = _delimiter(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: Rows = []
    line = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                rows.append((line, cells))
            line = reader.line_num + 1
    except csv.Error as error:
        raise TableError(
            f"{path}:{line}: a table has balanced quotes and one delimiter; {error}. "
            "Mend this line."
        ) from error
    return rows, delimiter


def _delimiter(text: str) -> str:
    """Return the delimiter that splits the first rows into equal numbers of cells."""
    head = text[:200_000].splitlines()[:30]

    def score(delimiter: str) -> tuple[float, int]:
        widths = Counter(
            len(cells)
            for cells in csv.reader(head, delimiter=delimiter)
            if any(cell.strip() for cell in cells)
        )
        width, n = widths.most_common(1)[0] if widths else (1, 0)
        share = n / max(1, sum(widths.values()))
        return (share if width > 1 else 0.0, width)

    return max(DELIMITERS, key=score)


def _workbook_rows(
    path: Path, content: bytes, sheet: str | None
) -> tuple[Rows, list[str]]:
    import openpyxl

    try:
        book = openpyxl.load_workbook(
            io.BytesIO(content), read_only=True, data_only=True
        )
    except (zipfile.BadZipFile, KeyError, ValueError, OSError) as error:
        raise TableError(
            f"{path} must be a workbook that Excel can open; {error}. Save it again."
        ) from error
    try:
        if sheet is not None and sheet not in book.sheetnames:
            raise TableError(
                f"A sheet is one of the workbook's; {path} has no {sheet!r}. "
                f"{suggest(sheet, book.sheetnames)}"
            )
        chosen = sheet or book.sheetnames[0]
        rows = [
            (i, [_cell_text(value) for value in cells])
            for i, cells in enumerate(book[chosen].iter_rows(values_only=True), start=1)
        ]
        _refuse_formulas_without_result(content, chosen, rows, path)
    finally:
        book.close()
    notes = (
        []
        if sheet or len(book.sheetnames) == 1
        else [f"read the first of {len(book.sheetnames)} sheets, {chosen!r}"]
    )
    return [row for row in rows if any(cell.strip() for cell in row[1])], notes


def _refuse_formulas_without_result(
    content: bytes, sheet: str, rows: Rows, path: Path
) -> None:
    # A program that writes formulas without computing them stores no results: their
    # cells look empty, and the numbers would be lost without a word.
    import openpyxl
    from openpyxl.utils import get_column_letter

    if all(all(cells) for _, cells in rows):
        return
    book = openpyxl.load_workbook(io.BytesIO(content), read_only=True)
    try:
        written = book[sheet].iter_rows(values_only=True)
        for (line, cells), formulas in zip(rows, written, strict=True):
            for column, (cell, formula) in enumerate(
                zip(cells, formulas, strict=True), start=1
            ):
                if not cell and isinstance(formula, str) and formula.startswith("="):
                    place = f"{get_column_letter(column)}{line}"
                    raise TableError(
                        f"A formula is stored with its result; {path} has none for "
                        f"{formula[:80]!r} in {place}. Open it in Excel and save it, "
                        "or store the values."
                    )
    finally:
        book.close()


def _cell_text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)


def _table(
    rows: Rows,
    header: Sequence[str] | None,
    source: str,
    form: tuple[str, str, str],
    notes: tuple[str, ...],
) -> Table:
    digest, encoding, delimiter = form
    if header is None:
        if not rows:
            raise TableError(f"A table has a header and rows; {source} is empty.")
        (_, header), *rows = rows
    names, naming = _headers([cell.strip() for cell in header], source)
    notes += naming
    if rows and _is_type_row(names, rows[0][1]):
        notes += (f"line {rows[0][0]} declares column types and was left out",)
        rows = rows[1:]
    if not rows:
        raise TableError(f"A table has rows; {source} has only a header.")
    width = len(names)
    padded = [_fitted(cells, width, line, source) for line, cells in rows]
    columns = {
        name: tuple(column)
        for name, column in zip(names, zip(*padded, strict=True), strict=True)
    }
    split = {name: split_header(name) for name in names}
    return Table(
        columns=columns,
        names={name: split[name][0] for name in names},
        units={name: split[name][1] for name in names},
        lines=tuple(line for line, _ in rows),
        source=source,
        sha256=digest,
        encoding=encoding,
        delimiter=delimiter,
        decimals={
            name: decimal_sign(cells, delimiter=delimiter)
            for name, cells in columns.items()
        },
        notes=notes,
    )


def _headers(header: Sequence[str], source: str) -> tuple[list[str], tuple[str, ...]]:
    while header and not header[-1] and len(header) > 1:
        header = header[:-1]
    names = [name or f"unnamed_{i}" for i, name in enumerate(header, start=1)]
    unnamed = [name for name, given in zip(names, header, strict=True) if not given]
    if decimals := _decimals(names):
        raise TableError(
            f"The first line of a table names its columns; {source} starts with "
            f"{decimals[0]!r}. Add a line with names."
        )
    if twice := sorted(name for name, n in Counter(names).items() if n > 1):
        raise TableError(
            f"Each column of a table has its own name; {source} has {twice[0]!r} more "
            "than once. Rename it."
        )
    return names, (f"columns without a name: {unnamed}",) if unnamed else ()


def _decimals(names: Sequence[str]) -> list[str]:
    """Return the names that are decimal numbers: whole numbers may name columns."""
    return [
        name
        for name in names
        if not name.lstrip("-").isdigit()
        and (number := number_in(name)) is not None
        and number.unit is None
    ]


def _is_type_row(names: Sequence[str], cells: Sequence[str]) -> bool:
    kinds = {"DATA", "METADATA", "TYPE"}
    return names[0] == "NAME" and cells[0] == "TYPE" and set(cells) <= kinds


def _fitted(cells: list[str], width: int, line: int, source: str) -> list[str]:
    extra = cells[width:]
    if any(cell.strip() for cell in extra):
        raise TableError(
            f"{source}:{line}: a row has as many cells as the header, {width}; got "
            f"{len(cells)}. Quote cells that hold the delimiter."
        )
    return cells[:width] + [""] * (width - len(cells))
