-- The people a user keeps. One direction: adding someone asks nothing of them.

CREATE TABLE dashboard.contacts (
    owner_id   uuid NOT NULL REFERENCES dashboard.users (id) ON DELETE CASCADE,
    contact_id uuid NOT NULL REFERENCES dashboard.users (id) ON DELETE CASCADE,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (owner_id, contact_id),
    CHECK (owner_id <> contact_id)
);
CREATE INDEX contacts_of ON dashboard.contacts (contact_id);

ALTER TABLE dashboard.contacts ENABLE ROW LEVEL SECURITY;
ALTER TABLE dashboard.contacts FORCE ROW LEVEL SECURITY;

CREATE POLICY contacts_owner ON dashboard.contacts TO dashboard_app
    USING (owner_id = dashboard.current_user_id()) WITH CHECK (owner_id = dashboard.current_user_id());
-- Needed by the registry's `friends` rule below: whoever keeps me shows me their name.
CREATE POLICY contacts_kept ON dashboard.contacts FOR SELECT TO dashboard_app
    USING (contact_id = dashboard.current_user_id());

GRANT SELECT, INSERT, DELETE ON dashboard.contacts TO dashboard_app;

CREATE POLICY aura_id_registry_friends ON dashboard.aura_id_registry FOR SELECT TO dashboard_app
    USING (privacy = 'friends' AND EXISTS (
        SELECT 1 FROM dashboard.contacts c
        WHERE c.owner_id = aura_id_registry.user_id AND c.contact_id = dashboard.current_user_id()));
