"""Raw bytes of a result are its own part of an answer, as it came."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labwm.labs.answers import elements

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(values=st.lists(JSON, max_size=5), indent=st.sampled_from([None, 1]))
def test_each_element_is_found_whole_however_the_answer_is_laid_out(values, indent):
    for is_ascii in (True, False):
        parts = [
            json.dumps(value, indent=indent, ensure_ascii=is_ascii).encode()
            for value in values
        ]
        assert elements(b" [ " + b" ,\n".join(parts) + b"\n] ") == tuple(parts)


@pytest.mark.parametrize("body", [b"{}", b"", b"[1", b"[1,", b'["a]', b"\xff"])
def test_what_is_no_array_is_refused(body: bytes):
    with pytest.raises(ValueError):  # noqa: PT011 JSON's and Unicode's are both one
        elements(body)
