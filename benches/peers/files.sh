#!/usr/bin/env bash
# Compares what serves files: builds each server separately, checks its responses, runs interleaved rounds, and writes the
# tables of ../README.md and ../files.svg. `files.sh --quick` takes two minutes and writes nothing. Needs 1.2 GB below the
# folder of temporary files, and as much memory, so that the files are warm. static-web-server takes part if it is there
# (`cargo install static-web-server`).
set -euo pipefail
[[ $# = 0 || "$*" = --quick ]] || { echo "usage: $0 [--quick]" >&2; exit 2; }
[[ $(nproc) -ge 2 ]] || { echo "two cores are needed: one for the server and one for the load" >&2; exit 1; }
cd "$(dirname "$0")"
target=$(realpath "${CARGO_TARGET_DIR:-target}")
tools=$target/tools
source ../need.sh
need taskset util-linux
need setpriv util-linux
need timeout coreutils
need wrk wrk libluajit-5.1-2
need nginx nginx libpcre2-8-0
need caddy caddy

for package in files-ours files-axum files-actix files-salvo stack-run; do
    cargo build --release --quiet --package "$package"
done
exec taskset --cpu-list 1 "$target/release/stack-run" files "$@"
