-- $count events of $total, from number $first on, spread over forty days. Of each visitor come about 25, in five
-- sessions, all for one of twenty tenants; one event in ten belongs to a thread.
INSERT INTO events (
    eid, oid, vid, sid, uid, tid, hhash, iphash, bhash, app, ename, etyp, url, last, ip, country, browser, device,
    os, tz, outcome, sink, rcode, ref, is_client, lat, lon, score, params, created_at
)
WITH
    cityHash64(number) AS chance,
    chance % intDiv($total, 25) AS visitor,
    visitor % 20 AS tenant,
    toUUID('00000000-0000-0000-0000-000000000000') AS nobody
SELECT
    generateUUIDv7(number),
    toUUID(concat('00000000-0000-0000-0000-', leftPad(toString(tenant + 1), 12, '0'))),
    reinterpretAsUUID(sipHash128(visitor)),
    reinterpretAsUUID(sipHash128(visitor, cityHash64(number, 'session') % 5)),
    if(visitor % 4 = 0, reinterpretAsUUID(sipHash128(visitor, 'user')), nobody),
    if(number % 10 = 0, reinterpretAsUUID(sipHash128(visitor % 100, 'thread')), nobody),
    concat('host', toString(tenant)),
    hex(sipHash64(visitor % 50000)),
    hex(sipHash64(visitor % 500)),
    'site',
    ['page_view', 'click', 'signup', 'conversion', 'purchase'][1 + least(4, intDiv(chance % 100, 22))],
    'view',
    concat('//example.com/page/', toString(chance % 5000)),
    if(number % 3 = 0, concat('//example.org/', toString(chance % 1000)), ''),
    concat('10.', toString(visitor % 200), '.', toString(intDiv(visitor, 200) % 200), '.1'),
    'US',
    concat('mozilla/5.0 (variant ', toString(visitor % 500), ') applewebkit/537.36 chrome/120 safari'),
    'desktop',
    'linux',
    'america/new_york',
    if(number % 50 = 0, 'won', ''),
    if(number % 50 = 0, 'funnel', ''),
    if(visitor % 25 = 0, 'code', ''),
    if(visitor % 30 = 0, reinterpretAsUUID(sipHash128(visitor + 1)), nobody),
    number % 7 <> 0,
    if(number % 2 = 0, visitor % 180 - 90.5, 0),
    if(number % 2 = 0, visitor % 360 - 180.5, 0),
    number % 10 = 0,
    concat('{"title":"Page ', toString(chance % 5000), '","n":', toString(number % 77), '}'),
    toDateTime64('2026-10-12 00:00:00', 3, 'UTC') + toIntervalMillisecond(intDiv(number * 40 * 86400000, $total))
FROM numbers($first, $count)
