"""One ledger per process, and no connection that nobody closes."""

from labwm.campaign.books import MOST_OPEN, books


def test_a_ledger_that_is_no_longer_used_is_closed(tmp_path, monkeypatch):
    ledger = books().ledger
    assert ledger.campaigns() == ()
    pool = ledger.engine.pool
    assert books().ledger is ledger
    for i in range(MOST_OPEN):
        monkeypatch.setenv("LABWM_HOME", str(tmp_path / str(i)))
        books().ledger.campaigns()
    assert ledger.engine.pool is not pool  # disposed of, its connections closed
    assert ledger.campaigns() == ()  # who still holds it connects anew
    ledger.close()
