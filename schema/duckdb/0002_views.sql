-- Everything that can be derived from events, with the original's names and columns. A fact is written once,
-- so a view can never disagree with the events or count one twice.
--
-- First and last rows are by created_at; rows of the same millisecond are ordered by eid, so that the same
-- question always has the same answer.

CREATE VIEW events_recent AS
SELECT * FROM events
WHERE created_at >= (now() AT TIME ZONE 'UTC') - INTERVAL 7 DAY;

-- The first event of each visitor of each organisation.
CREATE VIEW visitors AS
SELECT
    e.oid, e.org, e.vid, e.created_at, e.device_id, e.sid, e.hhash, e.app, e.rel, e.cflags, e.uid, e.tid, e.last,
    e.url, e.ip, e.iphash, e.lat, e.lon, e.ptyp, e.bhash, e.auth_id, e.xid, e.split, e.ename, e.etyp, e.ver,
    e.sink, e.score, e.params, e.source, e.medium, e.campaign, e.country, e.region, e.city, e.zip, e.term, e.gaid,
    e.idfa, e.msid, e.fbid, e.culture, e.ref, e.rcode, e.aff, e.browser, e.device, e.os, e.tz, e.vp_w, e.vp_h,
    e.ja4h
FROM events AS e
JOIN (
    SELECT oid, vid, arg_min(rowid, (created_at, eid, rowid)) AS chosen FROM events GROUP BY oid, vid
) AS f ON e.oid = f.oid AND e.vid = f.vid AND e.rowid = f.chosen;

-- The latest event of each visitor of each organisation.
CREATE VIEW visitors_latest AS
SELECT
    e.oid, e.org, e.vid, e.created_at, e.device_id, e.sid, e.hhash, e.app, e.rel, e.cflags, e.uid, e.tid, e.last,
    e.url, e.ip, e.iphash, e.lat, e.lon, e.ptyp, e.bhash, e.auth_id, e.xid, e.split, e.ename, e.etyp, e.ver,
    e.sink, e.score, e.params, e.source, e.medium, e.campaign, e.country, e.region, e.city, e.zip, e.term, e.gaid,
    e.idfa, e.msid, e.fbid, e.culture, e.ref, e.rcode, e.aff, e.browser, e.device, e.os, e.tz, e.vp_w, e.vp_h,
    e.ja4h
FROM events AS e
JOIN (
    SELECT oid, vid, arg_max(rowid, (created_at, eid, rowid)) AS chosen FROM events GROUP BY oid, vid
) AS f ON e.oid = f.oid AND e.vid = f.vid AND e.rowid = f.chosen;

-- The first event of each session of each organisation; duration is that event's own.
CREATE VIEW sessions AS
SELECT
    e.oid, e.org, e.vid, e.created_at, e.device_id, e.sid, e.hhash, e.app, e.rel, e.cflags, e.uid, e.tid, e.last,
    e.url, e.ip, e.iphash, e.lat, e.lon, e.ptyp, e.bhash, e.auth_id, e.duration, e.xid, e.split, e.ename, e.etyp,
    e.ver, e.sink, e.score, e.params, e.source, e.medium, e.campaign, e.country, e.region, e.city, e.zip, e.term,
    e.gaid, e.idfa, e.msid, e.fbid, e.culture, e.ref, e.rcode, e.aff, e.browser, e.device, e.os, e.tz, e.vp_w,
    e.vp_h, e.ja4h
FROM events AS e
JOIN (
    SELECT oid, sid, arg_min(rowid, (created_at, eid, rowid)) AS chosen FROM events GROUP BY oid, sid
) AS f ON e.oid = f.oid AND e.sid = f.sid AND e.rowid = f.chosen;

-- Counters. Those that the original counts for client events only, do so here; none is counted twice.

CREATE VIEW hits AS
SELECT hhash, url, count(*)::UBIGINT AS total, created_at::DATE AS date
FROM events WHERE is_client AND url <> ''
GROUP BY hhash, url, created_at::DATE;

CREATE VIEW ips AS
SELECT hhash, ip, count(*)::UBIGINT AS total, created_at::DATE AS date
FROM events WHERE ip <> ''
GROUP BY hhash, ip, created_at::DATE;

CREATE VIEW reqs AS
SELECT hhash, vid, count(*)::UBIGINT AS total, created_at::DATE AS date
FROM events WHERE is_client
GROUP BY hhash, vid, created_at::DATE;

CREATE VIEW browsers AS
SELECT hhash, bhash, browser, count(*)::UBIGINT AS total, created_at::DATE AS date
FROM events WHERE is_client
GROUP BY hhash, bhash, browser, created_at::DATE;

CREATE VIEW referrers AS
SELECT hhash, last AS url, count(*)::UBIGINT AS total, created_at::DATE AS date
FROM events WHERE is_client AND last <> ''
GROUP BY hhash, last, created_at::DATE;

CREATE VIEW outcomes AS
SELECT hhash, outcome, sink, created_at::DATE AS created, url, count(*)::UBIGINT AS total
FROM events WHERE is_client AND outcome <> ''
GROUP BY hhash, outcome, sink, created_at::DATE, url;

CREATE VIEW dailies AS
SELECT ip, created_at::DATE AS day, count(*)::UBIGINT AS total
FROM events WHERE is_client AND ip <> ''
GROUP BY ip, created_at::DATE;

-- Who was seen with what: the first event of each key, the latest for routed.

CREATE VIEW nodes AS
SELECT hhash, vid, iphash, uid, ip, sid, created_at
FROM events WHERE ip <> '' AND iphash <> ''
QUALIFY row_number() OVER (PARTITION BY hhash, vid, iphash ORDER BY created_at, eid, rowid) = 1;

CREATE VIEW locations AS
SELECT hhash, vid, lat, lon, uid, sid, created_at
FROM events WHERE lat <> 0 AND lon <> 0
QUALIFY row_number() OVER (PARTITION BY hhash, vid, lat, lon ORDER BY created_at, eid, rowid) = 1;

CREATE VIEW aliases AS
SELECT hhash, vid, uid, sid, created_at
FROM events WHERE uid <> '00000000-0000-0000-0000-000000000000'
QUALIFY row_number() OVER (PARTITION BY hhash, vid, uid ORDER BY created_at, eid, rowid) = 1;

CREATE VIEW routed AS
SELECT hhash, ip, url, created_at
FROM events WHERE ip <> '' AND url <> ''
QUALIFY row_number() OVER (PARTITION BY hhash, ip ORDER BY created_at DESC, eid DESC, rowid DESC) = 1;

CREATE VIEW referrals AS
SELECT hhash, vid, ref, 0 AS gen, -epoch_ms(created_at) AS version_ts, created_at
FROM events WHERE ref <> '00000000-0000-0000-0000-000000000000'
QUALIFY row_number() OVER (PARTITION BY hhash, vid ORDER BY created_at, eid, rowid) = 1;

CREATE VIEW referred AS
SELECT hhash, vid, rcode, 0 AS gen, -epoch_ms(created_at) AS version_ts, created_at
FROM events WHERE rcode <> ''
QUALIFY row_number() OVER (PARTITION BY hhash, vid ORDER BY created_at, eid, rowid) = 1;
