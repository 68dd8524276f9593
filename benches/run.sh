#!/usr/bin/env bash
# Measures the stacks over loopback: builds each separately, checks every response, runs interleaved rounds, and writes the
# tables of README.md and stack.svg. `run.sh --quick` takes two minutes and writes nothing.
set -euo pipefail
[[ $# = 0 || "$*" = --quick ]] || { echo "usage: $0 [--quick]" >&2; exit 2; }
[[ $(nproc) -ge 2 ]] || { echo "two cores are needed: one for the server and one for the load" >&2; exit 1; }
cd "$(dirname "$0")/peers"
target=$(realpath "${CARGO_TARGET_DIR:-target}")
tools=$target/tools

source ../need.sh
need taskset util-linux
need setpriv util-linux
need timeout coreutils
need wrk wrk libluajit-5.1-2
need nginx nginx libpcre2-8-0

build() { cargo build --release --quiet --package "$@"; }
build stack-ours --features libdeflate
cp "$target/release/stack-ours" "$target/release/stack-libdeflate"
for stack in bare ours axum actix salvo poem run; do
    build "stack-$stack"
done
# It sleeps while the load generator works, on the core that is not the server's.
exec taskset --cpu-list 1 "$target/release/stack-run" socket "$@"
