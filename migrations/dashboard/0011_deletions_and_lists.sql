-- Ending an SFU room takes a moment in which somebody may bring it back: the generation tells whether that happened.
ALTER TABLE dashboard.room_deletions ADD COLUMN generation integer NOT NULL DEFAULT 0;
GRANT UPDATE (generation) ON dashboard.room_deletions TO dashboard_system;
CREATE INDEX room_deletions_done ON dashboard.room_deletions (done_at) WHERE done_at IS NOT NULL;
