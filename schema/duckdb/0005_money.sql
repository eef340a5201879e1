-- Money is exact: amounts are decimals, and what nobody has a column for stays with its payment. Amounts that another
-- program wrote as binary fractions are rounded to nine places. A sum that runs over is an error, never a wrong number.
--
-- What was paid is summed by currency, for each organisation; where none is named, for each host.

ALTER TABLE payments ALTER COLUMN qty TYPE DECIMAL(38, 9);
ALTER TABLE payments ALTER COLUMN price TYPE DECIMAL(38, 9);
ALTER TABLE payments ALTER COLUMN discount TYPE DECIMAL(38, 9);
ALTER TABLE payments ALTER COLUMN revenue TYPE DECIMAL(38, 9);
ALTER TABLE payments ALTER COLUMN margin TYPE DECIMAL(38, 9);
ALTER TABLE payments ALTER COLUMN cost TYPE DECIMAL(38, 9);
ALTER TABLE payments ALTER COLUMN tax TYPE DECIMAL(38, 9);
ALTER TABLE payments ALTER COLUMN tax_rate TYPE DECIMAL(38, 9);
ALTER TABLE payments ALTER COLUMN commission TYPE DECIMAL(38, 9);
ALTER TABLE payments ALTER COLUMN referral TYPE DECIMAL(38, 9);
ALTER TABLE payments ALTER COLUMN fees TYPE DECIMAL(38, 9);
ALTER TABLE payments ALTER COLUMN subtotal TYPE DECIMAL(38, 9);
ALTER TABLE payments ALTER COLUMN total TYPE DECIMAL(38, 9);
ALTER TABLE payments ALTER COLUMN payment TYPE DECIMAL(38, 9);
ALTER TABLE payments ADD COLUMN params JSON NOT NULL DEFAULT '{}';

-- What each user, visitor and order paid in all; refunds are negative payments.
CREATE OR REPLACE VIEW ltv AS
SELECT
    arg_max(p.hhash, (p.updated_at, p.id)) AS hhash, payer.id, payer.id_type, sum(p.revenue) AS paid,
    p.currency, p.oid,
    arg_max(p.org, (p.updated_at, p.id)) AS org, max(p.updated_at) AS updated_at,
    arg_max(p.updater, (p.updated_at, p.id)) AS updater, min(p.created_at) AS created_at,
    arg_max(p.owner, (p.updated_at, p.id)) AS owner
FROM payments AS p, LATERAL (VALUES (p.uid, 'uid'), (p.vid, 'vid'), (p.orid, 'orid')) AS payer (id, id_type)
WHERE payer.id <> '00000000-0000-0000-0000-000000000000'
GROUP BY p.oid, CASE WHEN p.oid = '00000000-0000-0000-0000-000000000000' THEN p.hhash ELSE '' END,
    payer.id, payer.id_type, p.currency;

-- What each user paid for each order.
CREATE OR REPLACE VIEW ltvu AS
SELECT
    arg_max(p.hhash, (p.updated_at, p.id)) AS hhash, p.uid, p.orid, sum(p.revenue) AS paid, p.currency, p.oid,
    arg_max(p.org, (p.updated_at, p.id)) AS org, max(p.updated_at) AS updated_at,
    arg_max(p.updater, (p.updated_at, p.id)) AS updater, min(p.created_at) AS created_at,
    arg_max(p.owner, (p.updated_at, p.id)) AS owner
FROM payments AS p
WHERE p.uid <> '00000000-0000-0000-0000-000000000000' AND p.orid <> '00000000-0000-0000-0000-000000000000'
GROUP BY p.oid, CASE WHEN p.oid = '00000000-0000-0000-0000-000000000000' THEN p.hhash ELSE '' END,
    p.uid, p.orid, p.currency;

-- What each visitor paid for each order.
CREATE OR REPLACE VIEW ltvv AS
SELECT
    arg_max(p.hhash, (p.updated_at, p.id)) AS hhash, p.vid, p.orid, sum(p.revenue) AS paid, p.currency, p.oid,
    arg_max(p.org, (p.updated_at, p.id)) AS org, max(p.updated_at) AS updated_at,
    arg_max(p.updater, (p.updated_at, p.id)) AS updater, min(p.created_at) AS created_at,
    arg_max(p.owner, (p.updated_at, p.id)) AS owner
FROM payments AS p
WHERE p.vid <> '00000000-0000-0000-0000-000000000000' AND p.orid <> '00000000-0000-0000-0000-000000000000'
GROUP BY p.oid, CASE WHEN p.oid = '00000000-0000-0000-0000-000000000000' THEN p.hhash ELSE '' END,
    p.vid, p.orid, p.currency;
