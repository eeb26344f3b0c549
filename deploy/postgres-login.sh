#!/bin/bash
# Runs once, when the database is created: the role the services log in with. It owns nothing and is no superuser, so
# that row-level security binds it; `auralink migrate` makes it a member of the services' roles.
set -euo pipefail
psql -v ON_ERROR_STOP=1 -v password="$DATABASE_PASSWORD" -U postgres -d auralink <<'SQL'
CREATE ROLE auralink LOGIN PASSWORD :'password';
SQL
