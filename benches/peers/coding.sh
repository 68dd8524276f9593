#!/usr/bin/env bash
# Builds the programs for compression, each separately, and runs them.
set -euo pipefail
cd "$(dirname "$0")"
build() { cargo build --release --quiet --package "$@"; }
build coding-ours --features libdeflate
cp target/release/coding-ours target/release/coding-libdeflate
for package in coding coding-ours coding-tower coding-actix; do
    build "$package"
done
exec target/release/coding
