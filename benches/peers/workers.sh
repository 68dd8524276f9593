#!/usr/bin/env bash
# Compares two workers on one runtime with a runtime for each: the server's CPU for a request, as a ratio, in interleaved
# rounds. Needs wrk, which runs on the same cores.
set -euo pipefail
cd "$(dirname "$0")"
command -v wrk >/dev/null || { echo "wrk is missing: install the Debian package wrk" >&2; exit 1; }
cargo build --release --quiet --package workers
program=${CARGO_TARGET_DIR:-target}/release/workers
ticks() { sed 's/.*) //' "/proc/$1/stat" | awk '{print $12 + $13}'; }
"$program" shared 127.0.0.1:8701 & shared=$!
"$program" own 127.0.0.1:8702 & own=$!
trap 'kill "$shared" "$own"' EXIT
sleep 1
# Prints the microseconds of CPU for a request, of the server with this process and port.
round() {
    local before after count
    before=$(ticks "$1")
    count=$(wrk -t1 -c64 -d2 "http://127.0.0.1:$2/" | sed -n 's/ *\([0-9]*\) requests in.*/\1/p')
    after=$(ticks "$1")
    awk "BEGIN { print ($after - $before) * 1000000 / $(getconf CLK_TCK) / $count }"
}
for _ in $(seq "${ROUNDS:-9}"); do
    one=$(round "$shared" 8701)
    each=$(round "$own" 8702)
    awk "BEGIN { printf \"%.2f %.2f %.2f\n\", $one, $each, $each / $one }"
done | sort -k3 -n | awk '{ all[NR] = $0 } END {
    print "shared runtime, own runtimes, ratio; the median, the least, the most:"
    print all[int((NR + 1) / 2)]; print all[1]; print all[NR]
}'
