"""One Prefect server for all flow tests, and Prefect's results in their own folder."""

import warnings

import pytest

from tests.unit.campaign.conftest import kettle, spec

__all__ = ["kettle", "prefect_server", "spec"]


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Prefect's own deprecations while it starts
        from prefect.settings import (
            PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
            PREFECT_LOCAL_STORAGE_PATH,
            PREFECT_SERVER_ALLOW_EPHEMERAL_MODE,
            temporary_settings,
        )
        from prefect.testing.utilities import prefect_test_harness

        results = tmp_path_factory.mktemp("results")
        with (
            temporary_settings({PREFECT_SERVER_ALLOW_EPHEMERAL_MODE: True}),
            prefect_test_harness(server_startup_timeout=180),
            # Heartbeats cost a second per flow call; they are of no use here.
            temporary_settings(
                {
                    PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,
                    PREFECT_LOCAL_STORAGE_PATH: results,
                }
            ),
        ):
            yield
