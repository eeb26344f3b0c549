-- Accounts and their public names.
--
-- `users` is private: a tenant sees its own row and never the password hash. What others may see of a person
-- lives in `aura_id_registry`; the composite foreign key with ON UPDATE CASCADE keeps the copied columns equal.

-- The tenant of the running transaction. A setting made with SET LOCAL reads '' afterwards, not NULL.
CREATE FUNCTION dashboard.current_user_id() RETURNS uuid
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$ SELECT NULLIF(current_setting('app.current_user_id', true), '')::uuid $$;

CREATE TABLE dashboard.users (
    id            uuid PRIMARY KEY,
    email         text NOT NULL CHECK (length(email) BETWEEN 3 AND 254),
    email_key     text NOT NULL GENERATED ALWAYS AS (lower(email)) STORED,
    password_hash text NOT NULL,
    display_name  text NOT NULL CHECK (length(display_name) BETWEEN 1 AND 80),
    aura_id       text NOT NULL CHECK (aura_id ~ '^@[a-z0-9][a-z0-9-]{0,31}\.aura$'),
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL,
    CONSTRAINT users_email_key UNIQUE (email_key),
    CONSTRAINT users_aura_id_key UNIQUE (aura_id),
    CONSTRAINT users_public_key UNIQUE (id, aura_id, display_name)
);

CREATE TABLE dashboard.aura_id_registry (
    aura_id          text PRIMARY KEY,
    user_id          uuid NOT NULL UNIQUE,
    display_name     text NOT NULL,
    -- COLLATE "C": prefix search is a range scan, and text comparison is leakproof, so RLS does not defeat the index.
    display_name_key text COLLATE "C" NOT NULL GENERATED ALWAYS AS (lower(display_name)) STORED,
    privacy          text NOT NULL DEFAULT 'public' CHECK (privacy IN ('public', 'friends', 'private')),
    created_at       timestamptz NOT NULL,
    FOREIGN KEY (user_id, aura_id, display_name) REFERENCES dashboard.users (id, aura_id, display_name)
        ON UPDATE CASCADE ON DELETE CASCADE
);
CREATE INDEX aura_id_registry_name ON dashboard.aura_id_registry (display_name_key);

CREATE TABLE dashboard.notification_preferences (
    user_id        uuid PRIMARY KEY REFERENCES dashboard.users (id) ON DELETE CASCADE,
    smart_routing  boolean NOT NULL DEFAULT true,
    ring_timeout_s integer CHECK (ring_timeout_s BETWEEN 10 AND 120), -- NULL: the service's default
    updated_at     timestamptz NOT NULL
);

ALTER TABLE dashboard.users ENABLE ROW LEVEL SECURITY;
ALTER TABLE dashboard.users FORCE ROW LEVEL SECURITY;
ALTER TABLE dashboard.aura_id_registry ENABLE ROW LEVEL SECURITY;
ALTER TABLE dashboard.aura_id_registry FORCE ROW LEVEL SECURITY;
ALTER TABLE dashboard.notification_preferences ENABLE ROW LEVEL SECURITY;
ALTER TABLE dashboard.notification_preferences FORCE ROW LEVEL SECURITY;

CREATE POLICY users_self ON dashboard.users TO dashboard_app
    USING (id = dashboard.current_user_id()) WITH CHECK (id = dashboard.current_user_id());
CREATE POLICY users_system ON dashboard.users TO dashboard_system USING (true) WITH CHECK (true);

CREATE POLICY aura_id_registry_self ON dashboard.aura_id_registry TO dashboard_app
    USING (user_id = dashboard.current_user_id()) WITH CHECK (user_id = dashboard.current_user_id());
CREATE POLICY aura_id_registry_public ON dashboard.aura_id_registry FOR SELECT TO dashboard_app
    USING (privacy = 'public');
CREATE POLICY aura_id_registry_system ON dashboard.aura_id_registry TO dashboard_system USING (true) WITH CHECK (true);

CREATE POLICY notification_preferences_self ON dashboard.notification_preferences TO dashboard_app
    USING (user_id = dashboard.current_user_id()) WITH CHECK (user_id = dashboard.current_user_id());
CREATE POLICY notification_preferences_system ON dashboard.notification_preferences TO dashboard_system
    USING (true) WITH CHECK (true);

GRANT SELECT (id, email, display_name, aura_id, created_at, updated_at) ON dashboard.users TO dashboard_app;
GRANT UPDATE (display_name, updated_at) ON dashboard.users TO dashboard_app;
GRANT SELECT, INSERT ON dashboard.users TO dashboard_system;
GRANT UPDATE (password_hash, updated_at) ON dashboard.users TO dashboard_system;

GRANT SELECT ON dashboard.aura_id_registry TO dashboard_app;
GRANT UPDATE (privacy) ON dashboard.aura_id_registry TO dashboard_app;
GRANT SELECT, INSERT ON dashboard.aura_id_registry TO dashboard_system;

GRANT SELECT, UPDATE ON dashboard.notification_preferences TO dashboard_app;
GRANT SELECT, INSERT ON dashboard.notification_preferences TO dashboard_system;
