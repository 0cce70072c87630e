"""A pytest plugin for sessions that a test starts: a busy machine rejects no round and refuses no budget.

A budget that it is too slow for gives one lane of one round; ``-p no:quiet_machine`` takes all this back.
"""

from dataclasses import replace
from typing import Any

import pytest


def pytest_collection_finish(session: pytest.Session) -> None:
    """Before anything is measured: nobody takes anything from us, and time is not short."""
    if session.config.option.collectonly:
        return
    from ovbench import campaign, comparison
    from ovbench.errors import BadOption

    make_plan = campaign.make_plan

    def make_some_plan(cells: Any, order: campaign.Order, left_s: float, lane_start_s: float) -> campaign.Plan:
        try:
            return make_plan(cells, order, left_s, lane_start_s)
        except BadOption:
            return make_plan(cells, replace(order, smoke=True), left_s, lane_start_s)

    campaign.make_plan = make_some_plan
    campaign.was_hit = comparison.was_hit = lambda *_: False
