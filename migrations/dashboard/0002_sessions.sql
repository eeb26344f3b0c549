-- Refresh tokens: opaque, hashed, single use. Reuse of a used token revokes its whole family.
-- Only the system role works here: whoever refreshes has no access token yet.

CREATE TABLE dashboard.refresh_families (
    user_id       uuid NOT NULL REFERENCES dashboard.users (id) ON DELETE CASCADE,
    id            uuid NOT NULL,
    created_at    timestamptz NOT NULL,
    expires_at    timestamptz NOT NULL, -- absolute: rotation does not extend it
    revoked_at    timestamptz,
    revoke_reason text CHECK (revoke_reason IN ('logout', 'reuse')),
    PRIMARY KEY (user_id, id)
);
CREATE INDEX refresh_families_expiry ON dashboard.refresh_families (expires_at);

CREATE TABLE dashboard.refresh_tokens (
    token_hash bytea PRIMARY KEY CHECK (length(token_hash) = 32),
    user_id    uuid NOT NULL,
    family_id  uuid NOT NULL,
    issued_at  timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at    timestamptz,
    FOREIGN KEY (user_id, family_id) REFERENCES dashboard.refresh_families (user_id, id) ON DELETE CASCADE
);
CREATE INDEX refresh_tokens_family ON dashboard.refresh_tokens (user_id, family_id);

ALTER TABLE dashboard.refresh_families ENABLE ROW LEVEL SECURITY;
ALTER TABLE dashboard.refresh_families FORCE ROW LEVEL SECURITY;
ALTER TABLE dashboard.refresh_tokens ENABLE ROW LEVEL SECURITY;
ALTER TABLE dashboard.refresh_tokens FORCE ROW LEVEL SECURITY;

CREATE POLICY refresh_families_system ON dashboard.refresh_families TO dashboard_system USING (true) WITH CHECK (true);
CREATE POLICY refresh_tokens_system ON dashboard.refresh_tokens TO dashboard_system USING (true) WITH CHECK (true);

GRANT SELECT, INSERT, DELETE ON dashboard.refresh_families TO dashboard_system;
GRANT UPDATE (revoked_at, revoke_reason) ON dashboard.refresh_families TO dashboard_system;
GRANT SELECT, INSERT ON dashboard.refresh_tokens TO dashboard_system;
GRANT UPDATE (used_at) ON dashboard.refresh_tokens TO dashboard_system;
