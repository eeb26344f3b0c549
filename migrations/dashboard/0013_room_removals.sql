-- People an owner sent away from a room: it is hidden from them, no token is signed for them, and the SFU is told to
-- refuse those they have, until they are let back in. The one truth about it, for members and guests alike.

CREATE TABLE dashboard.room_removals (
    owner_id     uuid NOT NULL,
    room_id      uuid NOT NULL,
    identity     text NOT NULL CHECK (octet_length(identity) BETWEEN 1 AND 256), -- as the SFU knows them
    person_id    uuid, -- the account or guest behind the identity; NULL for what others put into the room
    display_name text NOT NULL CHECK (octet_length(display_name) BETWEEN 1 AND 1024),
    removed_at   timestamptz NOT NULL,
    PRIMARY KEY (owner_id, room_id, identity),
    FOREIGN KEY (owner_id, room_id) REFERENCES dashboard.rooms (owner_id, id) ON DELETE CASCADE
);
CREATE INDEX room_removals_by_person ON dashboard.room_removals (person_id);
CREATE INDEX room_removals_by_room ON dashboard.room_removals (room_id, identity);
CREATE INDEX room_removals_by_time ON dashboard.room_removals (removed_at);

-- Guests removed so far. The owner role sees rows only where a policy names it, hence the detour.
ALTER TABLE dashboard.room_guests NO FORCE ROW LEVEL SECURITY;
INSERT INTO dashboard.room_removals
    SELECT owner_id, room_id, 'guest-' || guest_id, guest_id, display_name, revoked_at
    FROM dashboard.room_guests WHERE revoked_at IS NOT NULL;
ALTER TABLE dashboard.room_guests FORCE ROW LEVEL SECURITY;

ALTER TABLE dashboard.room_removals ENABLE ROW LEVEL SECURITY;
ALTER TABLE dashboard.room_removals FORCE ROW LEVEL SECURITY;

-- These name no other table: the rooms policy reads them.
CREATE POLICY room_removals_owner ON dashboard.room_removals TO dashboard_app
    USING (owner_id = dashboard.current_user_id()) WITH CHECK (owner_id = dashboard.current_user_id());
CREATE POLICY room_removals_own ON dashboard.room_removals FOR SELECT TO dashboard_app
    USING (person_id = dashboard.current_user_id());
CREATE POLICY room_removals_system ON dashboard.room_removals TO dashboard_system USING (true) WITH CHECK (true);

DROP POLICY rooms_joined ON dashboard.rooms;
CREATE POLICY rooms_joined ON dashboard.rooms FOR SELECT TO dashboard_app
    USING (
        (EXISTS (SELECT 1 FROM dashboard.room_members m
                 WHERE m.owner_id = rooms.owner_id AND m.room_id = rooms.id
                   AND m.user_id = dashboard.current_user_id())
         OR EXISTS (SELECT 1 FROM dashboard.room_guests g
                    WHERE g.owner_id = rooms.owner_id AND g.room_id = rooms.id
                      AND g.guest_id = dashboard.current_user_id() AND g.expires_at > now()))
        AND NOT EXISTS (SELECT 1 FROM dashboard.room_removals r
                        WHERE r.owner_id = rooms.owner_id AND r.room_id = rooms.id
                          AND r.person_id = dashboard.current_user_id()));
ALTER TABLE dashboard.room_guests DROP COLUMN revoked_at;

GRANT SELECT, INSERT, DELETE ON dashboard.room_removals TO dashboard_app;
GRANT SELECT, DELETE ON dashboard.room_removals TO dashboard_system;
