#!/usr/bin/env bash
# Every test there is, in one go: goes on after a failure, ends with `N passed, N failed`.
# `make test` calls this after installing what it needs; the whole is `.ci/run`.
set -uo pipefail
cd "$(dirname "$0")/.."

passed=0 failed=0
failures=()
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# step NAME COMMAND…: one thing that passes or fails as a whole.
step() {
  local name=$1 start=$SECONDS
  shift
  printf '\n== %s\n+ %s\n' "$name" "$*"
  if "$@"; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    failures+=("$name")
  fi
  printf '== %s: %d s\n' "$name" $((SECONDS - start))
}

# counted NAME PATTERN COMMAND…: a test runner. PATTERN is a sed expression that turns its summary lines into
# `PASSED FAILED`; a runner that fails without counting anything counts as one failure.
counted() {
  local name=$1 pattern=$2 start=$SECONDS status=0 ok bad
  shift 2
  printf '\n== %s\n+ %s\n' "$name" "$*"
  "$@" 2>&1 | tee "$log"
  status=${PIPESTATUS[0]}
  read -r ok bad < <(sed -e 's/\x1b\[[0-9;]*m//g' "$log" | sed -nE "$pattern" | awk '{ p += $1; f += $2 } END { print p + 0, f + 0 }')
  if ((status != 0 && bad == 0)); then bad=1; fi
  passed=$((passed + ok)) failed=$((failed + bad))
  if ((bad)); then
    failures+=("$name")
    sed -nE 's/^    ([a-z_][A-Za-z0-9_:]*)$/  \1/p' "$log" | sort -u
  fi
  printf '== %s: %d passed, %d failed, %d s\n' "$name" "$ok" "$bad" $((SECONDS - start))
}

step 'web: build' make --no-print-directory web
counted 'web: unit tests' 's/^ +Tests +(([0-9]+) failed \| )?([0-9]+) passed.*/\3 \2/p' npm --prefix crates/dashboard/web test
# No data needed: it learns from sound of its own, resumes, exports, and streams what it exported.
step 'codec: training in small' env -C crates/aic-codec/training "${AIC_VENV:?}/bin/python" -m aic smoke
step 'format' cargo fmt --all --check
# One build for the tests and for the services they start: the same features, so nothing is compiled twice.
step 'build' cargo build --workspace --all-targets
step 'lints' cargo clippy --workspace --all-targets -- -D warnings
# The workspace's build switches every feature on that somebody asks for: whoever takes a library alone gets fewer.
step 'libraries alone' cargo clippy -p aura-room -p aic-codec -- -D warnings
counted 'cargo test' 's/^test result: [a-zA-Z]+\. ([0-9]+) passed; ([0-9]+) failed.*/\1 \2/p' \
  cargo test --workspace --no-fail-fast

printf '\n'
if ((failed)); then printf 'failed: %s\n' "${failures[@]}"; fi
printf '%d passed, %d failed\n' "$passed" "$failed"
((failed == 0))
