"""Messages and their triage: what events of a thread carried of them, one row for each such event."""

from tracker.tables.model import CREATED, EID, OID, ORG, UPDATED, Column, Kind, Table, columns

_MESSAGE = (
    EID,
    *columns(Kind.UUID, tid="thread", mid="message, else the event's id", pmid="parent message"),
    *columns(Kind.TEXT, subject="subject", msg="text", data="content; a document as its JSON text"),
    Column("urgency", Kind.INT32, "urgency, lower is sooner"),
    *columns(Kind.BOOL, sys="from the system itself", broadcast="to everyone of the thread"),
    Column("mtempl", Kind.TEXT, "template; a document as its JSON text"),
    Column("repl", Kind.JSON, "replacements in the template"),
    Column("svc", Kind.TEXT, "service that sends it"),
    *columns(Kind.UUID, qid="queue", rid="related record"),
    Column("relation", Kind.TEXT, "kind of the related record"),
    Column("meta", Kind.JSON, "about the message"),
    Column("scheduled", Kind.TIMESTAMP, "when it shall be sent"),
    Column("scheduled_local_hour", Kind.INT8, "hour of the recipient's day to send it at, -1 for any", -1),
    Column("scheduled_local_dow", Kind.INT8, "day of the recipient's week to send it on, -1 for any", -1),
    Column("recipient_timezone", Kind.TEXT, "recipient's time zone"),
    Column("utc_offset_minutes", Kind.INT16, "recipient's offset from UTC in minutes"),
    *columns(Kind.TIMESTAMP, started="when sending began", completed="when sending ended"),
    Column("mtypes", Kind.TEXTS, "kinds of message"),
    *columns(Kind.UUIDS, users="recipients", deliveries="reached recipients", failures="missed recipients"),
    *columns(Kind.TEXT, xid="experiment", split="split of the experiment"),
    Column("perms_ids", Kind.UUIDS, "who may see it"),
    Column("deleted", Kind.TIMESTAMP, "when it was deleted"),
    Column("keep", Kind.BOOL, "not to be cleaned away"),
    Column("createdms", Kind.INT64, "when the sender made it, milliseconds since 1970"),
    CREATED,
    OID,
    ORG,
    *columns(Kind.UUID, owner="owner", uid="user", vid="visitor"),
    UPDATED,
    Column("updater", Kind.UUID, "who changed it"),
)

MTRIAGE = Table(
    name="mtriage",
    meaning="messages to be looked at and sent, one row for each event that carried one",
    columns=_MESSAGE,
    key=("eid",),
)

MSTORE = Table(
    name="mstore",
    meaning="messages to be kept, one row for each event that carried one",
    columns=(
        *_MESSAGE,
        Column("planned", Kind.TIMESTAMP, "when it is planned for"),
        *columns(Kind.JSON, interest="interests it is for", perf="performance"),
        Column("hide", Kind.TIMESTAMP, "when it shall be hidden"),
        Column("hidden", Kind.BOOL, "hidden now"),
        Column("funnel_stage", Kind.TEXT, "stage of the funnel"),
        Column("conversion_event_count", Kind.INT64, "conversions that led to it"),
        Column("text_normalized", Kind.TEXT, "its text, prepared for searching"),
        Column("text_tokens", Kind.TEXTS, "words of its text"),
    ),
    key=("eid",),
)

VISITOR_INTERESTS = Table(
    name="visitor_interests",
    meaning="interests of a visitor, one row for each event that named some",
    columns=(
        EID,
        *columns(Kind.UUID, vid="visitor", uid="the site's user"),
        OID,
        ORG,
        Column("audience_tags", Kind.TEXTS, "tags of the audience"),
        Column("audience_counts", Kind.JSON, "tag of the audience -> how often"),
        Column("content_tags", Kind.TEXTS, "tags of the content"),
        Column("content_counts", Kind.JSON, "tag of the content -> how often"),
        Column("interests", Kind.TEXTS, "all tags"),
        Column("interest_counts", Kind.JSON, "tag -> how often"),
        Column("campaign_sources", Kind.JSON, "campaign -> the tags it brought"),
        *columns(Kind.INT64, total_interactions="how often", unique_campaigns="in how many campaigns"),
        *columns(Kind.TIMESTAMP, first_seen="first time", last_updated="last time"),
        UPDATED,
        Column("last_iphash", Kind.TEXT, "hash of the address"),
        *columns(Kind.FLOAT64, last_lat="latitude", last_lon="longitude"),
        *columns(
            Kind.TEXT,
            last_country="country",
            last_region="region",
            last_city="city",
            last_zip="postal code",
        ),
        Column("location_updated_at", Kind.TIMESTAMP, "when the place was seen"),
    ),
    key=("eid",),
)
