#!/usr/bin/env bash
# Builds the stacks that can be called in process, each separately, and measures them. Writes a table of ../README.md.
# Instructions and allocations need valgrind.
set -euo pipefail
cd "$(dirname "$0")"
command -v valgrind >/dev/null || { echo "valgrind is missing: install the Debian package valgrind" >&2; exit 1; }
for stack in ours axum actix run; do
    cargo build --release --quiet --package "stack-$stack"
done
exec "${CARGO_TARGET_DIR:-target}/release/stack-run" calls
