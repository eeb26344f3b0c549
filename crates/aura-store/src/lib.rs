//! Postgres pools, the tenant transaction, migrations and the Redis event bus.
