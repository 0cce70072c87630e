"""A pytest plugin for sessions that a test starts: no round is rejected, however busy the machine that tests."""

import pytest


def pytest_collection_finish(session: pytest.Session) -> None:
    """Before anything is measured: nobody takes anything from us."""
    if session.config.option.collectonly:
        return
    from ovbench import campaign, comparison

    campaign.was_hit = comparison.was_hit = lambda *_: False
