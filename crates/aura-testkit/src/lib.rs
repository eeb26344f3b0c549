//! Test support: throw-away Postgres and Redis, tokens, builders.
