"""Views: what every store derives from its tables, by name. Their columns and SQL are in schema/."""

from types import MappingProxyType

VIEWS = MappingProxyType(
    {
        "events_recent": "events of the last seven days",
        "visitors": "the first event of each visitor of each organisation",
        "visitors_latest": "the latest event of each visitor of each organisation",
        "sessions": "the first event of each session of each organisation; duration is that event's own",
        "hits": "client events by host, page and day",
        "ips": "events by host, address and day",
        "reqs": "client events by host, visitor and day",
        "browsers": "client events by host, user agent and day",
        "referrers": "client events by host, page before and day",
        "outcomes": "client events by host, outcome, sink, page and day",
        "dailies": "client events by address and day",
        "nodes": "the first event of each visitor at each address",
        "locations": "the first event of each visitor at each place",
        "aliases": "the first event of each visitor as each user",
        "user_sessions": "when each session of a user began",
        "routed": "the latest page of each address",
        "referrals": "the visitor by whom each visitor was referred first",
        "referred": "the code by which each visitor was referred first",
        "last_event_by_vid_uid_ename": "the latest event of each name of each visitor and user",
        "last_event_by_user": "the latest event of each name of each user",
        "event_frequency": "how often and by how many each event of an organisation happened",
        "conversion_funnel": "visitors who converted: first event, latest conversion and its invoice",
        "impression_daily": "conversions and events with a score of a thread, by day and variant",
        "ltv": "what each user, visitor and order of an organisation paid in all, by currency",
        "ltvu": "what each user of an organisation paid for each order, by currency",
        "ltvv": "what each visitor of an organisation paid for each order, by currency",
    }
)
"""Name to meaning."""
