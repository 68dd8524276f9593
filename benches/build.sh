#!/usr/bin/env bash
# Measures the builds of three programs with Enfilade, and with axum and tower-http: `build.sh [rounds]`, three by default.
# The programs are the router and the server, the stack of the README, and a stack of twenty wrappers. Prints crates, seconds of
# CPU (of all cores) of a clean build and after a line of the program changed, as medians, with cargo's own profiles, and the
# size of the release binary. The sources are in building/; they are built in a temporary folder.
set -euo pipefail
rounds=${1:-3}
here=$(realpath "$(dirname "$0")")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset CARGO_TARGET_DIR CARGO_INCREMENTAL
TIMEFORMAT='%R %U %S'

# The arguments are a name and the dependencies.
project() {
    mkdir -p "$work/$1/src"
    cp "$here/building/$1.rs" "$work/$1/src/main.rs"
    cp "$here/peers/Cargo.lock" "$work/$1/"
    printf '[package]\nname = "%s"\nversion = "0.0.0"\nedition = "2024"\n[workspace]\n[dependencies]\n%s\n' "$@" \
        >"$work/$1/Cargo.toml"
    # As from a registry: cargo builds a dependency with a path incrementally.
    printf '[profile.dev.package."*"]\nincremental = false\n' >>"$work/$1/Cargo.toml"
    (cd "$work/$1" && cargo fetch --quiet && cargo tree --edges normal,build --prefix none --no-dedupe) |
        awk '{ print $1, $2 }' | sort -u | tail -n +2 | wc -l >"$work/$1-crates"
}
tower_http() {
    echo "tower-http = { version = '0.6', default-features = false, features = [$1] }"
}
axum="axum = { version = '0.8', default-features = false, features = ['http1', 'tokio'] }
tokio = { version = '1', features = ['macros', 'net', 'rt'] }"
http="http = '1.5'"
project least-ours "enfilade = { path = '$here/..', default-features = false, features = ['server'] }"
project least-axum "$axum"
project stack-ours "enfilade = { path = '$here/..' }
$http"
project stack-axum "$axum
$(tower_http "'compression-gzip', 'set-header', 'trace'")"
project twenty-ours "enfilade = { path = '$here/..' }
$http"
project twenty-axum "$axum
$(tower_http "'catch-panic', 'compression-gzip', 'cors', 'limit', 'propagate-header', 'request-id', 'set-header', 'timeout', 'trace'")"

# Builds once and adds the seconds, and the seconds of CPU, to the file of that name.
build() {
    local name=$1 taken
    shift
    taken=$({ time cargo build --quiet --offline "$@" >&3 2>&4; } 3>&1 4>&2 2>&1)
    awk '{ print $1, $2 + $3 }' <<<"$taken" >>"$work/$name"
}
for ((round = 0; round < rounds; round++)); do
    for program in least stack twenty; do
        for project in $program-ours $program-axum; do
            for profile in debug release; do
                options=()
                [[ $profile = debug ]] || options=(--release)
                cd "$work/$project"
                rm -rf target
                build "$project-$profile-clean" "${options[@]}"
                sed -i "s/Hello, [a-z0-9]*!/Hello, $profile$round!/" src/main.rs
                build "$project-$profile-changed" "${options[@]}"
                stat --format=%s "target/$profile/$project" >"$work/$project-$profile-size"
            done
        done
    done
done

median() { cut -d ' ' -f 2 "$work/$1" | sort -n | sed -n "$(((rounds + 1) / 2))p"; }
row() { awk -v what="$1" -v ours="$2" -v axum="$3" 'BEGIN { printf "| %s | %s | %s | %.2f |\n", what, ours, axum, ours / axum }'; }
for program in least stack twenty; do
    printf '\n| %s | ours | axum | ours/axum |\n|---|---|---|---|\n' "$program"
    row crates "$(cat "$work/$program-ours-crates")" "$(cat "$work/$program-axum-crates")"
    for profile in debug release; do
        for kind in clean changed; do
            row "$profile, $kind, s of CPU" "$(median "$program-ours-$profile-$kind")" "$(median "$program-axum-$profile-$kind")"
        done
    done
    row 'release, bytes' "$(cat "$work/$program-ours-release-size")" "$(cat "$work/$program-axum-release-size")"
done
