-- The tables of the catalogue (tracker/tables, where each column's meaning is), in the form for one server or the
-- embedded engine; the cluster's form is derived from it (`python -m tracker schema`).
--
-- Nothing is nullable: what a row leaves out is at its type's default. Times are UTC. Every table merges rows of the
-- same ORDER BY, which holds the row's id, so a row that was inserted twice is there once: read with FINAL, or by the
-- views. Where every row stays, partitions are months by the collector's own clock; clients choose no partition. Where
-- the latest row of a key stays there are none, for rows merge within a partition only.
--
-- Where batches are large, parts below 128 MiB keep all columns in one file: to sync and merge a file for each column
-- costs more than the rows themselves.

-- one row for each event of any route
-- shard by: eid
CREATE TABLE IF NOT EXISTS events (
    eid UUID,
    vid UUID,
    sid UUID,
    oid UUID,
    uid UUID,
    tid UUID,
    rid UUID,
    auth_id UUID,
    invoice_id UUID,
    device_id UUID,
    ref UUID,
    org LowCardinality(String),
    hhash String,
    iphash String,
    bhash String,
    app String,
    rel String,
    ptyp String,
    xid String,
    split String,
    ename String,
    etyp String,
    source String,
    medium String,
    campaign String,
    content String,
    term String,
    sink String,
    relation String,
    aff String,
    arm_id String,
    mcid String,
    device String,
    os String,
    last String,
    url String,
    ip String,
    country String,
    region String,
    city String,
    zip String,
    ja4h String,
    gaid String,
    idfa String,
    msid String,
    fbid String,
    culture String,
    rcode String,
    browser String,
    tz String,
    outcome String,
    cflags Int64,
    duration Int64,
    vp_w Int64,
    vp_h Int64,
    ver Int32,
    lat Float64,
    lon Float64,
    score Float64,
    is_client Bool,
    is_new Bool,
    params JSON(max_dynamic_paths=0),
    targets JSON(max_dynamic_paths=0),
    created_at DateTime64(3, 'UTC')
) ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(created_at)
ORDER BY (oid, created_at, eid)
SETTINGS non_replicated_deduplication_window = 1000, min_bytes_for_wide_part = 134217728;

-- one row for each log line that a trusted caller sent
CREATE TABLE IF NOT EXISTS logs (
    id UUID,
    ldate Date,
    created_at DateTime64(3, 'UTC'),
    ltime DateTime64(9, 'UTC'),
    topic String,
    name String,
    host String,
    hostname String,
    org LowCardinality(String),
    ip String,
    iphash String,
    msg String,
    oid UUID,
    owner UUID,
    level Int32,
    params JSON(max_dynamic_paths=0)
) ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(created_at)
ORDER BY (oid, created_at, id)
SETTINGS non_replicated_deduplication_window = 1000, min_bytes_for_wide_part = 134217728;

-- the latest update of each id
CREATE TABLE IF NOT EXISTS updates (
    id String,
    updated_at DateTime64(3, 'UTC'),
    msg String
) ENGINE = ReplacingMergeTree(updated_at)
ORDER BY id
SETTINGS non_replicated_deduplication_window = 1000;

-- one row for each thing counted; a counter is the sum of its rows
CREATE TABLE IF NOT EXISTS counters (
    id String,
    total UInt64,
    date Date,
    cid UUID
) ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(date)
ORDER BY (id, date, cid)
SETTINGS non_replicated_deduplication_window = 1000;

-- the name behind each host hash
CREATE TABLE IF NOT EXISTS hosts (
    hhash String,
    hostname String,
    created_at DateTime64(3, 'UTC')
) ENGINE = ReplacingMergeTree(created_at)
ORDER BY (hhash, hostname)
SETTINGS non_replicated_deduplication_window = 1000;

-- which visitors a user name was seen with
CREATE TABLE IF NOT EXISTS usernames (
    hhash String,
    uhash String,
    vid UUID,
    sid UUID,
    created_at DateTime64(3, 'UTC')
) ENGINE = ReplacingMergeTree(created_at)
ORDER BY (hhash, uhash, vid)
SETTINGS non_replicated_deduplication_window = 1000;

-- the visitor an e-mail address was last seen with
CREATE TABLE IF NOT EXISTS emails (
    hhash String,
    ehash String,
    vid UUID,
    sid UUID,
    created_at DateTime64(3, 'UTC')
) ENGINE = ReplacingMergeTree(created_at)
ORDER BY (hhash, ehash)
SETTINGS non_replicated_deduplication_window = 1000;

-- which visitors a phone number was seen with
CREATE TABLE IF NOT EXISTS cells (
    hhash String,
    chash String,
    vid UUID,
    sid UUID,
    created_at DateTime64(3, 'UTC')
) ENGINE = ReplacingMergeTree(created_at)
ORDER BY (hhash, chash, vid)
SETTINGS non_replicated_deduplication_window = 1000;

-- which visitors a user was seen as
CREATE TABLE IF NOT EXISTS userhosts (
    hhash String,
    uid UUID,
    vid UUID,
    sid UUID,
    created_at DateTime64(3, 'UTC')
) ENGINE = ReplacingMergeTree(created_at)
ORDER BY (hhash, uid, vid)
SETTINGS non_replicated_deduplication_window = 1000;

-- what is known of a thread (a campaign, a page), one row for each event that told some
CREATE TABLE IF NOT EXISTS mthreads (
    eid UUID,
    tid UUID,
    oid UUID,
    org LowCardinality(String),
    mcert_id UUID,
    ref UUID,
    content_approver UUID,
    content_creator UUID,
    creator_id UUID,
    content_id UUID,
    parent_tid UUID,
    owner UUID,
    uid UUID,
    vid UUID,
    updater UUID,
    alias String,
    xid String,
    xstatus String,
    name String,
    post String,
    app String,
    rel String,
    ptyp String,
    etyp String,
    ename String,
    auth_name String,
    source String,
    svc String,
    medium String,
    campaign String,
    term String,
    promo String,
    aff String,
    provider String,
    provider_campaign_id String,
    provider_account_id String,
    provider_status String,
    funnel_stage String,
    winner_variant String,
    content_intention String,
    abz_algorithm String,
    abz_reward_metric String,
    abz_status String,
    abz_model_type String,
    abz_acquisition_function String,
    campaign_id String,
    campaign_phase String,
    campaign_status String,
    attribution_model String,
    content_status String,
    creator_compensation_model String,
    creator_notes String,
    text_normalized String,
    ddata JSON(max_dynamic_paths=0),
    mtempl JSON(max_dynamic_paths=0),
    splits JSON(max_dynamic_paths=0),
    provider_metrics JSON(max_dynamic_paths=0),
    prefs JSON(max_dynamic_paths=0),
    interest JSON(max_dynamic_paths=0),
    perf JSON(max_dynamic_paths=0),
    variants JSON(max_dynamic_paths=0),
    variant_weights JSON(max_dynamic_paths=0),
    audience_params JSON(max_dynamic_paths=0),
    audience_metrics JSON(max_dynamic_paths=0),
    content_assumptions JSON(max_dynamic_paths=0),
    content_metrics JSON(max_dynamic_paths=0),
    abz_params JSON(max_dynamic_paths=0),
    abz_param_space JSON(max_dynamic_paths=0),
    abz_model_params JSON(max_dynamic_paths=0),
    attribution_params JSON(max_dynamic_paths=0),
    regional_compliance JSON(max_dynamic_paths=0),
    frequency_caps JSON(max_dynamic_paths=0),
    cats Array(String),
    mtypes Array(String),
    fmtypes Array(String),
    cmtypes Array(String),
    cohorts Array(String),
    audience_segments Array(String),
    content_keywords Array(String),
    consent_types Array(String),
    text_tokens Array(String),
    admins Array(UUID),
    perms_ids Array(UUID),
    sent Array(UUID),
    outs Array(UUID),
    subs Array(UUID),
    pubs Array(UUID),
    vid_targets Array(UUID),
    content_history Array(UUID),
    content_editors Array(UUID),
    sys Bool,
    archived Bool,
    opens Bool,
    openp Bool,
    broadcast Bool,
    derive Bool,
    ftrack Bool,
    strack Bool,
    abz_enabled Bool,
    abz_auto_optimize Bool,
    abz_auto_stop Bool,
    abz_infinite_armed Bool,
    requires_consent Bool,
    creator_compensation Bool,
    urgency Int32,
    ephemeral Int32,
    ver Int32,
    campaign_priority Int32,
    attribution_window Int32,
    data_retention Int32,
    content_version Int32,
    planned_impressions Int64,
    actual_impressions Int64,
    impression_goal Int64,
    total_conversions Int64,
    abz_sample_size Int64,
    abz_min_sample_size Int64,
    updatedms Int64,
    provider_cost Float64,
    impression_budget Float64,
    cost_per_impression Float64,
    conversion_value Float64,
    abz_reward_value Float64,
    abz_exploration_rate Float64,
    abz_learning_rate Float64,
    abz_confidence_level Float64,
    abz_winner_threshold Float64,
    campaign_budget_allocation Float64,
    attribution_weight Float64,
    creator_compensation_rate Float64,
    creator_compensation_cap Float64,
    abz_start_time DateTime64(3, 'UTC'),
    content_approval_date DateTime64(3, 'UTC'),
    deleted DateTime64(3, 'UTC'),
    created_at DateTime64(3, 'UTC'),
    updated_at DateTime64(3, 'UTC')
) ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(created_at)
ORDER BY (oid, tid, created_at, eid)
SETTINGS non_replicated_deduplication_window = 1000;

-- messages to be kept, one row for each event that carried one
CREATE TABLE IF NOT EXISTS mstore (
    eid UUID,
    tid UUID,
    mid UUID,
    pmid UUID,
    subject String,
    msg String,
    data String,
    urgency Int32,
    sys Bool,
    broadcast Bool,
    mtempl String,
    repl JSON(max_dynamic_paths=0),
    svc String,
    qid UUID,
    rid UUID,
    relation String,
    meta JSON(max_dynamic_paths=0),
    scheduled DateTime64(3, 'UTC'),
    scheduled_local_hour Int8 DEFAULT -1,
    scheduled_local_dow Int8 DEFAULT -1,
    recipient_timezone String,
    utc_offset_minutes Int16,
    started DateTime64(3, 'UTC'),
    completed DateTime64(3, 'UTC'),
    mtypes Array(String),
    users Array(UUID),
    deliveries Array(UUID),
    failures Array(UUID),
    xid String,
    split String,
    perms_ids Array(UUID),
    deleted DateTime64(3, 'UTC'),
    keep Bool,
    createdms Int64,
    created_at DateTime64(3, 'UTC'),
    oid UUID,
    org LowCardinality(String),
    owner UUID,
    uid UUID,
    vid UUID,
    updated_at DateTime64(3, 'UTC'),
    updater UUID,
    planned DateTime64(3, 'UTC'),
    interest JSON(max_dynamic_paths=0),
    perf JSON(max_dynamic_paths=0),
    hide DateTime64(3, 'UTC'),
    hidden Bool,
    funnel_stage String,
    conversion_event_count Int64,
    text_normalized String,
    text_tokens Array(String)
) ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(created_at)
ORDER BY (oid, tid, mid, eid)
SETTINGS non_replicated_deduplication_window = 1000;

-- messages to be looked at and sent, one row for each event that carried one
CREATE TABLE IF NOT EXISTS mtriage (
    eid UUID,
    tid UUID,
    mid UUID,
    pmid UUID,
    subject String,
    msg String,
    data String,
    urgency Int32,
    sys Bool,
    broadcast Bool,
    mtempl String,
    repl JSON(max_dynamic_paths=0),
    svc String,
    qid UUID,
    rid UUID,
    relation String,
    meta JSON(max_dynamic_paths=0),
    scheduled DateTime64(3, 'UTC'),
    scheduled_local_hour Int8 DEFAULT -1,
    scheduled_local_dow Int8 DEFAULT -1,
    recipient_timezone String,
    utc_offset_minutes Int16,
    started DateTime64(3, 'UTC'),
    completed DateTime64(3, 'UTC'),
    mtypes Array(String),
    users Array(UUID),
    deliveries Array(UUID),
    failures Array(UUID),
    xid String,
    split String,
    perms_ids Array(UUID),
    deleted DateTime64(3, 'UTC'),
    keep Bool,
    createdms Int64,
    created_at DateTime64(3, 'UTC'),
    oid UUID,
    org LowCardinality(String),
    owner UUID,
    uid UUID,
    vid UUID,
    updated_at DateTime64(3, 'UTC'),
    updater UUID
) ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(created_at)
ORDER BY (oid, tid, mid, eid)
SETTINGS non_replicated_deduplication_window = 1000;

-- interests of a visitor, one row for each event that named some
CREATE TABLE IF NOT EXISTS visitor_interests (
    eid UUID,
    vid UUID,
    uid UUID,
    oid UUID,
    org LowCardinality(String),
    audience_tags Array(String),
    audience_counts JSON(max_dynamic_paths=0),
    content_tags Array(String),
    content_counts JSON(max_dynamic_paths=0),
    interests Array(String),
    interest_counts JSON(max_dynamic_paths=0),
    campaign_sources JSON(max_dynamic_paths=0),
    total_interactions Int64,
    unique_campaigns Int64,
    first_seen DateTime64(3, 'UTC'),
    last_updated DateTime64(3, 'UTC'),
    updated_at DateTime64(3, 'UTC'),
    last_iphash String,
    last_lat Float64,
    last_lon Float64,
    last_country String,
    last_region String,
    last_city String,
    last_zip String,
    location_updated_at DateTime64(3, 'UTC')
) ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(updated_at)
ORDER BY (oid, vid, eid)
SETTINGS non_replicated_deduplication_window = 1000;

-- one row for each payment or item of it
CREATE TABLE IF NOT EXISTS payments (
    id UUID,
    oid UUID,
    org LowCardinality(String),
    hhash String,
    tid UUID,
    uid UUID,
    vid UUID,
    sid UUID,
    invid UUID,
    orid UUID,
    product_id UUID,
    updater UUID,
    owner UUID,
    product String,
    pcat String,
    man String,
    model String,
    qty Float64,
    price Float64,
    discount Float64,
    revenue Float64,
    margin Float64,
    cost Float64,
    tax Float64,
    tax_rate Float64,
    commission Float64,
    referral Float64,
    fees Float64,
    subtotal Float64,
    total Float64,
    payment Float64,
    duration Int64,
    invoiced_at DateTime64(3, 'UTC'),
    starts DateTime64(3, 'UTC'),
    ends DateTime64(3, 'UTC'),
    paid_at DateTime64(3, 'UTC'),
    created_at DateTime64(3, 'UTC'),
    updated_at DateTime64(3, 'UTC'),
    currency String DEFAULT 'USD',
    country String,
    rcode String,
    region String,
    campaign_id String
) ENGINE = ReplacingMergeTree(updated_at)
ORDER BY (oid, id)
SETTINGS non_replicated_deduplication_window = 1000;

-- the consent of each visitor as it is now
CREATE TABLE IF NOT EXISTS agreements (
    vid UUID,
    created_at DateTime64(3, 'UTC'),
    updated_at DateTime64(3, 'UTC'),
    compliances JSON(max_dynamic_paths=0),
    cflags Int64,
    sid UUID,
    uid UUID,
    avid UUID,
    hhash String,
    app String,
    rel String,
    url String,
    ip String,
    iphash String,
    gaid String,
    idfa String,
    msid String,
    fbid String,
    country String,
    region String,
    culture String,
    source String,
    medium String,
    campaign String,
    term String,
    ref UUID,
    rcode String,
    aff String,
    browser String,
    bhash String,
    device String,
    os String,
    tz String,
    vp_w Int64,
    vp_h Int64,
    loc JSON(max_dynamic_paths=0),
    lat Float64,
    lon Float64,
    zip String,
    owner UUID,
    oid UUID,
    org LowCardinality(String)
) ENGINE = ReplacingMergeTree(updated_at)
ORDER BY (oid, vid)
SETTINGS non_replicated_deduplication_window = 1000;

-- every consent that was given or taken back
CREATE TABLE IF NOT EXISTS agreed (
    id UUID,
    vid UUID,
    created_at DateTime64(3, 'UTC'),
    updated_at DateTime64(3, 'UTC'),
    compliances JSON(max_dynamic_paths=0),
    cflags Int64,
    sid UUID,
    uid UUID,
    avid UUID,
    hhash String,
    app String,
    rel String,
    url String,
    ip String,
    iphash String,
    gaid String,
    idfa String,
    msid String,
    fbid String,
    country String,
    region String,
    culture String,
    source String,
    medium String,
    campaign String,
    term String,
    ref UUID,
    rcode String,
    aff String,
    browser String,
    bhash String,
    device String,
    os String,
    tz String,
    vp_w Int64,
    vp_h Int64,
    loc JSON(max_dynamic_paths=0),
    lat Float64,
    lon Float64,
    zip String,
    owner UUID,
    oid UUID,
    org LowCardinality(String)
) ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(created_at)
ORDER BY (oid, vid, id)
SETTINGS non_replicated_deduplication_window = 1000;

-- rules of consent and where they hold
CREATE TABLE IF NOT EXISTS jurisdictions (
    regulation String,
    compliance String,
    seq UInt32,
    rules JSON(max_dynamic_paths=0),
    locs JSON(max_dynamic_paths=0),
    updated_at DateTime64(3, 'UTC')
) ENGINE = ReplacingMergeTree(updated_at)
ORDER BY (regulation, compliance, seq)
SETTINGS non_replicated_deduplication_window = 1000;

-- who may make short links
CREATE TABLE IF NOT EXISTS accounts (
    uid UUID,
    pwd String,
    ip String,
    msg String,
    expires DateTime64(3, 'UTC'),
    creds JSON(max_dynamic_paths=0),
    created_at DateTime64(3, 'UTC'),
    updated_at DateTime64(3, 'UTC'),
    owner UUID
) ENGINE = ReplacingMergeTree(updated_at)
ORDER BY uid
SETTINGS non_replicated_deduplication_window = 1000;

-- where each short link leads now
CREATE TABLE IF NOT EXISTS redirects (
    hhash String,
    urlfrom String,
    urlto String,
    oid UUID,
    org LowCardinality(String),
    updated_at DateTime64(3, 'UTC'),
    updater UUID,
    created_at DateTime64(3, 'UTC')
) ENGINE = ReplacingMergeTree(updated_at)
ORDER BY urlfrom
SETTINGS non_replicated_deduplication_window = 1000;

-- every short link that was made or changed
CREATE TABLE IF NOT EXISTS redirect_history (
    id UUID,
    urlfrom String,
    hostfrom String,
    slugfrom String,
    urlto String,
    hostto String,
    pathto String,
    searchto String,
    oid UUID,
    org LowCardinality(String),
    updater UUID,
    updated_at DateTime64(3, 'UTC')
) ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(updated_at)
ORDER BY (oid, urlfrom, id)
SETTINGS non_replicated_deduplication_window = 1000;

-- organisations (tenants)
CREATE TABLE IF NOT EXISTS orgs (
    oid UUID,
    org LowCardinality(String),
    ddata JSON(max_dynamic_paths=0),
    updated_at DateTime64(3, 'UTC')
) ENGINE = ReplacingMergeTree(updated_at)
ORDER BY oid
SETTINGS non_replicated_deduplication_window = 1000;
