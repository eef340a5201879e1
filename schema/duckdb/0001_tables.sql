-- The tables of the catalogue (tracker/tables.py, where each column's meaning is), and the ledger.
-- Nothing is nullable: what a row leaves out is at its default. Times are UTC.
--
-- Tables whose rows all stay have no index: an index costs more than the insert itself, and the ledger already
-- makes each batch take effect once. Tables that keep the latest row of a key have it as their primary key.

-- one row for each event of any route
CREATE TABLE events (
    eid UUID NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    vid UUID NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    sid UUID NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    oid UUID NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    uid UUID NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    tid UUID NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    rid UUID NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    auth_id UUID NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    invoice_id UUID NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    device_id UUID NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    ref UUID NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    org VARCHAR NOT NULL DEFAULT '',
    hhash VARCHAR NOT NULL DEFAULT '',
    iphash VARCHAR NOT NULL DEFAULT '',
    bhash VARCHAR NOT NULL DEFAULT '',
    app VARCHAR NOT NULL DEFAULT '',
    rel VARCHAR NOT NULL DEFAULT '',
    ptyp VARCHAR NOT NULL DEFAULT '',
    xid VARCHAR NOT NULL DEFAULT '',
    split VARCHAR NOT NULL DEFAULT '',
    ename VARCHAR NOT NULL DEFAULT '',
    etyp VARCHAR NOT NULL DEFAULT '',
    source VARCHAR NOT NULL DEFAULT '',
    medium VARCHAR NOT NULL DEFAULT '',
    campaign VARCHAR NOT NULL DEFAULT '',
    content VARCHAR NOT NULL DEFAULT '',
    term VARCHAR NOT NULL DEFAULT '',
    sink VARCHAR NOT NULL DEFAULT '',
    relation VARCHAR NOT NULL DEFAULT '',
    aff VARCHAR NOT NULL DEFAULT '',
    arm_id VARCHAR NOT NULL DEFAULT '',
    mcid VARCHAR NOT NULL DEFAULT '',
    device VARCHAR NOT NULL DEFAULT '',
    os VARCHAR NOT NULL DEFAULT '',
    last VARCHAR NOT NULL DEFAULT '',
    url VARCHAR NOT NULL DEFAULT '',
    ip VARCHAR NOT NULL DEFAULT '',
    country VARCHAR NOT NULL DEFAULT '',
    region VARCHAR NOT NULL DEFAULT '',
    city VARCHAR NOT NULL DEFAULT '',
    zip VARCHAR NOT NULL DEFAULT '',
    ja4h VARCHAR NOT NULL DEFAULT '',
    gaid VARCHAR NOT NULL DEFAULT '',
    idfa VARCHAR NOT NULL DEFAULT '',
    msid VARCHAR NOT NULL DEFAULT '',
    fbid VARCHAR NOT NULL DEFAULT '',
    culture VARCHAR NOT NULL DEFAULT '',
    rcode VARCHAR NOT NULL DEFAULT '',
    browser VARCHAR NOT NULL DEFAULT '',
    tz VARCHAR NOT NULL DEFAULT '',
    outcome VARCHAR NOT NULL DEFAULT '',
    cflags BIGINT NOT NULL DEFAULT 0,
    duration BIGINT NOT NULL DEFAULT 0,
    vp_w BIGINT NOT NULL DEFAULT 0,
    vp_h BIGINT NOT NULL DEFAULT 0,
    ver INTEGER NOT NULL DEFAULT 0,
    lat DOUBLE NOT NULL DEFAULT 0,
    lon DOUBLE NOT NULL DEFAULT 0,
    score DOUBLE NOT NULL DEFAULT 0,
    is_client BOOLEAN NOT NULL DEFAULT false,
    is_new BOOLEAN NOT NULL DEFAULT false,
    params JSON NOT NULL DEFAULT '{}',
    targets JSON NOT NULL DEFAULT '{}',
    created_at TIMESTAMP NOT NULL DEFAULT '1970-01-01'
);

-- one row for each log line that a trusted caller sent
CREATE TABLE logs (
    id UUID NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    ldate DATE NOT NULL DEFAULT '1970-01-01',
    created_at TIMESTAMP NOT NULL DEFAULT '1970-01-01',
    ltime TIMESTAMP_NS NOT NULL DEFAULT '1970-01-01',
    topic VARCHAR NOT NULL DEFAULT '',
    name VARCHAR NOT NULL DEFAULT '',
    host VARCHAR NOT NULL DEFAULT '',
    hostname VARCHAR NOT NULL DEFAULT '',
    org VARCHAR NOT NULL DEFAULT '',
    ip VARCHAR NOT NULL DEFAULT '',
    iphash VARCHAR NOT NULL DEFAULT '',
    msg VARCHAR NOT NULL DEFAULT '',
    oid UUID NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    owner UUID NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    level INTEGER NOT NULL DEFAULT 0,
    params JSON NOT NULL DEFAULT '{}'
);

-- the latest update of each id
CREATE TABLE updates (
    id VARCHAR NOT NULL DEFAULT '',
    updated_at TIMESTAMP NOT NULL DEFAULT '1970-01-01',
    msg VARCHAR NOT NULL DEFAULT '',
    PRIMARY KEY (id)
);

-- one row for each thing counted; a counter is the sum of its rows
CREATE TABLE counters (
    id VARCHAR NOT NULL DEFAULT '',
    total UBIGINT NOT NULL DEFAULT 0,
    date DATE NOT NULL DEFAULT '1970-01-01',
    cid UUID NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000'
);

-- the name behind each host hash
CREATE TABLE hosts (
    hhash VARCHAR NOT NULL DEFAULT '',
    hostname VARCHAR NOT NULL DEFAULT '',
    created_at TIMESTAMP NOT NULL DEFAULT '1970-01-01',
    PRIMARY KEY (hhash, hostname)
);

-- which visitors a user name was seen with
CREATE TABLE usernames (
    hhash VARCHAR NOT NULL DEFAULT '',
    uhash VARCHAR NOT NULL DEFAULT '',
    vid UUID NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    sid UUID NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    created_at TIMESTAMP NOT NULL DEFAULT '1970-01-01',
    PRIMARY KEY (hhash, uhash, vid)
);

-- the visitor an e-mail address was last seen with
CREATE TABLE emails (
    hhash VARCHAR NOT NULL DEFAULT '',
    ehash VARCHAR NOT NULL DEFAULT '',
    vid UUID NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    sid UUID NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    created_at TIMESTAMP NOT NULL DEFAULT '1970-01-01',
    PRIMARY KEY (hhash, ehash)
);

-- which visitors a phone number was seen with
CREATE TABLE cells (
    hhash VARCHAR NOT NULL DEFAULT '',
    chash VARCHAR NOT NULL DEFAULT '',
    vid UUID NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    sid UUID NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    created_at TIMESTAMP NOT NULL DEFAULT '1970-01-01',
    PRIMARY KEY (hhash, chash, vid)
);

-- which visitors a user was seen as
CREATE TABLE userhosts (
    hhash VARCHAR NOT NULL DEFAULT '',
    uid UUID NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    vid UUID NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    sid UUID NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    created_at TIMESTAMP NOT NULL DEFAULT '1970-01-01',
    PRIMARY KEY (hhash, uid, vid)
);

-- One row for each batch that has taken effect, written in the same transaction as its rows. Without an index:
-- batch ids are time-ordered, so a look-up reads only the blocks that can hold the id.
CREATE TABLE ledger (
    batch_id UUID NOT NULL,
    table_name VARCHAR NOT NULL,
    row_count BIGINT NOT NULL,
    written_at TIMESTAMP NOT NULL
);
