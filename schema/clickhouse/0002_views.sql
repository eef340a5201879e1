-- Everything that can be derived from events and payments, with the original's names and columns. A fact is written
-- once, so a view can never disagree with the events or count one twice: each reads deduplicated rows (FINAL).
--
-- First and last rows are by created_at; rows of the same millisecond are ordered by eid, so that the same question
-- always has the same answer. UUIDToNum is the order of a UUID's text, ClickHouse's own begins in its middle. Views
-- by organisation read in the table's order and need no sort. None has a subquery over events in IN or JOIN: events
-- may be spread over the shards of a cluster. Sums of fractions are compensated and rounded to a millionth, so that
-- they do not depend on the order of rows.

CREATE OR REPLACE VIEW events_recent AS
SELECT * FROM events FINAL
WHERE created_at >= now64(3, 'UTC') - INTERVAL 7 DAY;

-- The first event of each visitor of each organisation.
CREATE OR REPLACE VIEW visitors AS
SELECT
    oid, org, vid, created_at, device_id, sid, hhash, app, rel, cflags, uid, tid, last, url, ip, iphash, lat,
    lon, ptyp, bhash, auth_id, xid, split, ename, etyp, ver, sink, score, params, source, medium, campaign,
    country, region, city, zip, term, gaid, idfa, msid, fbid, culture, ref, rcode, aff, browser, device, os, tz,
    vp_w, vp_h, ja4h
FROM events FINAL
ORDER BY oid, created_at, UUIDToNum(eid)
LIMIT 1 BY oid, vid;

-- The latest event of each visitor of each organisation.
CREATE OR REPLACE VIEW visitors_latest AS
SELECT
    oid, org, vid, created_at, device_id, sid, hhash, app, rel, cflags, uid, tid, last, url, ip, iphash, lat,
    lon, ptyp, bhash, auth_id, xid, split, ename, etyp, ver, sink, score, params, source, medium, campaign,
    country, region, city, zip, term, gaid, idfa, msid, fbid, culture, ref, rcode, aff, browser, device, os, tz,
    vp_w, vp_h, ja4h
FROM events FINAL
ORDER BY oid DESC, created_at DESC, UUIDToNum(eid) DESC
LIMIT 1 BY oid, vid;

-- The first event of each session of each organisation; duration is that event's own.
CREATE OR REPLACE VIEW sessions AS
SELECT
    oid, org, vid, created_at, device_id, sid, hhash, app, rel, cflags, uid, tid, last, url, ip, iphash, lat,
    lon, ptyp, bhash, auth_id, duration, xid, split, ename, etyp, ver, sink, score, params, source, medium,
    campaign, country, region, city, zip, term, gaid, idfa, msid, fbid, culture, ref, rcode, aff, browser,
    device, os, tz, vp_w, vp_h, ja4h
FROM events FINAL
ORDER BY oid, created_at, UUIDToNum(eid)
LIMIT 1 BY oid, sid;

-- Counters. Those that the original counts for client events only, do so here; none is counted twice.

CREATE OR REPLACE VIEW hits AS
SELECT hhash, url, count() AS total, toDate(created_at) AS date
FROM events FINAL WHERE is_client AND url <> ''
GROUP BY hhash, url, date;

CREATE OR REPLACE VIEW ips AS
SELECT hhash, ip, count() AS total, toDate(created_at) AS date
FROM events FINAL WHERE ip <> ''
GROUP BY hhash, ip, date;

CREATE OR REPLACE VIEW reqs AS
SELECT hhash, vid, count() AS total, toDate(created_at) AS date
FROM events FINAL WHERE is_client
GROUP BY hhash, vid, date;

CREATE OR REPLACE VIEW browsers AS
SELECT hhash, bhash, browser, count() AS total, toDate(created_at) AS date
FROM events FINAL WHERE is_client
GROUP BY hhash, bhash, browser, date;

CREATE OR REPLACE VIEW referrers AS
SELECT e.hhash AS hhash, e.last AS url, count() AS total, toDate(e.created_at) AS date
FROM events AS e FINAL WHERE e.is_client AND e.last <> ''
GROUP BY e.hhash, e.last, date;

CREATE OR REPLACE VIEW outcomes AS
SELECT hhash, outcome, sink, toDate(created_at) AS created, url, count() AS total
FROM events FINAL WHERE is_client AND outcome <> ''
GROUP BY hhash, outcome, sink, created, url;

CREATE OR REPLACE VIEW dailies AS
SELECT ip, toDate(created_at) AS day, count() AS total
FROM events FINAL WHERE is_client AND ip <> ''
GROUP BY ip, day;

-- Who was seen with what: the first event of each key, the latest for routed.

CREATE OR REPLACE VIEW nodes AS
SELECT hhash, vid, iphash, seen.1 AS uid, seen.2 AS ip, seen.3 AS sid, seen.4 AS created_at
FROM (
    SELECT hhash, vid, iphash, argMin((uid, ip, sid, created_at), (created_at, UUIDToNum(eid))) AS seen
    FROM events FINAL WHERE ip <> '' AND iphash <> ''
    GROUP BY hhash, vid, iphash
);

CREATE OR REPLACE VIEW locations AS
SELECT hhash, vid, lat, lon, seen.1 AS uid, seen.2 AS sid, seen.3 AS created_at
FROM (
    SELECT hhash, vid, lat, lon, argMin((uid, sid, created_at), (created_at, UUIDToNum(eid))) AS seen
    FROM events FINAL WHERE lat <> 0 AND lon <> 0
    GROUP BY hhash, vid, lat, lon
);

CREATE OR REPLACE VIEW aliases AS
SELECT hhash, vid, uid, seen.1 AS sid, seen.2 AS created_at
FROM (
    SELECT hhash, vid, uid, argMin((sid, created_at), (created_at, UUIDToNum(eid))) AS seen
    FROM events FINAL WHERE uid <> toUUID('00000000-0000-0000-0000-000000000000')
    GROUP BY hhash, vid, uid
);

CREATE OR REPLACE VIEW user_sessions AS
SELECT e.hhash AS hhash, e.uid AS uid, e.vid AS vid, e.sid AS sid, min(e.created_at) AS created_at
FROM events AS e FINAL WHERE e.uid <> toUUID('00000000-0000-0000-0000-000000000000')
GROUP BY e.hhash, e.uid, e.vid, e.sid;

CREATE OR REPLACE VIEW routed AS
SELECT hhash, ip, seen.1 AS url, seen.2 AS created_at
FROM (
    SELECT hhash, ip, argMax((url, created_at), (created_at, UUIDToNum(eid))) AS seen
    FROM events FINAL WHERE ip <> '' AND url <> ''
    GROUP BY hhash, ip
);

CREATE OR REPLACE VIEW referrals AS
SELECT
    hhash, vid, seen.1 AS ref, toInt32(0) AS gen, -toUnixTimestamp64Milli(seen.2) AS version_ts,
    seen.2 AS created_at
FROM (
    SELECT hhash, vid, argMin((ref, created_at), (created_at, UUIDToNum(eid))) AS seen
    FROM events FINAL WHERE ref <> toUUID('00000000-0000-0000-0000-000000000000')
    GROUP BY hhash, vid
);

CREATE OR REPLACE VIEW referred AS
SELECT
    hhash, vid, seen.1 AS rcode, toInt32(0) AS gen, -toUnixTimestamp64Milli(seen.2) AS version_ts,
    seen.2 AS created_at
FROM (
    SELECT hhash, vid, argMin((rcode, created_at), (created_at, UUIDToNum(eid))) AS seen
    FROM events FINAL WHERE rcode <> ''
    GROUP BY hhash, vid
);

-- How long ago a visitor or user did something last, and how often anybody did.

CREATE OR REPLACE VIEW last_event_by_vid_uid_ename AS
SELECT
    oid, org, vid, uid, ename, created_at AS last_occurred, tid AS last_thread,
    dateDiff('day', created_at, now64(3, 'UTC')) AS days_since
FROM events FINAL
ORDER BY oid DESC, created_at DESC, UUIDToNum(eid) DESC
LIMIT 1 BY oid, vid, uid, ename;

CREATE OR REPLACE VIEW last_event_by_user AS
SELECT
    oid, org, uid, ename AS event_type, created_at AS last_event_time,
    dateDiff('day', created_at, now64(3, 'UTC')) AS days_since_event
FROM events FINAL
ORDER BY oid DESC, created_at DESC, UUIDToNum(eid) DESC
LIMIT 1 BY oid, uid, ename;

CREATE OR REPLACE VIEW event_frequency AS
SELECT
    oid, org, ename AS event_type, count() AS total_events, uniqExact(vid) AS unique_visitors,
    uniqExactIf(uid, uid <> toUUID('00000000-0000-0000-0000-000000000000')) AS unique_users,
    min(created_at) AS first_seen, max(created_at) AS last_seen, round(sumKahan(score) / count(), 6) AS avg_score
FROM events FINAL
GROUP BY oid, org, ename;

-- Visitors who converted: from the first event to the latest conversion, with the latest invoice.
CREATE OR REPLACE VIEW conversion_funnel AS
SELECT
    oid, org, vid, min(created_at) AS first_touch,
    maxIf(created_at, ename IN ('conversion', 'purchase', 'paid')) AS conversion_time,
    dateDiff('day', first_touch, conversion_time) AS days_to_conversion,
    maxIf(score, ename IN ('purchase', 'paid')) AS conversion_value,
    argMaxIf(
        e.invoice_id, (created_at, UUIDToNum(eid)),
        ename IN ('conversion', 'purchase', 'paid')
        AND e.invoice_id <> toUUID('00000000-0000-0000-0000-000000000000')
    ) AS invoice_id
FROM events AS e FINAL
GROUP BY oid, org, vid
HAVING countIf(ename IN ('conversion', 'purchase', 'paid')) > 0;

-- Impressions of a thread by day and variant: its events that are conversions or have a score. Anonymous are those
-- without a user. No event names a campaign's id.
CREATE OR REPLACE VIEW impression_daily AS
SELECT
    oid, org, tid, '' AS campaign_id, toDate(created_at) AS day, xid AS variant_id,
    toInt64(count()) AS total_impressions,
    toInt64(countIf(uid = toUUID('00000000-0000-0000-0000-000000000000'))) AS anonymous_impressions,
    toInt64(countIf(uid <> toUUID('00000000-0000-0000-0000-000000000000'))) AS identified_impressions,
    toInt64(uniqExact(vid)) AS unique_visitors,
    toInt64(countIf(ename = 'conversion')) AS conversions,
    max(created_at) AS updated_at
FROM events FINAL
WHERE tid <> toUUID('00000000-0000-0000-0000-000000000000')
    AND ename <> '' AND (ename = 'conversion' OR score <> 0)
GROUP BY oid, org, tid, day, variant_id;

-- What each user, visitor and order of an organisation paid in all; refunds are negative payments.
CREATE OR REPLACE VIEW ltv AS
SELECT
    p.hhash AS hhash, payer.1 AS id, payer.2 AS id_type, round(sumKahan(p.revenue), 6) AS paid, p.oid AS oid,
    argMax(p.org, (p.updated_at, UUIDToNum(p.id))) AS org, max(p.updated_at) AS updated_at,
    argMax(p.updater, (p.updated_at, UUIDToNum(p.id))) AS updater, min(p.created_at) AS created_at,
    argMax(p.owner, (p.updated_at, UUIDToNum(p.id))) AS owner
FROM payments AS p FINAL
ARRAY JOIN [(p.uid, 'uid'), (p.vid, 'vid'), (p.orid, 'orid')] AS payer
WHERE payer.1 <> toUUID('00000000-0000-0000-0000-000000000000')
GROUP BY p.oid, p.hhash, payer.1, payer.2;
