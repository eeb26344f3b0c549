-- Shared files and the links that hand them out. The bytes lie on disk under `storage_key`, a generated name.

CREATE TABLE dashboard.files (
    owner_id      uuid NOT NULL REFERENCES dashboard.users (id) ON DELETE CASCADE, -- the room's owner, or the uploader
    id            uuid NOT NULL,
    room_id       uuid,
    uploader_id   uuid NOT NULL, -- a user, or a guest of the room
    uploader_name text NOT NULL,
    name          text NOT NULL CHECK (length(name) BETWEEN 1 AND 255),
    size_bytes    bigint NOT NULL CHECK (size_bytes >= 0),
    content_type  text NOT NULL,
    sha256        bytea NOT NULL CHECK (length(sha256) = 32),
    storage_key   text NOT NULL,
    created_at    timestamptz NOT NULL,
    PRIMARY KEY (owner_id, id),
    FOREIGN KEY (owner_id, room_id) REFERENCES dashboard.rooms (owner_id, id) ON DELETE CASCADE,
    CHECK (room_id IS NOT NULL OR uploader_id = owner_id)
);
CREATE INDEX files_by_id ON dashboard.files (id);
CREATE INDEX files_by_room ON dashboard.files (room_id, created_at DESC, id DESC);
CREATE INDEX files_by_uploader ON dashboard.files (uploader_id, created_at DESC, id DESC);
CREATE INDEX files_by_storage_key ON dashboard.files (storage_key);

CREATE TABLE dashboard.share_links (
    owner_id      uuid NOT NULL,
    file_id       uuid NOT NULL,
    id            uuid NOT NULL,
    created_by    uuid NOT NULL,
    token_hash    bytea NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    password_hash text,
    expires_at    timestamptz,
    max_downloads integer CHECK (max_downloads >= 1),
    downloads     integer NOT NULL DEFAULT 0,
    revoked_at    timestamptz,
    created_at    timestamptz NOT NULL,
    PRIMARY KEY (owner_id, file_id, id),
    FOREIGN KEY (owner_id, file_id) REFERENCES dashboard.files (owner_id, id) ON DELETE CASCADE,
    CHECK (max_downloads IS NULL OR downloads <= max_downloads)
);

ALTER TABLE dashboard.files ENABLE ROW LEVEL SECURITY;
ALTER TABLE dashboard.files FORCE ROW LEVEL SECURITY;
ALTER TABLE dashboard.share_links ENABLE ROW LEVEL SECURITY;
ALTER TABLE dashboard.share_links FORCE ROW LEVEL SECURITY;

CREATE POLICY files_read ON dashboard.files FOR SELECT TO dashboard_app
    USING (owner_id = dashboard.current_user_id() OR uploader_id = dashboard.current_user_id()
        OR (room_id IS NOT NULL AND EXISTS (
            SELECT 1 FROM dashboard.rooms r WHERE r.owner_id = files.owner_id AND r.id = files.room_id)));
CREATE POLICY files_upload ON dashboard.files FOR INSERT TO dashboard_app
    WITH CHECK (uploader_id = dashboard.current_user_id() AND (
        (room_id IS NULL AND owner_id = dashboard.current_user_id())
        OR EXISTS (SELECT 1 FROM dashboard.rooms r WHERE r.owner_id = files.owner_id AND r.id = files.room_id)));
CREATE POLICY files_delete ON dashboard.files FOR DELETE TO dashboard_app
    USING (owner_id = dashboard.current_user_id() OR uploader_id = dashboard.current_user_id());
CREATE POLICY files_system ON dashboard.files TO dashboard_system USING (true) WITH CHECK (true);

CREATE POLICY share_links_read ON dashboard.share_links FOR SELECT TO dashboard_app
    USING (owner_id = dashboard.current_user_id() OR created_by = dashboard.current_user_id());
CREATE POLICY share_links_create ON dashboard.share_links FOR INSERT TO dashboard_app
    WITH CHECK (created_by = dashboard.current_user_id() AND EXISTS (
        SELECT 1 FROM dashboard.files f
        WHERE f.owner_id = share_links.owner_id AND f.id = share_links.file_id
          AND dashboard.current_user_id() IN (f.owner_id, f.uploader_id)));
CREATE POLICY share_links_revoke ON dashboard.share_links FOR UPDATE TO dashboard_app
    USING (owner_id = dashboard.current_user_id() OR created_by = dashboard.current_user_id())
    WITH CHECK (owner_id = dashboard.current_user_id() OR created_by = dashboard.current_user_id());
CREATE POLICY share_links_system ON dashboard.share_links TO dashboard_system USING (true) WITH CHECK (true);

GRANT SELECT, INSERT, DELETE ON dashboard.files TO dashboard_app;
GRANT SELECT ON dashboard.files TO dashboard_system;

GRANT SELECT (owner_id, file_id, id, created_by, expires_at, max_downloads, downloads, revoked_at, created_at,
              token_hash, password_hash)
    ON dashboard.share_links TO dashboard_app;
GRANT INSERT ON dashboard.share_links TO dashboard_app;
GRANT UPDATE (revoked_at) ON dashboard.share_links TO dashboard_app;
GRANT SELECT ON dashboard.share_links TO dashboard_system;
GRANT UPDATE (downloads) ON dashboard.share_links TO dashboard_system;
