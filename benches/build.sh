#!/usr/bin/env bash
# What it takes to build an application with twenty wrappers, ours and axum's with tower-http: `build.sh [rounds]`, three
# by default. Seconds and seconds of CPU (of all cores), medians: from nothing, and after a line of the application
# changed; with cargo's own profiles. The sources are in building/; they are built in a folder that goes away.
set -euo pipefail
rounds=${1:-3}
here=$(realpath "$(dirname "$0")")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset CARGO_TARGET_DIR
TIMEFORMAT='%R %U %S'

project() {
    mkdir -p "$work/$1/src"
    cp "$here/building/$1.rs" "$work/$1/src/main.rs"
    cp "$here/peers/Cargo.lock" "$work/$1/"
    printf '[package]\nname = "%s"\nversion = "0.0.0"\nedition = "2024"\n[workspace]\n[dependencies]\n%s\n' "$@" \
        >"$work/$1/Cargo.toml"
    (cd "$work/$1" && cargo fetch --quiet)
}
project ours "enfilade = { path = '$here/..', default-features = false, features = ['server'] }
http = '1.5'
tokio = { version = '1', features = ['macros', 'rt'] }"
project axum "axum = { version = '0.8', default-features = false, features = ['http1', 'tokio'] }
tokio = { version = '1', features = ['macros', 'net', 'rt'] }
tower-http = { version = '0.6', features = ['catch-panic', 'compression-gzip', 'cors', 'limit', 'propagate-header', 'request-id', 'set-header', 'timeout', 'trace'] }"

# Builds once and adds the seconds, and those of CPU, to the file of that name.
build() {
    local name=$1 taken
    shift
    taken=$({ time cargo build --quiet --offline "$@" >&3 2>&4; } 3>&1 4>&2 2>&1)
    awk '{ print $1, $2 + $3 }' <<<"$taken" >>"$work/$name"
}
for ((round = 0; round < rounds; round++)); do
    for project in ours axum; do
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

median() { cut -d ' ' -f "$2" "$work/$1" | sort -n | sed -n "$(((rounds + 1) / 2))p"; }
ratio() { awk -v one="$1" -v other="$2" 'BEGIN { printf "%.2f", one / other }'; }
echo '| | ours, s | axum, s | ours/axum | ours, s of CPU | axum, s of CPU | ours/axum |'
echo '|---|---|---|---|---|---|---|'
for profile in debug release; do
    for kind in clean changed; do
        line="| $profile, $kind |"
        for field in 1 2; do
            ours=$(median "ours-$profile-$kind" $field)
            axum=$(median "axum-$profile-$kind" $field)
            line+=" $ours | $axum | $(ratio "$ours" "$axum") |"
        done
        echo "$line"
    done
done
printf '\n| | ours | axum | ours/axum |\n|---|---|---|---|\n'
for profile in debug release; do
    ours=$(cat "$work/ours-$profile-size")
    axum=$(cat "$work/axum-$profile-size")
    echo "| $profile, bytes | $ours | $axum | $(ratio "$ours" "$axum") |"
done
