"""An event that carries a campaign's state, a message or interests, over HTTP and into DuckDB."""

import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.server import Server, running

TID = "0199d7a4-0000-7000-8000-000000000007"
VISITOR = "0199d7a4-0000-7000-8000-000000000001"
TENANT = "0199d7a4-0000-7000-8000-00000000000a"
CAMPAIGN = {
    "eid": "0199d7a4-0000-7000-8000-0000000000e1",
    "vid": VISITOR,
    "oid": TENANT,
    "tid": TID,
    "ename": "campaign_update",
    "campaign": "Autumn",
    "provider": "Mailer",
    "campaign_status": "active",
    "abz_exploration_rate": 0.1,
    "audience_params": {"email": "somebody@example.org", "age": [20, 30]},
    "cats": ["shoes", "hats"],
    "subject": "Hello",
    "data": {"price": 1.5},
    "scheduled": "2026-11-22T04:00:00.123+01:00",
    "planned": 1795316400,
    "users": [VISITOR],
    "urgency": 2,
    "audience_tags": ["Runner"],
    "content_tags": "shoes, hats",
}
ROWS: dict[str, list[dict[str, Any]]] = {
    "SELECT eid, tid, oid, vid, ename, campaign, provider, campaign_status, abz_exploration_rate, urgency,"
    " audience_params, cats, abz_enabled, subs, created_at = updated_at AS same FROM mthreads": [
        {
            **{
                key: CAMPAIGN[key] for key in ("eid", "tid", "oid", "vid", "ename", "campaign_status", "cats")
            },
            "campaign": "autumn",
            "provider": "mailer",
            "abz_exploration_rate": 0.1,
            "urgency": 2,
            "audience_params": {"age": [20, 30]},
            "abz_enabled": False,
            "subs": [],
            "same": True,
        }
    ],
    "SELECT eid, mid, tid, subject, data, scheduled::TEXT AS scheduled, planned::TEXT AS planned, users,"
    " urgency, keep, scheduled_local_hour, deleted::TEXT AS deleted FROM mstore": [
        {
            "eid": CAMPAIGN["eid"],
            "mid": CAMPAIGN["eid"],
            "tid": TID,
            "subject": "Hello",
            "data": '{"price":1.5}',
            "scheduled": "2026-11-22 03:00:00.123",
            "planned": "2026-11-22 03:00:00",
            "users": [VISITOR],
            "urgency": 2,
            "keep": False,
            "scheduled_local_hour": -1,
            "deleted": "1970-01-01 00:00:00",
        }
    ],
    "SELECT eid, mid, subject, urgency, keep FROM mtriage": [
        {"eid": CAMPAIGN["eid"], "mid": CAMPAIGN["eid"], "subject": "Hello", "urgency": 2, "keep": True}
    ],
    "SELECT eid, vid, oid, audience_tags, content_tags, interests, interest_counts, campaign_sources,"
    " total_interactions FROM visitor_interests": [
        {
            **{key: CAMPAIGN[key] for key in ("eid", "vid", "oid")},
            "audience_tags": ["runner"],
            "content_tags": ["shoes", "hats"],
            "interests": ["runner", "shoes", "hats"],
            "interest_counts": {"runner": 1, "shoes": 1, "hats": 1},
            "campaign_sources": {"autumn": {"audience": ["runner"], "content": ["shoes", "hats"]}},
            "total_interactions": 1,
        }
    ],
}


def waited_for(server: Server, events: int) -> None:
    """Return when the events are in the store and the rows beside them have had their time too."""
    assert len(server.rows_when("SELECT eid FROM events", events)) == events
    time.sleep(1)


@pytest.mark.long
def test_a_campaign_s_event_is_exactly_its_rows_also_when_sent_again(tmp_path: Path) -> None:
    quick = {"default": {"Strategy": "time", "MaxBatchTime": "0.1s"}}
    with running(tmp_path, Batching=quick) as server:
        for _ in range(2):
            assert server.post("/tr/v1/tr/", CAMPAIGN) == (200, b"")
        traffic = {"vid": VISITOR, "oid": TENANT, "tid": TID, "ename": "page_view", "score": 1, "any": "y"}
        for _ in range(2):
            assert server.post("/tr/v1/tr/", traffic) == (200, b"")
        waited_for(server, 3)
        for question, expected in ROWS.items():
            assert server.rows(question) == expected
        (params,) = server.rows("SELECT params FROM events WHERE ename = 'campaign_update'")
        seen = server.rows("SELECT total_impressions FROM impression_daily")
    assert "somebody@example.org" not in str(params)
    assert params["params"]["subject"] == "Hello"
    assert seen == [{"total_impressions": 2}]
