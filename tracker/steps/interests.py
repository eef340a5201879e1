"""The tags an event names -> the row of visitor_interests that its visitor gets.

Only for visitors and organisations that the sender named by UUID. Tags of the audience come from `audience`,
else `audience_tags`; tags of the content from `content`, else `content_tags`; where there are neither, `tags`
are the content's. Tags are trimmed and lower case, as all by which people group. Of a key, the first hundred
count.
"""

from typing import Any

from tracker.events import Row, Values
from tracker.steps import coerce, ids
from tracker.steps.rows import encode

_TAGS = frozenset({"audience", "audience_tags", "content", "content_tags", "tags"})
_COPIED = ("eid", "vid", "uid", "oid", "org")
_MOST_TAGS = 100  # of a key, that no one makes a store's documents as wide as a body can be
_PLACE = ("lat", "lon", "country", "region", "city", "zip")


def interest_rows(values: Values, row: dict[str, Any], faults: list[str]) -> tuple[Row, ...]:
    """The row of visitor_interests, or none, from an event's values and its own row.

    What is no tag is added to `faults` by reason; the event's row has kept it.
    """
    if _TAGS.isdisjoint(values) or "is_new" in row or not _is_named(values):
        return ()
    audience = _tags(values, ("audience", "audience_tags"), faults)
    content = _tags(values, ("content", "content_tags"), faults)
    if not audience and not content:
        content = _tags(values, ("tags",), faults)
    if not audience and not content:
        return ()
    campaign = row.get("campaign", "").replace("\x00", "")
    columns = _about(row) | _counted(audience, content, campaign)
    return (encode("visitor_interests", {name: value for name, value in columns.items() if value}),)


def _is_named(values: Values) -> bool:
    return ids.is_uuid(values.get("vid")) and ids.is_uuid(values.get("oid"))


def _tags(values: Values, keys: tuple[str, ...], faults: list[str]) -> list[str]:
    """The tags under the first key that has any, each once."""
    for key in keys:
        sent = values.get(key)
        try:
            found = coerce.texts(sent) if sent else []
        except coerce.Misfit as misfit:
            found = misfit.kept or []
            if (fault := f"column_type:{key}") not in faults:
                faults.append(fault)
        if found:
            tags = list(dict.fromkeys(tag.lower() for tag in found))
            if len(tags) > _MOST_TAGS:
                faults.append(f"too_many:{key}")
            return tags[:_MOST_TAGS]
    return []


def _about(row: dict[str, Any]) -> dict[str, Any]:
    """Who, when and where, from the event's row."""
    time = row["created_at"]
    columns = {name: row[name] for name in _COPIED if name in row}
    columns |= {"first_seen": time, "last_updated": time, "updated_at": time}
    columns["last_iphash"] = row.get("iphash", "")
    if place := {f"last_{name}": row[name] for name in _PLACE if name in row}:
        columns |= place | {"location_updated_at": time}
    return columns


def _counted(audience: list[str], content: list[str], campaign: str) -> dict[str, Any]:
    interests = list(dict.fromkeys(audience + content))
    return {
        "audience_tags": audience,
        "audience_counts": dict.fromkeys(audience, 1),
        "content_tags": content,
        "content_counts": dict.fromkeys(content, 1),
        "interests": interests,
        "interest_counts": dict.fromkeys(interests, 1),
        "campaign_sources": {campaign: {"audience": audience, "content": content}} if campaign else {},
        "total_interactions": 1,
        "unique_campaigns": 1 if campaign else 0,
    }
