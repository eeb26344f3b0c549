-- Calls between two people. The columns hold the whole state of the call's state machine, deadlines included:
-- timers are derived from rows, so a restart loses none.

CREATE TABLE dashboard.calls (
    id                uuid PRIMARY KEY,
    caller_id         uuid NOT NULL REFERENCES dashboard.users (id) ON DELETE CASCADE,
    callee_id         uuid NOT NULL REFERENCES dashboard.users (id) ON DELETE CASCADE,
    media             text NOT NULL CHECK (media IN ('audio', 'video')),
    status            text NOT NULL CHECK (status IN
                          ('initiated', 'ringing', 'active', 'completed', 'declined', 'missed', 'failed')),
    ring_timeout_s    integer NOT NULL CHECK (ring_timeout_s BETWEEN 1 AND 120),
    created_at        timestamptz NOT NULL,
    ringing_at        timestamptz,
    accepted_at       timestamptz, -- the callee took the call; media may still be on its way
    answered_at       timestamptz, -- both were in the room
    ended_at          timestamptz,
    end_reason        text,
    -- Presence in the SFU room: the current session and, once it left, since when.
    caller_session    text,
    caller_left_at    timestamptz,
    callee_session    text,
    callee_left_at    timestamptz,
    hangup_at         timestamptz, -- a party asked to end an active call; the SFU has yet to confirm
    next_deadline_at  timestamptz, -- when the state machine wants to be woken; NULL once the call is over
    CHECK (caller_id <> callee_id),
    CHECK ((ended_at IS NULL) = (status IN ('initiated', 'ringing', 'active'))),
    CHECK (answered_at IS NOT NULL OR status NOT IN ('active', 'completed'))
);
CREATE INDEX calls_by_caller ON dashboard.calls (caller_id, created_at DESC, id DESC);
CREATE INDEX calls_by_callee ON dashboard.calls (callee_id, created_at DESC, id DESC);
CREATE INDEX calls_open ON dashboard.calls (next_deadline_at) WHERE ended_at IS NULL;

ALTER TABLE dashboard.calls ENABLE ROW LEVEL SECURITY;
ALTER TABLE dashboard.calls FORCE ROW LEVEL SECURITY;

CREATE POLICY calls_read ON dashboard.calls FOR SELECT TO dashboard_app
    USING (dashboard.current_user_id() IN (caller_id, callee_id));
CREATE POLICY calls_place ON dashboard.calls FOR INSERT TO dashboard_app
    WITH CHECK (caller_id = dashboard.current_user_id());
CREATE POLICY calls_change ON dashboard.calls FOR UPDATE TO dashboard_app
    USING (dashboard.current_user_id() IN (caller_id, callee_id))
    WITH CHECK (dashboard.current_user_id() IN (caller_id, callee_id));
CREATE POLICY calls_system ON dashboard.calls TO dashboard_system USING (true) WITH CHECK (true);

-- The other party of a call is visible whatever their privacy.
CREATE POLICY aura_id_registry_call_parties ON dashboard.aura_id_registry FOR SELECT TO dashboard_app
    USING (EXISTS (SELECT 1 FROM dashboard.calls c
                   WHERE aura_id_registry.user_id IN (c.caller_id, c.callee_id)));

GRANT SELECT, INSERT ON dashboard.calls TO dashboard_app;
GRANT UPDATE (status, accepted_at, ended_at, end_reason, hangup_at, next_deadline_at,
              ringing_at, answered_at, caller_session, caller_left_at, callee_session, callee_left_at)
    ON dashboard.calls TO dashboard_app;
GRANT SELECT ON dashboard.calls TO dashboard_system;
GRANT UPDATE (status, accepted_at, ended_at, end_reason, hangup_at, next_deadline_at,
              ringing_at, answered_at, caller_session, caller_left_at, callee_session, callee_left_at)
    ON dashboard.calls TO dashboard_system;
