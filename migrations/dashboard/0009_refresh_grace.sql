-- A refresh whose answer was lost may be repeated for some seconds: the seed leads from the used token, which only
-- its holder has, to the one that took its place.

ALTER TABLE dashboard.refresh_tokens ADD COLUMN successor_seed bytea CHECK (length(successor_seed) = 32);
GRANT UPDATE (successor_seed) ON dashboard.refresh_tokens TO dashboard_system;
