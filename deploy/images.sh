#!/usr/bin/env bash
# Builds the services' images with docker or podman, tagged auralink/<service> and with the commit.
set -euo pipefail
cd "$(dirname "$0")/.."

for tool in docker podman; do
  command -v "$tool" >/dev/null && break
done
command -v "$tool" >/dev/null || { echo 'neither docker nor podman is installed' >&2; exit 1; }

commit=$(git rev-parse --short HEAD)
for service in webrtc-sfu dashboard aic-codec; do
  "$tool" build -f deploy/Dockerfile --target "$service" -t "auralink/$service" -t "auralink/$service:$commit" .
done
