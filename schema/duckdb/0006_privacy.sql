-- On which ground an event or payment was freed of what identifies a person; empty where nothing was taken away.

ALTER TABLE events ADD COLUMN ground VARCHAR NOT NULL DEFAULT '';
ALTER TABLE payments ADD COLUMN ground VARCHAR NOT NULL DEFAULT '';

-- Made anew, for it shows every column of events.
CREATE OR REPLACE VIEW events_recent AS
SELECT * FROM events
WHERE created_at >= (now() AT TIME ZONE 'UTC') - INTERVAL 7 DAY;
