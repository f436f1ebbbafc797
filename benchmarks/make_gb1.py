"""Write a table of protein variants from FLIP's file of all four-site mutants of GB1.

`python benchmarks/make_gb1.py four_mutations_full_data.csv FOLDER --rows 20000` takes
rows at random; the file is `splits/gb1/four_mutations_full_data.csv.zip` of the
repository J-SNACKKB/FLIP, unpacked.
"""

import argparse
import csv
import random
from pathlib import Path

SITES = ("site_39", "site_40", "site_41", "site_54")
PROTOCOL = """name: gb1
version: 1
parameters:
{parameters}
readouts:
  - {{name: fitness, column: fitness}}
objectives:
  - {{readout: fitness, goal: maximise}}
"""
PARAMETER = "  - {{name: {name}, kind: categorical}}"


def main() -> None:
    """Write `gb1.csv` and `gb1.yaml`."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("file", type=Path)
    asked.add_argument("folder", type=Path)
    asked.add_argument("--rows", type=int, default=None)
    given = asked.parse_args()
    with given.file.open(newline="", encoding="utf-8") as file:
        rows = [(*row["Variants"], row["Fitness"]) for row in csv.DictReader(file)]
    random.Random(0).shuffle(rows)
    given.folder.mkdir(parents=True, exist_ok=True)
    with (given.folder / "gb1.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([(*SITES, "fitness"), *rows[: given.rows]])
    parameters = "\n".join(PARAMETER.format(name=name) for name in SITES)
    text = PROTOCOL.format(parameters=parameters)
    (given.folder / "gb1.yaml").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
