-- Rooms, who may enter them, and the links that let people in.
--
-- The owner's id is part of every key below a room, so that no row can point into another tenant's room.

CREATE TABLE dashboard.rooms (
    id               uuid PRIMARY KEY,
    owner_id         uuid NOT NULL REFERENCES dashboard.users (id) ON DELETE CASCADE,
    name             text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    description      text CHECK (length(description) <= 2000),
    guests_allowed   boolean NOT NULL,
    max_participants integer CHECK (max_participants BETWEEN 2 AND 500),
    metadata         jsonb,
    created_at       timestamptz NOT NULL,
    updated_at       timestamptz NOT NULL,
    UNIQUE (owner_id, id)
);
CREATE INDEX rooms_by_owner ON dashboard.rooms (owner_id, created_at DESC, id DESC);

CREATE TABLE dashboard.room_invites (
    owner_id   uuid NOT NULL,
    room_id    uuid NOT NULL,
    id         uuid NOT NULL,
    token_hash bytea NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    expires_at timestamptz,
    max_uses   integer CHECK (max_uses >= 1),
    uses       integer NOT NULL DEFAULT 0,
    revoked_at timestamptz,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (owner_id, room_id, id),
    FOREIGN KEY (owner_id, room_id) REFERENCES dashboard.rooms (owner_id, id) ON DELETE CASCADE,
    CHECK (max_uses IS NULL OR uses <= max_uses)
);

CREATE TABLE dashboard.room_members (
    owner_id  uuid NOT NULL,
    room_id   uuid NOT NULL,
    user_id   uuid NOT NULL REFERENCES dashboard.users (id) ON DELETE CASCADE,
    joined_at timestamptz NOT NULL,
    PRIMARY KEY (owner_id, room_id, user_id),
    FOREIGN KEY (owner_id, room_id) REFERENCES dashboard.rooms (owner_id, id) ON DELETE CASCADE
);
CREATE INDEX room_members_by_user ON dashboard.room_members (user_id);

-- People let in by a link without an account. `guest_id` acts as the tenant of their transactions.
CREATE TABLE dashboard.room_guests (
    owner_id     uuid NOT NULL,
    room_id      uuid NOT NULL,
    guest_id     uuid NOT NULL,
    display_name text NOT NULL CHECK (length(display_name) BETWEEN 1 AND 80),
    joined_at    timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    revoked_at   timestamptz,
    PRIMARY KEY (owner_id, room_id, guest_id),
    FOREIGN KEY (owner_id, room_id) REFERENCES dashboard.rooms (owner_id, id) ON DELETE CASCADE
);
CREATE INDEX room_guests_by_guest ON dashboard.room_guests (guest_id);

-- SFU rooms that must end. Written with the change that asks for it, kept a while as a tombstone, so that an SFU
-- that was away (or a join token issued earlier) cannot keep a deleted room alive.
CREATE TABLE dashboard.room_deletions (
    livekit_room text PRIMARY KEY,
    requested_by uuid NOT NULL,
    requested_at timestamptz NOT NULL,
    done_at      timestamptz
);
CREATE INDEX room_deletions_open ON dashboard.room_deletions (requested_at) WHERE done_at IS NULL;

ALTER TABLE dashboard.rooms ENABLE ROW LEVEL SECURITY;
ALTER TABLE dashboard.rooms FORCE ROW LEVEL SECURITY;
ALTER TABLE dashboard.room_invites ENABLE ROW LEVEL SECURITY;
ALTER TABLE dashboard.room_invites FORCE ROW LEVEL SECURITY;
ALTER TABLE dashboard.room_members ENABLE ROW LEVEL SECURITY;
ALTER TABLE dashboard.room_members FORCE ROW LEVEL SECURITY;
ALTER TABLE dashboard.room_guests ENABLE ROW LEVEL SECURITY;
ALTER TABLE dashboard.room_guests FORCE ROW LEVEL SECURITY;
ALTER TABLE dashboard.room_deletions ENABLE ROW LEVEL SECURITY;
ALTER TABLE dashboard.room_deletions FORCE ROW LEVEL SECURITY;

-- Members and guests are visible to themselves and to the room's owner. These two policies name no other table:
-- the rooms policy reads them, and policies that read each other recurse.
CREATE POLICY room_members_visible ON dashboard.room_members TO dashboard_app
    USING (user_id = dashboard.current_user_id() OR owner_id = dashboard.current_user_id())
    WITH CHECK (owner_id = dashboard.current_user_id());
CREATE POLICY room_members_system ON dashboard.room_members TO dashboard_system USING (true) WITH CHECK (true);
CREATE POLICY room_guests_visible ON dashboard.room_guests TO dashboard_app
    USING (guest_id = dashboard.current_user_id() OR owner_id = dashboard.current_user_id())
    WITH CHECK (owner_id = dashboard.current_user_id());
CREATE POLICY room_guests_system ON dashboard.room_guests TO dashboard_system USING (true) WITH CHECK (true);

CREATE POLICY rooms_owner ON dashboard.rooms TO dashboard_app
    USING (owner_id = dashboard.current_user_id()) WITH CHECK (owner_id = dashboard.current_user_id());
CREATE POLICY rooms_joined ON dashboard.rooms FOR SELECT TO dashboard_app
    USING (
        EXISTS (SELECT 1 FROM dashboard.room_members m
                WHERE m.owner_id = rooms.owner_id AND m.room_id = rooms.id
                  AND m.user_id = dashboard.current_user_id())
        OR EXISTS (SELECT 1 FROM dashboard.room_guests g
                   WHERE g.owner_id = rooms.owner_id AND g.room_id = rooms.id
                     AND g.guest_id = dashboard.current_user_id()
                     AND g.revoked_at IS NULL AND g.expires_at > now()));
CREATE POLICY rooms_system ON dashboard.rooms TO dashboard_system USING (true) WITH CHECK (true);

CREATE POLICY room_invites_owner ON dashboard.room_invites TO dashboard_app
    USING (owner_id = dashboard.current_user_id()) WITH CHECK (owner_id = dashboard.current_user_id());
CREATE POLICY room_invites_system ON dashboard.room_invites TO dashboard_system USING (true) WITH CHECK (true);

CREATE POLICY room_deletions_requested ON dashboard.room_deletions TO dashboard_app
    USING (requested_by = dashboard.current_user_id()) WITH CHECK (requested_by = dashboard.current_user_id());
CREATE POLICY room_deletions_system ON dashboard.room_deletions TO dashboard_system USING (true) WITH CHECK (true);

-- The owner of a room one shares is visible whatever their privacy.
CREATE POLICY aura_id_registry_hosts ON dashboard.aura_id_registry FOR SELECT TO dashboard_app
    USING (EXISTS (SELECT 1 FROM dashboard.rooms r WHERE r.owner_id = aura_id_registry.user_id));

GRANT SELECT, INSERT, DELETE ON dashboard.rooms TO dashboard_app;
GRANT UPDATE (name, description, guests_allowed, max_participants, metadata, updated_at)
    ON dashboard.rooms TO dashboard_app;
GRANT SELECT ON dashboard.rooms TO dashboard_system;

GRANT SELECT, INSERT ON dashboard.room_invites TO dashboard_app;
GRANT UPDATE (revoked_at) ON dashboard.room_invites TO dashboard_app;
GRANT SELECT ON dashboard.room_invites TO dashboard_system;
GRANT UPDATE (uses) ON dashboard.room_invites TO dashboard_system;

GRANT SELECT ON dashboard.room_members TO dashboard_app;
GRANT SELECT, INSERT ON dashboard.room_members TO dashboard_system;

GRANT SELECT ON dashboard.room_guests TO dashboard_app;
GRANT UPDATE (revoked_at) ON dashboard.room_guests TO dashboard_app;
GRANT SELECT, INSERT, DELETE ON dashboard.room_guests TO dashboard_system;

GRANT SELECT, INSERT ON dashboard.room_deletions TO dashboard_app;
GRANT SELECT, INSERT, DELETE ON dashboard.room_deletions TO dashboard_system;
GRANT UPDATE (done_at) ON dashboard.room_deletions TO dashboard_system;
