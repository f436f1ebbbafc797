"""Protocol files: errors point at lines and suggest; what is written reads back."""

from pathlib import Path

import pytest

from labwm.errors import ProtocolError, UnavailableError
from labwm.schema import dump_protocol, parse_protocol, read_protocol

GOOD = """name: p
version: 1
parameters:
  - {name: t, kind: continuous, unit: degC, bounds: [20, 80]}
  - {name: c, kind: discrete, levels: [0.1, 0.3]}
  - name: base
    kind: categorical
    levels: [KOAc, CsOAc]
  - {name: m, kind: mixture, parts: [a, b]}
constraints:
  - {kind: exclude, when: {base: [KOAc]}}
readouts:
  - {name: yield, unit: percent, bounds: [0, 100]}
objectives:
  - {readout: yield, goal: maximise}
costs:
  per_experiment: {amount: 20, currency: EUR, duration: 30 min}
"""


def test_a_good_file_is_read():
    protocol = parse_protocol(GOOD)
    assert protocol.condition_names == ("t", "c", "base", "m.a", "m.b")
    assert protocol.costs.per_experiment.duration == 1800.0
    assert parse_protocol(dump_protocol(protocol)) == protocol


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("bounds: [20, 80]", "bounds: [80, 20]", 4, "lower bound of 't'"),
        ("bounds: [20, 80]", "bound: [20, 80]", 4, "Did you mean 'bounds'"),
        ("levels: [0.1, 0.3]", "levels: [0.1, 0.1]", 5, "more than once"),
        ("levels: [KOAc, CsOAc]", "level: [KOAc]", 8, "Did you mean 'levels'"),
        ("kind: categorical", "kind: categoric", 6, "'categoric'"),
        ("goal: maximise", "goal: maximize", 15, "'maximize'"),
        ("goal: maximise", "goal: match", 15, "`target`"),
        ("readout: yield, goal", "readout: yeild, goal", 1, "yeild"),
        ("duration: 30 min", "duration: half", 17, "30 min"),
        ("amount: 20", "amount: -20", 17, "this must be 0 or more"),
        ("{base: [KOAc]}", "{bose: [KOAc]}", 1, "bose"),
        ("version: 1", "version: one", 2, "'one'"),
        ("version: 1", "verson: 1", 2, "Did you mean 'version'"),
        ("parts: [a, b]", "parts: [a]", 9, "m|parts"),
        ("name: p\n", "name: 1p\n", 1, "'1p'"),
        ("name: p\n", "name: p\nname: q\n", 2, "each key stands once"),
        ("objectives:\n", "objectives: {\n", 15, "YAML"),
    ],
)
def test_an_error_points_at_its_line(old: str, new: str, line: int, message: str):
    assert old in GOOD
    with pytest.raises(ProtocolError) as caught:
        parse_protocol(GOOD.replace(old, new, 1), source="file.yaml")
    lines = [
        text for text in str(caught.value).splitlines() if f"file.yaml:{line}:" in text
    ]
    assert any(message in text or message.split("|")[0] in text for text in lines), (
        caught.value
    )


def test_every_broken_rule_is_listed():
    text = GOOD.replace("[20, 80]", "[80, 20]").replace("version: 1", "version: 0")
    with pytest.raises(ProtocolError) as caught:
        parse_protocol(text)
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "just words", "a: [", "a: 'x"])
def test_what_is_no_protocol_is_refused(text: str):
    with pytest.raises(ProtocolError, match=r"protocol:\d+: a protocol is"):
        parse_protocol(text)


def test_an_absent_or_binary_file_is_told(tmp_path: Path):
    with pytest.raises(UnavailableError, match="No such file"):
        read_protocol(tmp_path / "absent.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"name: \xff\xfe")
    with pytest.raises(ProtocolError, match="UTF-8"):
        read_protocol(tmp_path / "binary.yaml")


def test_a_byte_order_mark_is_no_matter(tmp_path: Path):
    (tmp_path / "p.yaml").write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert read_protocol(tmp_path / "p.yaml") == parse_protocol(GOOD)
