//! The process shell of every service: config, telemetry, health, lifecycle, auth, resilience, mTLS.
