"""Diagrams of the state machines, drawn from the table that the database enforces.

    python -m labwm.store.diagrams docs/ledger.md

writes them between the marks of a page; a test compares.
"""

import argparse
from pathlib import Path
from typing import Final

from labwm.store.machines import APPROVAL, NEW, SUBMISSION, WELL, Machine

BEGIN: Final = "<!-- state machines: python -m labwm.store.diagrams docs/ledger.md -->"
END: Final = "<!-- end of state machines -->"
_TITLES: Final = {
    APPROVAL: "Approval of a batch",
    SUBMISSION: "Submission of a job",
    WELL: "A well",
}


def diagram(machine: Machine) -> str:
    """Return a machine as a Mermaid state diagram, one line per legal step."""
    steps = sorted(machine.legal, key=lambda step: (step[0] != NEW, *step))
    lines = [f"    {_named(start)} --> {end}" for start, end in steps]
    ends = sorted({end for _, end in machine.legal if not machine.after(end)})
    lines += [f"    {end} --> [*]" for end in ends]
    return "\n".join(["```mermaid", "stateDiagram-v2", *lines, "```"])


def _named(state: str) -> str:
    return "[*]" if state == NEW else state


def section() -> str:
    """Return what stands between the marks of the page."""
    parts = [f"### {title}\n\n{diagram(m)}" for m, title in _TITLES.items()]
    return "\n\n".join([BEGIN, *parts, END])


def renewed(page: str) -> str:
    """Return a page with the section between its marks drawn again."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{section()}{after}"


def main() -> None:
    """Write the diagrams into the page that is named."""
    parser = argparse.ArgumentParser(description="Draw the state machines into a page.")
    parser.add_argument("page", type=Path)
    page: Path = parser.parse_args().page
    page.write_text(renewed(page.read_text()))


if __name__ == "__main__":
    main()
