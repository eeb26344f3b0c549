-- How the models do, by hour, and what went wrong for long enough to say so.

CREATE TABLE aic.aic_model_performance (
    hour            timestamptz NOT NULL,
    model           text NOT NULL CHECK (octet_length(model) <= 64),
    backend         text NOT NULL CHECK (backend IN ('native', 'onnx', 'browser', 'client')),
    frames          bigint NOT NULL,
    fallback_frames bigint NOT NULL,
    quality_sum     double precision NOT NULL,
    quality_count   bigint NOT NULL,
    latency_sum_ms  double precision NOT NULL,
    latency_count   bigint NOT NULL,
    latency_counts  bigint[] NOT NULL,
    PRIMARY KEY (hour, model, backend)
);

-- Alerts about one user's sessions are that user's; those about a whole replica carry the nil UUID, which no tenant has.
CREATE TABLE aic.aic_alerts (
    user_id     uuid NOT NULL,
    id          uuid NOT NULL,
    rule        text NOT NULL CHECK (rule IN ('inference_latency', 'fallback_rate')),
    instance    text NOT NULL,
    value       double precision NOT NULL, -- the worst seen
    threshold   double precision NOT NULL,
    started_at  timestamptz NOT NULL,      -- the condition began to hold
    fired_at    timestamptz NOT NULL,
    seen_at     timestamptz NOT NULL,      -- it still held
    resolved_at timestamptz,
    PRIMARY KEY (user_id, id)
);
CREATE INDEX aic_alerts_in_order ON aic.aic_alerts (user_id, fired_at DESC);
CREATE INDEX aic_alerts_open ON aic.aic_alerts (seen_at) WHERE resolved_at IS NULL;

ALTER TABLE aic.aic_model_performance ENABLE ROW LEVEL SECURITY;
ALTER TABLE aic.aic_model_performance FORCE ROW LEVEL SECURITY;
ALTER TABLE aic.aic_alerts ENABLE ROW LEVEL SECURITY;
ALTER TABLE aic.aic_alerts FORCE ROW LEVEL SECURITY;

-- Not personal: whoever is somebody may read it.
CREATE POLICY aic_model_performance_read ON aic.aic_model_performance FOR SELECT TO aic_app
    USING (aic.current_user_id() IS NOT NULL);
CREATE POLICY aic_model_performance_system ON aic.aic_model_performance TO aic_system USING (true) WITH CHECK (true);
CREATE POLICY aic_alerts_own ON aic.aic_alerts FOR SELECT TO aic_app USING (user_id = aic.current_user_id());
CREATE POLICY aic_alerts_system ON aic.aic_alerts TO aic_system USING (true) WITH CHECK (true);

GRANT SELECT ON aic.aic_model_performance, aic.aic_alerts TO aic_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON aic.aic_model_performance TO aic_system;
GRANT SELECT, INSERT, DELETE ON aic.aic_alerts TO aic_system;
GRANT UPDATE (value, seen_at, resolved_at) ON aic.aic_alerts TO aic_system;
