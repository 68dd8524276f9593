#!/usr/bin/env bash
# Builds the loggers that are compared, each by itself, and runs them; instructions need valgrind.
set -euo pipefail
cd "$(dirname "$0")"
for package in logging log-ours log-axum log-actix; do
    cargo build --release --quiet --package "$package"
done
exec "${CARGO_TARGET_DIR:-target}/release/logging"
