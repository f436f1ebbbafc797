"""`labwm data list|fetch|describe|import`."""

from pathlib import Path

from labwm.api.terminal import Json, lines, out, refuse_unwritable, table, write_json


def list_all(*, json: Json = None) -> None:
    """List the public sets of the catalogue."""
    from labwm.data.catalogue import catalogue

    found = tuple(catalogue().values())
    write_json(json, found)
    table(
        *("set", "kind", "read as", "MB", "protocol", "licence", "title"),
        rows=[
            (
                *(e.name, e.kind, e.reader, f"{e.n_bytes / 1e6:.2f}"),
                *(e.protocol, e.licence, e.title),
            )
            for e in found
        ],
    )


def fetch(name: str) -> None:
    """Fetch the files of a public set into the cache, and check their sha256.

    Args:
        name: Name in the catalogue.
    """
    from labwm.data.catalogue import fetch as fetch_set

    lines(str(path) for path in fetch_set(name))


def describe(name: str, *, json: Json = None) -> None:
    """Say what a public set or a table of one's own holds.

    Args:
        name: Name in the catalogue, or a table file.
    """
    from labwm.data.catalogue import catalogue, load_table

    entry = catalogue().get(name)
    if entry is not None:
        write_json(json, entry)
        lines(
            [
                f"{entry.name}: {entry.title}",
                f"{entry.kind}; {entry.n_bytes / 1e6:.2f} MB in {len(entry.files)} "
                f"files; licence {entry.licence}",
                f"cite: {entry.citation}",
                *([entry.note] if entry.note else []),
                *(f"{f.relative} sha256 {f.sha256}" for f in entry.files),
            ]
        )
        if entry.reader == "other":
            lines([f"It is not read as a table: {entry.why}"])
            return
    found = load_table(name)
    out.print(
        f"{found.n_rows} rows, {len(found.headers)} columns ({found.encoding}); sha256 "
        f"{found.sha256}",
        markup=False,
    )
    table(
        *("column", "unit", "distinct", "first"),
        rows=[
            (
                *(found.names[header], found.units[header]),
                *(len(set(found.cells(header))), found.cells(header)[0][:40]),
            )
            for header in found.headers
        ],
    )
    lines(f"note: {note}" for note in found.notes)


def import_table(data: str, *, protocol: str, output: Path, json: Json = None) -> None:
    """Read a table by a protocol, curate it, and keep it as a zarr dataset.

    Nothing is dropped: a value that cannot be read has its status, and the reports say
    what is odd.

    Args:
        data: Name in the catalogue, or a table file.
        protocol: Name of a shipped protocol, or a protocol file.
        output: Folder to write; what stood there is replaced as a whole.
    """
    from labwm.data.assay import read_assay
    from labwm.data.dataset import to_dataset
    from labwm.data.keep import write_zarr
    from labwm.data.protocols import load_protocol

    refuse_unwritable(json)
    rules = load_protocol(protocol)
    found = read_assay(data, rules)
    source = found.imported.source
    write_zarr(to_dataset(found.measurements, rules, source=source), output)
    write_json(json, found.to_json())
    lines(found.text().splitlines())
    out.print(f"Dataset: {output}", markup=False)
