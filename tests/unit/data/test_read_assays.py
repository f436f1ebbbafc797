"""Many assays from a folder or a table, long or wide."""

import numpy as np
import pytest

from labwm.data.assay_columns import AssayColumns
from labwm.data.read_assays import AssayLayout, read_assays
from labwm.errors import InvalidInputError, TableError, UnavailableError

HEADER = "assay_id,smiles,active,log_value,raw,relation\n"


def table(tmp_path, text, name="t.csv"):
    path = tmp_path / name
    path.write_text(text)
    return path


def of_concentration(path):
    columns = AssayColumns(relation_of="raw")
    return {a.name: a for a in read_assays(path, AssayLayout(columns)).assays}


def test_assays_keep_items_values_labels_and_limits(tmp_path):
    path = table(
        tmp_path,
        HEADER
        + "A,CCO,1,8,10,=\nB,CC,0,5,10000,>\nA,CCC,0,5,10000,>\nA,CCN,1,9,1,<\n"
        + "A,CCF,0,,0,\n",
    )
    found = of_concentration(path)
    assert found["A"].items == ("CCO", "CCC", "CCN", "CCF")
    assert found["A"].limits.tolist() == [0, -1, 1, 0]
    assert np.isnan(found["A"].values[3])
    assert found["A"].is_active.tolist() == [True, False, True, False]
    assert found["A"].limit_share == pytest.approx(2 / 3)


def test_a_relation_of_the_value_itself_is_not_turned(tmp_path):
    path = table(tmp_path, "assay,smiles,value,relation\nA,C,5,<\nA,CC,6,=\nA,CN,7,>\n")
    (assay,) = read_assays(path).assays
    assert assay.limits.tolist() == [-1, 0, 1]
    assert assay.is_active.tolist() == [False, False, True]


def test_each_file_of_a_folder_is_an_assay_when_no_column_names_it(tmp_path):
    table(tmp_path, "smiles,value\nC,1\nCC,2\n", "first.csv")
    table(tmp_path, "smiles;value\nC;1,5\nCN;2,5\n", "second.csv")
    found = read_assays(tmp_path)
    assert [a.name for a in found.assays] == ["first", "second"]
    assert found.files["second.csv"][0].values.tolist() == [1.5, 2.5]


def test_a_wide_table_has_one_assay_per_column(tmp_path):
    path = table(tmp_path, "kmer,F1,F2,F3\nAC,1,2,\nAG,3,4,5\nAT,5,1,7\n")
    found = {a.name: a for a in read_assays(path).assays}
    assert found["F1"].items == ("AC", "AG", "AT")
    assert found["F3"].items == ("AG", "AT")
    assert found["F1"].is_active.tolist() == [False, False, True]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("assay,value\nA,1\n", "a column for each item"),
        ("assay,smiles\nA,C\n", "a column for each value"),
        ("assay,smiles,value\nA,C,high\n", r":2: 'value' is a number"),
        ("assay,smiles,value,relation\nA,C,1,about\n", "a relation is one of"),
        ("assay,smiles,value,active\nA,C,1,maybe\n", "active or not"),
        ("assay,smiles,value\n,C,1\n", "every row names its assay"),
        ("", "is empty"),
    ],
)
def test_what_breaks_a_rule_is_said_with_its_line(tmp_path, text, words):
    with pytest.raises(TableError, match=words):
        read_assays(table(tmp_path, text))


def test_a_relation_of_an_unrelated_column_is_refused(tmp_path):
    rows = "".join(
        f"{name},C{'C' * i},0,{i},{i if name < 'C' else -i},>\n"
        for name in "ABCD"
        for i in range(4)
    )
    with pytest.raises(TableError, match="rises in 50%"):
        of_concentration(table(tmp_path, HEADER + rows))


def test_a_column_that_was_named_must_exist(tmp_path):
    path = table(tmp_path, "assay,smiles,value\nA,C,1\n")
    with pytest.raises(TableError, match="has no 'pIC50'"):
        read_assays(path, AssayLayout(AssayColumns(value="pIC50")))


def test_absent_and_empty_places_are_said(tmp_path):
    with pytest.raises(UnavailableError, match="does not exist"):
        read_assays(tmp_path / "nowhere")
    with pytest.raises(InvalidInputError, match="holds none"):
        read_assays(tmp_path)
