-- The views that 0002 did not have yet, under the same rules. Sums of fractions are compensated and rounded to a
-- millionth, so that they do not depend on the order of rows.

CREATE VIEW user_sessions AS
SELECT hhash, uid, vid, sid, min(created_at) AS created_at
FROM events WHERE uid <> '00000000-0000-0000-0000-000000000000'
GROUP BY hhash, uid, vid, sid;

-- How long ago a visitor or user did something last, and how often anybody did.

CREATE VIEW last_event_by_vid_uid_ename AS
SELECT
    oid, org, vid, uid, ename, created_at AS last_occurred, tid AS last_thread,
    date_diff('day', created_at, now() AT TIME ZONE 'UTC') AS days_since
FROM events
QUALIFY row_number() OVER (
    PARTITION BY oid, vid, uid, ename ORDER BY created_at DESC, eid DESC, rowid DESC
) = 1;

CREATE VIEW last_event_by_user AS
SELECT
    oid, org, uid, ename AS event_type, created_at AS last_event_time,
    date_diff('day', created_at, now() AT TIME ZONE 'UTC') AS days_since_event
FROM events
QUALIFY row_number() OVER (PARTITION BY oid, uid, ename ORDER BY created_at DESC, eid DESC, rowid DESC) = 1;

CREATE VIEW event_frequency AS
SELECT
    oid, org, ename AS event_type, count(*)::UBIGINT AS total_events,
    count(DISTINCT vid)::UBIGINT AS unique_visitors,
    count(DISTINCT nullif(uid, '00000000-0000-0000-0000-000000000000'))::UBIGINT AS unique_users,
    min(created_at) AS first_seen, max(created_at) AS last_seen, round(kahan_sum(score) / count(*), 6) AS avg_score
FROM events
GROUP BY oid, org, ename;

-- Visitors who converted: from the first event to the latest conversion, with the latest invoice.
CREATE VIEW conversion_funnel AS
SELECT
    oid, org, vid, min(created_at) AS first_touch,
    max(created_at) FILTER (ename IN ('conversion', 'purchase', 'paid')) AS conversion_time,
    date_diff('day', first_touch, conversion_time) AS days_to_conversion,
    coalesce(max(score) FILTER (ename IN ('purchase', 'paid')), 0) AS conversion_value,
    coalesce(
        arg_max(e.invoice_id, (created_at, eid)) FILTER (
            ename IN ('conversion', 'purchase', 'paid')
            AND e.invoice_id <> '00000000-0000-0000-0000-000000000000'
        ),
        '00000000-0000-0000-0000-000000000000'
    ) AS invoice_id
FROM events AS e
GROUP BY oid, org, vid
HAVING count(*) FILTER (ename IN ('conversion', 'purchase', 'paid')) > 0;

-- Impressions of a thread by day and variant: its events that are conversions or have a score. Anonymous are those
-- without a user. No event names a campaign's id.
CREATE VIEW impression_daily AS
SELECT
    oid, org, tid, '' AS campaign_id, created_at::DATE AS day, xid AS variant_id,
    count(*) AS total_impressions,
    count(*) FILTER (uid = '00000000-0000-0000-0000-000000000000') AS anonymous_impressions,
    count(*) FILTER (uid <> '00000000-0000-0000-0000-000000000000') AS identified_impressions,
    count(DISTINCT vid) AS unique_visitors,
    count(*) FILTER (ename = 'conversion') AS conversions,
    max(created_at) AS updated_at
FROM events
WHERE tid <> '00000000-0000-0000-0000-000000000000'
    AND ename <> '' AND (ename = 'conversion' OR score <> 0)
GROUP BY oid, org, tid, created_at::DATE, xid;

-- What each user, visitor and order of an organisation paid in all; refunds are negative payments.
CREATE VIEW ltv AS
SELECT
    p.hhash, payer.id, payer.id_type, round(kahan_sum(p.revenue), 6) AS paid, p.oid,
    arg_max(p.org, (p.updated_at, p.id)) AS org, max(p.updated_at) AS updated_at,
    arg_max(p.updater, (p.updated_at, p.id)) AS updater, min(p.created_at) AS created_at,
    arg_max(p.owner, (p.updated_at, p.id)) AS owner
FROM payments AS p, LATERAL (VALUES (p.uid, 'uid'), (p.vid, 'vid'), (p.orid, 'orid')) AS payer (id, id_type)
WHERE payer.id <> '00000000-0000-0000-0000-000000000000'
GROUP BY p.oid, p.hhash, payer.id, payer.id_type;
