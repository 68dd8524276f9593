#!/usr/bin/env bash
# Downloads a file of 100 MiB and one of 100 KiB many times, from our server in several ways, and from a running nginx if
# NGINX_PORT, NGINX_PID (of its worker) and NGINX_ROOT are set. Prints the server's CPU time for each download, and the rate.
# Our server has the first processor, the client the second.
set -euo pipefail
cd "$(dirname "$0")"
cargo build --release --quiet --package files
program=${CARGO_TARGET_DIR:-target}/release/files
folder=$(mktemp -d)
servers=()
trap 'kill "${servers[@]}" 2>/dev/null; rm -r "$folder"' EXIT

ticks() { awk '{ print $14 + $15 }' "/proc/$1/stat"; }

# The arguments are the port of a server, its process, the path, the size of the file, and the number of downloads.
load() {
    local before after started ended
    before=$(ticks "$2") started=$(date +%s%N)
    taskset -c 1 curl --silent --fail --output /dev/null "http://127.0.0.1:$1$3?[1-$5]"
    after=$(ticks "$2") ended=$(date +%s%N)
    awk -v c=$((after - before)) -v hz="$(getconf CLK_TCK)" -v t=$((ended - started)) -v n="$5" -v s="$4" \
        'BEGIN { printf "%9.0f us of CPU, %6.0f MB/s", c / hz / n * 1e6, n * s / t * 1e3 }'
}

for kib in 102400 100; do
    times=$((kib > 1000 ? 20 : 5000))
    head -c $((kib * 1024)) /dev/urandom >"$folder/$kib"
    coproc OURS { exec taskset -c 0 "$program" "$folder/$kib"; }
    ours=$OURS_PID
    servers+=("$ours")
    read -r port <&"${OURS[0]}"
    for round in 1 2 3; do
        for path in /file /fresh-256 /fresh-64 /memory; do
            printf '%7s KiB, round %s, %-10s %s\n' "$kib" "$round" "$path" "$(load "$port" "$ours" "$path" $((kib * 1024)) "$times")"
        done
        if [ -n "${NGINX_PORT:-}" ]; then
            # nginx's worker has the root NGINX_ROOT and the process NGINX_PID.
            cp "$folder/$kib" "$NGINX_ROOT/file"
            printf '%7s KiB, round %s, %-10s %s\n' "$kib" "$round" nginx "$(load "$NGINX_PORT" "$NGINX_PID" /file $((kib * 1024)) "$times")"
        fi
    done
    kill "$ours"
    wait "$ours" || true
done
