-- Streams through the codec, here or in a client, and what was measured of them.
--
-- `user_id` is in every key: a session id made by one user's client says nothing about another's. The nil UUID stands
-- for nobody (bridges, guests): no tenant has it. Histograms hold frames by codec time in fixed buckets
-- (engine/histogram.rs), so that a percentile of any range is the sum of its rows.

-- Element by element; the longer array's rest is kept.
CREATE FUNCTION aic.add_counts(a bigint[], b bigint[]) RETURNS bigint[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
        SELECT coalesce(array_agg(coalesce(x, 0) + coalesce(y, 0) ORDER BY i), '{}')
        FROM unnest(a, b) WITH ORDINALITY AS t(x, y, i)
    $$;

CREATE AGGREGATE aic.sum_counts(bigint[]) (
    SFUNC = aic.add_counts, STYPE = bigint[], INITCOND = '{}', COMBINEFUNC = aic.add_counts, PARALLEL = SAFE
);

CREATE TABLE aic.aic_sessions (
    user_id              uuid NOT NULL,
    id                   uuid NOT NULL,
    kind                 text NOT NULL CHECK (kind IN ('transcode', 'compress', 'decompress', 'browser', 'native')),
    instance             text NOT NULL CHECK (length(instance) <= 128),
    caller               text NOT NULL CHECK (length(caller) <= 64),
    room                 text NOT NULL CHECK (octet_length(room) <= 256),
    track                text NOT NULL CHECK (octet_length(track) <= 128),
    direction            text NOT NULL CHECK (direction IN ('', 'send', 'receive')),
    mode                 text NOT NULL CHECK (mode IN ('conservative', 'adaptive', 'aggressive')),
    model                text NOT NULL CHECK (octet_length(model) <= 64),
    started_at           timestamptz NOT NULL,
    last_seen_at         timestamptz NOT NULL,
    ended_at             timestamptz,
    end_reason           text NOT NULL DEFAULT '',
    last_sequence        bigint NOT NULL, -- of the reports counted so far
    frames               bigint NOT NULL DEFAULT 0,
    fallback_frames      bigint NOT NULL DEFAULT 0,
    concealed_frames     bigint NOT NULL DEFAULT 0,
    coded_bytes          bigint NOT NULL DEFAULT 0,
    native_bytes         bigint NOT NULL DEFAULT 0,
    quality_sum          double precision NOT NULL DEFAULT 0,
    quality_count        bigint NOT NULL DEFAULT 0,
    latency_sum_ms       double precision NOT NULL DEFAULT 0,
    latency_count        bigint NOT NULL DEFAULT 0,
    latency_counts       bigint[] NOT NULL DEFAULT '{}',
    fallbacks            bigint NOT NULL DEFAULT 0, -- times
    last_fallback_reason text NOT NULL DEFAULT '',
    PRIMARY KEY (user_id, id)
);
CREATE INDEX aic_sessions_in_order ON aic.aic_sessions (user_id, started_at DESC, id DESC);
CREATE INDEX aic_sessions_open ON aic.aic_sessions (last_seen_at) WHERE ended_at IS NULL;
CREATE INDEX aic_sessions_age ON aic.aic_sessions (started_at);

CREATE TABLE aic.aic_metrics (
    user_id          uuid NOT NULL,
    session_id       uuid NOT NULL,
    sequence         bigint NOT NULL,
    "timestamp"      timestamptz NOT NULL,
    window_ms        integer NOT NULL CHECK (window_ms BETWEEN 1 AND 600000),
    mode             text NOT NULL CHECK (mode IN ('conservative', 'adaptive', 'aggressive')),
    model            text NOT NULL CHECK (octet_length(model) <= 64),
    frames           bigint NOT NULL CHECK (frames >= 0),
    fallback_frames  bigint NOT NULL CHECK (fallback_frames >= 0),
    concealed_frames bigint NOT NULL CHECK (concealed_frames >= 0),
    coded_bytes      bigint NOT NULL CHECK (coded_bytes >= 0),
    native_bytes     bigint NOT NULL CHECK (native_bytes >= 0),
    quality_sum      double precision NOT NULL,
    quality_count    bigint NOT NULL CHECK (quality_count >= 0),
    quality_min      double precision,
    latency_sum_ms   double precision NOT NULL,
    latency_count    bigint NOT NULL CHECK (latency_count >= 0),
    latency_counts   bigint[] NOT NULL CHECK (cardinality(latency_counts) <= 32),
    fallbacks        jsonb NOT NULL, -- times, by reason
    PRIMARY KEY (user_id, session_id, sequence, "timestamp")
) PARTITION BY RANGE ("timestamp");
CREATE INDEX aic_metrics_of_user ON aic.aic_metrics (user_id, "timestamp");

-- Rows nobody made a partition for: the service makes them ahead, so this stays empty unless it could not.
CREATE TABLE aic.aic_metrics_rest PARTITION OF aic.aic_metrics DEFAULT;

-- Partitions are reached through their parent; by name too they are under the same rule.
ALTER TABLE aic.aic_metrics_rest ENABLE ROW LEVEL SECURITY;
ALTER TABLE aic.aic_metrics_rest FORCE ROW LEVEL SECURITY;

ALTER TABLE aic.aic_sessions ENABLE ROW LEVEL SECURITY;
ALTER TABLE aic.aic_sessions FORCE ROW LEVEL SECURITY;
ALTER TABLE aic.aic_metrics ENABLE ROW LEVEL SECURITY;
ALTER TABLE aic.aic_metrics FORCE ROW LEVEL SECURITY;

CREATE POLICY aic_sessions_own ON aic.aic_sessions FOR SELECT TO aic_app USING (user_id = aic.current_user_id());
CREATE POLICY aic_sessions_system ON aic.aic_sessions TO aic_system USING (true) WITH CHECK (true);
CREATE POLICY aic_metrics_own ON aic.aic_metrics FOR SELECT TO aic_app USING (user_id = aic.current_user_id());
CREATE POLICY aic_metrics_system ON aic.aic_metrics TO aic_system USING (true) WITH CHECK (true);

GRANT SELECT ON aic.aic_sessions, aic.aic_metrics TO aic_app;
GRANT SELECT, INSERT, DELETE ON aic.aic_sessions TO aic_system;
GRANT UPDATE (instance, last_seen_at, ended_at, end_reason, last_sequence, mode, model, frames, fallback_frames,
              concealed_frames, coded_bytes, native_bytes, quality_sum, quality_count, latency_sum_ms, latency_count,
              latency_counts, fallbacks, last_fallback_reason) ON aic.aic_sessions TO aic_system;
GRANT SELECT, INSERT ON aic.aic_metrics TO aic_system;

-- One partition a day. The service's role owns no table, so making and dropping them is lent to it here, as the owner,
-- for exactly that: both names are built from dates.
CREATE FUNCTION aic.ensure_metric_partitions(first_day date, days integer) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = aic, pg_temp
    AS $$
DECLARE
    made integer := 0;
    day date;
    name text;
BEGIN
    IF days NOT BETWEEN 1 AND 60 OR first_day NOT BETWEEN current_date - 60 AND current_date + 60 THEN
        RAISE EXCEPTION 'partitions within 60 days of today only';
    END IF;
    -- Two replicas may do this at the same time.
    PERFORM pg_advisory_xact_lock(hashtext('aic.ensure_metric_partitions'));
    FOR day IN SELECT generate_series(first_day, first_day + days - 1, interval '1 day')::date LOOP
        name := 'aic_metrics_' || to_char(day, 'YYYYMMDD');
        CONTINUE WHEN to_regclass('aic.' || name) IS NOT NULL;
        -- Rows that came before their partition would forbid it: they move.
        EXECUTE format('CREATE TABLE aic.%I (LIKE aic.aic_metrics INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', name);
        EXECUTE format('ALTER TABLE aic.%I ENABLE ROW LEVEL SECURITY', name);
        -- Not forced yet: the owner moves rows that no policy lets it see.
        ALTER TABLE aic.aic_metrics_rest NO FORCE ROW LEVEL SECURITY;
        EXECUTE format(
            'WITH moved AS (DELETE FROM aic.aic_metrics_rest
                            WHERE "timestamp" >= %L::timestamptz AND "timestamp" < %L::timestamptz RETURNING *)
             INSERT INTO aic.%I SELECT * FROM moved',
            day::text || ' 00:00:00+00', (day + 1)::text || ' 00:00:00+00', name);
        ALTER TABLE aic.aic_metrics_rest FORCE ROW LEVEL SECURITY;
        EXECUTE format('ALTER TABLE aic.%I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE aic.aic_metrics ATTACH PARTITION aic.%I FOR VALUES FROM (%L) TO (%L)',
            name, day::text || ' 00:00:00+00', (day + 1)::text || ' 00:00:00+00');
        made := made + 1;
    END LOOP;
    RETURN made;
END
$$;

CREATE FUNCTION aic.drop_metric_partitions(before_day date) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = aic, pg_temp
    AS $$
DECLARE
    dropped integer := 0;
    name text;
BEGIN
    IF before_day > current_date THEN
        RAISE EXCEPTION 'only the past may be dropped';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('aic.ensure_metric_partitions'));
    FOR name IN
        SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'aic.aic_metrics'::regclass AND c.relname ~ '^aic_metrics_[0-9]{8}$'
          AND to_date(right(c.relname, 8), 'YYYYMMDD') < before_day
    LOOP
        EXECUTE format('DROP TABLE aic.%I', name);
        dropped := dropped + 1;
    END LOOP;
    RETURN dropped;
END
$$;

REVOKE ALL ON FUNCTION aic.ensure_metric_partitions(date, integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION aic.drop_metric_partitions(date) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION aic.ensure_metric_partitions(date, integer) TO aic_system;
GRANT EXECUTE ON FUNCTION aic.drop_metric_partitions(date) TO aic_system;

SELECT aic.ensure_metric_partitions(current_date - 1, 10);
