#!/usr/bin/env bash
# Builds the programs with numbers of wrappers, each separately, and measures them. Writes a table of ../README.md.
# Instructions and allocations need valgrind.
set -euo pipefail
cd "$(dirname "$0")"
command -v valgrind >/dev/null || { echo "valgrind is missing: install the Debian package valgrind" >&2; exit 1; }
for package in layers-ours layers-axum layers-actix stack-run; do
    cargo build --release --quiet --package "$package"
done
exec "${CARGO_TARGET_DIR:-target}/release/stack-run" layers
