-- Ids of bus events already applied. Inserted in the transaction that applies the event, so that a repeated
-- delivery, or the same event seen by two instances, changes nothing.

CREATE TABLE dashboard.processed_events (
    event_id     text PRIMARY KEY CHECK (length(event_id) BETWEEN 1 AND 128),
    event_type   text NOT NULL,
    processed_at timestamptz NOT NULL
);
CREATE INDEX processed_events_age ON dashboard.processed_events (processed_at);

ALTER TABLE dashboard.processed_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE dashboard.processed_events FORCE ROW LEVEL SECURITY;
CREATE POLICY processed_events_system ON dashboard.processed_events TO dashboard_system USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, DELETE ON dashboard.processed_events TO dashboard_system;
