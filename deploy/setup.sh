#!/usr/bin/env bash
# Installs what this machine lacks for the purposes given (run, build, test), from deploy/packages.debian.
# Idempotent. As root it installs; as anybody else it prints the one command that would, and fails.
set -euo pipefail
cd "$(dirname "$0")"
purposes=" ${*:-run build} "

has() {
  case $1 in
    python3-venv) compgen -G '/usr/lib/python3.*/ensurepip/__init__.py' >/dev/null ;;
    *) command -v "$1" >/dev/null || compgen -G "/usr/lib/postgresql/*/bin/$1" >/dev/null ;;
  esac
}

missing=()
while read -r purpose program package; do
  [[ -z $purpose || $purpose == \#* || $purposes != *" $purpose "* ]] && continue
  has "$program" || missing+=("$package")
done <packages.debian

if ((${#missing[@]})); then
  mapfile -t missing < <(printf '%s\n' "${missing[@]}" | sort -u)
  install="apt-get update && apt-get install -y --no-install-recommends ${missing[*]}"
  if ((EUID != 0)); then
    printf 'missing: %s\ninstall them with:\n\n  sudo sh -c "%s"\n\n' "${missing[*]}" "$install" >&2
    exit 1
  fi
  command -v apt-get >/dev/null || { echo "no apt-get here; install: ${missing[*]}" >&2; exit 1; }
  echo "+ $install"
  export DEBIAN_FRONTEND=noninteractive
  # A fresh machine is often still updating its own package lists: wait for that lock.
  apt-get -q -o DPkg::Lock::Timeout=300 update
  apt-get -q -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "${missing[@]}"
fi

# at_least PROGRAM WANTED HOW: versions compare as `sort -V` does.
at_least() {
  local found
  found=$("$1" --version 2>/dev/null | grep -oE '[0-9]+\.[0-9]+(\.[0-9]+)?' | head -n 1) || found=
  if [[ -z $found || $(printf '%s\n' "$2" "$found" | sort -V | head -n 1) != "$2" ]]; then
    printf '%s %s or newer is needed (found: %s); %s\n' "$1" "$2" "${found:-none}" "$3" >&2
    exit 1
  fi
}
at_least cargo 1.95 'see https://rustup.rs, or run: rustup update stable'
at_least node 20.19 'see https://nodejs.org'
at_least npm 9.0 'it comes with Node'
