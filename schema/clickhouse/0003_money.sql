-- Money is exact: amounts are decimals, and what nobody has a column for stays with its payment. Amounts that another
-- program wrote as binary fractions are cut to nine places. Sums are wider than amounts, so that none runs over.
--
-- What was paid is summed by currency, for each organisation; where none is named, for each host.

ALTER TABLE payments
    MODIFY COLUMN qty Decimal(38, 9),
    MODIFY COLUMN price Decimal(38, 9),
    MODIFY COLUMN discount Decimal(38, 9),
    MODIFY COLUMN revenue Decimal(38, 9),
    MODIFY COLUMN margin Decimal(38, 9),
    MODIFY COLUMN cost Decimal(38, 9),
    MODIFY COLUMN tax Decimal(38, 9),
    MODIFY COLUMN tax_rate Decimal(38, 9),
    MODIFY COLUMN commission Decimal(38, 9),
    MODIFY COLUMN referral Decimal(38, 9),
    MODIFY COLUMN fees Decimal(38, 9),
    MODIFY COLUMN subtotal Decimal(38, 9),
    MODIFY COLUMN total Decimal(38, 9),
    MODIFY COLUMN payment Decimal(38, 9);

ALTER TABLE payments ADD COLUMN IF NOT EXISTS params JSON(max_dynamic_paths=0);

-- What each user, visitor and order paid in all; refunds are negative payments.
CREATE OR REPLACE VIEW ltv AS
SELECT
    argMax(p.hhash, (p.updated_at, UUIDToNum(p.id))) AS hhash, payer.1 AS id, payer.2 AS id_type,
    sum(toDecimal256(p.revenue, 9)) AS paid, p.currency AS currency, p.oid AS oid,
    argMax(p.org, (p.updated_at, UUIDToNum(p.id))) AS org,
    max(p.updated_at) AS updated_at, argMax(p.updater, (p.updated_at, UUIDToNum(p.id))) AS updater,
    min(p.created_at) AS created_at, argMax(p.owner, (p.updated_at, UUIDToNum(p.id))) AS owner
FROM payments AS p FINAL
ARRAY JOIN [(p.uid, 'uid'), (p.vid, 'vid'), (p.orid, 'orid')] AS payer
WHERE payer.1 <> toUUID('00000000-0000-0000-0000-000000000000')
GROUP BY p.oid, if(p.oid = toUUID('00000000-0000-0000-0000-000000000000'), p.hhash, ''),
    payer.1, payer.2, p.currency;

-- What each user paid for each order.
CREATE OR REPLACE VIEW ltvu AS
SELECT
    argMax(p.hhash, (p.updated_at, UUIDToNum(p.id))) AS hhash, p.uid AS uid, p.orid AS orid,
    sum(toDecimal256(p.revenue, 9)) AS paid, p.currency AS currency, p.oid AS oid,
    argMax(p.org, (p.updated_at, UUIDToNum(p.id))) AS org,
    max(p.updated_at) AS updated_at, argMax(p.updater, (p.updated_at, UUIDToNum(p.id))) AS updater,
    min(p.created_at) AS created_at, argMax(p.owner, (p.updated_at, UUIDToNum(p.id))) AS owner
FROM payments AS p FINAL
WHERE p.uid <> toUUID('00000000-0000-0000-0000-000000000000')
    AND p.orid <> toUUID('00000000-0000-0000-0000-000000000000')
GROUP BY p.oid, if(p.oid = toUUID('00000000-0000-0000-0000-000000000000'), p.hhash, ''),
    p.uid, p.orid, p.currency;

-- What each visitor paid for each order.
CREATE OR REPLACE VIEW ltvv AS
SELECT
    argMax(p.hhash, (p.updated_at, UUIDToNum(p.id))) AS hhash, p.vid AS vid, p.orid AS orid,
    sum(toDecimal256(p.revenue, 9)) AS paid, p.currency AS currency, p.oid AS oid,
    argMax(p.org, (p.updated_at, UUIDToNum(p.id))) AS org,
    max(p.updated_at) AS updated_at, argMax(p.updater, (p.updated_at, UUIDToNum(p.id))) AS updater,
    min(p.created_at) AS created_at, argMax(p.owner, (p.updated_at, UUIDToNum(p.id))) AS owner
FROM payments AS p FINAL
WHERE p.vid <> toUUID('00000000-0000-0000-0000-000000000000')
    AND p.orid <> toUUID('00000000-0000-0000-0000-000000000000')
GROUP BY p.oid, if(p.oid = toUUID('00000000-0000-0000-0000-000000000000'), p.hhash, ''),
    p.vid, p.orid, p.currency;
