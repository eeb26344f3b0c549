-- What users want of the speech codec. Users themselves live in the dashboard's schema: this service believes the
-- caller's user id and keeps every row under it.

-- The tenant of the running transaction. A setting made with SET LOCAL reads '' afterwards, not NULL.
CREATE FUNCTION aic.current_user_id() RETURNS uuid
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$ SELECT NULLIF(current_setting('app.current_user_id', true), '')::uuid $$;

CREATE TABLE aic.aic_configs (
    user_id                  uuid PRIMARY KEY,
    enabled                  boolean NOT NULL,
    mode                     text NOT NULL CHECK (mode IN ('conservative', 'adaptive', 'aggressive')),
    target_compression_ratio double precision NOT NULL CHECK (target_compression_ratio BETWEEN 0 AND 0.99),
    max_latency_ms           double precision NOT NULL CHECK (max_latency_ms BETWEEN 1 AND 1000),
    min_quality_score        double precision NOT NULL CHECK (min_quality_score BETWEEN 0 AND 1),
    enable_fallback          boolean NOT NULL,
    gpu_enabled              boolean NOT NULL,
    gpu_device_id            integer NOT NULL CHECK (gpu_device_id BETWEEN 0 AND 63),
    created_at               timestamptz NOT NULL,
    updated_at               timestamptz NOT NULL
);

ALTER TABLE aic.aic_configs ENABLE ROW LEVEL SECURITY;
ALTER TABLE aic.aic_configs FORCE ROW LEVEL SECURITY;

CREATE POLICY aic_configs_own ON aic.aic_configs TO aic_app
    USING (user_id = aic.current_user_id()) WITH CHECK (user_id = aic.current_user_id());

GRANT SELECT, INSERT ON aic.aic_configs TO aic_app;
GRANT UPDATE (enabled, mode, target_compression_ratio, max_latency_ms, min_quality_score, enable_fallback,
              gpu_enabled, gpu_device_id, updated_at) ON aic.aic_configs TO aic_app;
