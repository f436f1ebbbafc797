"""Print what a dear level of the xtb lab costs beside the cheap one, by molecule.

`python -m labwm.labs.cost_ratio` measures the same structures at both levels, one after
the other on one thread, and prints processor seconds, their ratio and both gaps. Put
the ratio into a protocol's `fidelities`.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from labwm.labs.dft import BASES
from labwm.labs.xtb_instrument import XtbSettings, measure

MOLECULES: tuple[str, ...] = (
    "CO",
    "CCO",
    "C=O",
    "CC=O",
    "C=CC=O",
    "CC#N",
    "CN",
    "C1CC1",
    "c1ccoc1",
    "c1cc[nH]c1",
    "NC=O",
    "C=CC=C",
)
"""Two to five heavy atoms: what the dear level does in seconds."""
CHEAP = "GFN2-xTB"


@dataclass(frozen=True)
class Pair:
    """One molecule at both levels."""

    smiles: str
    seconds: tuple[float, float]
    """Processor time, cheap and dear."""
    gaps: tuple[float, float]
    """eV, cheap and dear."""

    @property
    def ratio(self) -> float:
        """Cost of the dear level in measurements at the cheap one."""
        return self.seconds[1] / self.seconds[0]


def compare(smiles: str, level: str, *, n_repeats: int = 3) -> Pair | None:
    """Measure a molecule at both levels; None if one of them fails.

    The cheap level takes milliseconds: it is measured several times and the median
    counts.
    """
    cheap = [
        measure(smiles, seed=1, settings=XtbSettings(method=CHEAP))
        for _ in range(n_repeats)
    ]
    dear = measure(smiles, seed=1, settings=XtbSettings(method=level))  # pyright: ignore[reportArgumentType]
    if cheap[0].gap is None or dear.gap is None:
        return None
    seconds = median(result.cpu_seconds for result in cheap)
    return Pair(smiles, (seconds, dear.cpu_seconds), (cheap[0].gap, dear.gap))


def lines(pairs: Sequence[Pair], level: str) -> list[str]:
    """Return the table as lines of Markdown."""
    table = [
        f"| molecule | {CHEAP} [s] | {level} [s] | ratio | gap {CHEAP} [eV] "
        f"| gap {level} [eV] |",
        "|---|---|---|---|---|---|",
    ]
    for pair in pairs:
        (cheap, dear), (low, high) = pair.seconds, pair.gaps
        table.append(
            f"| `{pair.smiles}` | {cheap:.3f} | {dear:.2f} | {pair.ratio:.0f} | "
            f"{low:.2f} | {high:.2f} |"
        )
    ratios = sorted(pair.ratio for pair in pairs)
    table.append(
        f"\n{len(pairs)} molecules, one thread: {level} costs {median(ratios):.0f} "
        f"times {CHEAP} (median; {ratios[0]:.0f} to {ratios[-1]:.0f})."
    )
    return table


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--level", choices=sorted(BASES), default="B3LYP/STO-3G")
    parser.add_argument("molecules", nargs="*", default=MOLECULES)
    chosen = parser.parse_args(arguments)
    measure("CO", seed=1, settings=XtbSettings(method=chosen.level))  # imports
    found = (compare(smiles, chosen.level) for smiles in chosen.molecules)
    pairs = [pair for pair in found if pair is not None]
    sys.stdout.write("\n".join(lines(pairs, chosen.level)) + "\n")


if __name__ == "__main__":
    main()
