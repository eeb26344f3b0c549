-- How much is stored: a sum over one owner's files, from the index alone.
CREATE INDEX files_usage ON dashboard.files (owner_id) INCLUDE (room_id, size_bytes);

-- What is forgotten in time: rows of an age, found without reading the rest. Messages and calls are written in order
-- of time, so a few pages of BRIN do.
CREATE INDEX messages_age ON dashboard.messages USING brin (created_at);
CREATE INDEX calls_age ON dashboard.calls USING brin (ended_at);
CREATE INDEX room_guests_expiry ON dashboard.room_guests (expires_at);

CREATE POLICY messages_system ON dashboard.messages TO dashboard_system USING (true) WITH CHECK (true);
GRANT SELECT, DELETE ON dashboard.messages TO dashboard_system;
GRANT DELETE ON dashboard.calls TO dashboard_system;
GRANT DELETE ON dashboard.share_links TO dashboard_system;
GRANT DELETE ON dashboard.room_invites TO dashboard_system;
