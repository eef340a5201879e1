-- On which ground an event or payment was freed of what identifies a person; empty where nothing was taken away.

ALTER TABLE events ADD COLUMN IF NOT EXISTS ground LowCardinality(String);
ALTER TABLE payments ADD COLUMN IF NOT EXISTS ground LowCardinality(String);

-- Made anew, for it shows every column of events.
CREATE OR REPLACE VIEW events_recent AS
SELECT * FROM events FINAL
WHERE created_at >= now64(3, 'UTC') - INTERVAL 7 DAY;
