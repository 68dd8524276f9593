#!/usr/bin/env bash
# Measures entity tags, conditions and ranges: instructions of calls, nanoseconds of hashes, and the server's CPU time for a page of
# 30 KiB as a 200 and as a 304. The server has the first processor, the client the second.
set -euo pipefail
cd "$(dirname "$0")"
cargo build --release --quiet --package conditional
program=${CARGO_TARGET_DIR:-target}/release/conditional

for kind in bare conditional bare-asked conditional-asked; do
    printf '%-20s %8s instructions\n' "$kind" "$(./instructions.sh "$program" "$kind" 0)"
done
for length in 1000000 1000000000; do
    printf 'part of %-12s %8s instructions, ' "$length" "$(FEW=200 ./instructions.sh "$program" part "$length")"
    printf '%s ns\n' "$(for _ in 1 2 3 4 5; do "$program" part "$length"; done | sort -n | sed -n 3p)"
done
for round in 1 2 3; do
    for kind in untagged weak strong; do
        printf 'round %s, %-10s of 30 KiB %8s ns\n' "$round" "$kind" "$("$program" "$kind" 30720)"
    done
done

for kind in page rendered gzip; do
    for status in 200 304; do
        printf '%-8s %s of 30 KiB %8s instructions, ' "$kind" "$status" "$(FEW=200 ./instructions.sh "$program" "$kind-$status" 30720)"
        printf '%s ns\n' "$(for _ in 1 2 3 4 5; do "$program" "$kind-$status" 30720; done | sort -n | sed -n 3p)"
    done
done

coproc OURS { exec taskset -c 0 "$program" serve 0; }
ours=$OURS_PID
trap 'kill "$ours"' EXIT
read -r port <&"${OURS[0]}"
tag=$(curl --silent --head "http://127.0.0.1:$port/" | tr -d '\r' | sed -n 's/^etag: //p')
ticks() { awk '{ print $14 + $15 }' "/proc/$ours/stat"; }
load() {
    local before after
    before=$(ticks)
    taskset -c 1 curl --silent --output /dev/null "${@:2}" "http://127.0.0.1:$port/?[1-$1]"
    after=$(ticks)
    awk -v c=$((after - before)) -v hz="$(getconf CLK_TCK)" -v n="$1" 'BEGIN { printf "%6.1f us of CPU", c / hz / n * 1e6 }'
}
for round in 1 2 3; do
    printf 'round %s, 200 %s, 304 %s\n' "$round" "$(load 20000)" "$(load 20000 --header "If-None-Match: $tag")"
done
