#!/usr/bin/env bash
# Builds the programs with loggers, each separately, and runs them. Instructions need valgrind.
set -euo pipefail
cd "$(dirname "$0")"
for package in logging log-ours log-axum log-actix; do
    cargo build --release --quiet --package "$package"
done
exec "${CARGO_TARGET_DIR:-target}/release/logging"
