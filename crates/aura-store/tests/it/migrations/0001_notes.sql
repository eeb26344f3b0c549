CREATE TABLE sample.notes (
    user_id uuid NOT NULL,
    id      int NOT NULL CHECK (id > 0),
    body    text NOT NULL,
    PRIMARY KEY (user_id, id)
);
ALTER TABLE sample.notes ENABLE ROW LEVEL SECURITY;
ALTER TABLE sample.notes FORCE ROW LEVEL SECURITY;
CREATE POLICY notes_self ON sample.notes TO sample_app
    USING (user_id = NULLIF(current_setting('app.current_user_id', true), '')::uuid)
    WITH CHECK (user_id = NULLIF(current_setting('app.current_user_id', true), '')::uuid);
CREATE POLICY notes_system ON sample.notes FOR SELECT TO sample_system USING (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON sample.notes TO sample_app;
GRANT SELECT ON sample.notes TO sample_system;
