"""Homes that cannot be made are said so."""

import pytest

from labwm.errors import StoreError
from labwm.store import Ledger


@pytest.mark.parametrize("place", ["file/ledger.db", "file/below/ledger.db"])
def test_a_home_that_is_no_folder_is_an_error_with_words(tmp_path, place):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StoreError, match="can be made"):
        Ledger.open(f"sqlite:///{tmp_path / place}")
