-- Chat of a room. The id is made by the client, so its key is scoped to the room: it reveals nothing elsewhere.

CREATE TABLE dashboard.messages (
    owner_id        uuid NOT NULL,
    room_id         uuid NOT NULL,
    id              uuid NOT NULL,
    sender_id       uuid NOT NULL, -- a user or a guest
    sender_identity text NOT NULL,
    sender_name     text NOT NULL,
    text            text NOT NULL CHECK (length(text) BETWEEN 1 AND 4000),
    created_at      timestamptz NOT NULL,
    PRIMARY KEY (owner_id, room_id, id),
    FOREIGN KEY (owner_id, room_id) REFERENCES dashboard.rooms (owner_id, id) ON DELETE CASCADE
);
CREATE INDEX messages_in_order ON dashboard.messages (room_id, created_at DESC, id DESC);

ALTER TABLE dashboard.messages ENABLE ROW LEVEL SECURITY;
ALTER TABLE dashboard.messages FORCE ROW LEVEL SECURITY;

-- Reading `rooms` here applies its policies: whoever sees the room sees its chat and may write as themselves.
CREATE POLICY messages_in_room ON dashboard.messages TO dashboard_app
    USING (EXISTS (SELECT 1 FROM dashboard.rooms r WHERE r.owner_id = messages.owner_id AND r.id = messages.room_id))
    WITH CHECK (sender_id = dashboard.current_user_id() AND EXISTS (
        SELECT 1 FROM dashboard.rooms r WHERE r.owner_id = messages.owner_id AND r.id = messages.room_id));

GRANT SELECT, INSERT ON dashboard.messages TO dashboard_app;
