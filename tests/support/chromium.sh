#!/usr/bin/env bash
# A headless Chromium, installed from Debian's packages where it is missing: the page at the first argument, after its
# scripts ran for so many milliseconds (the second argument), as HTML on standard output; with a third argument also a
# picture of it in that file.
set -euo pipefail

if ! command -v chromium >/dev/null; then
    run() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }
    run apt-get install --yes --no-install-recommends chromium >&2 ||
        { run apt-get update >&2 && run apt-get install --yes --no-install-recommends chromium >&2; }
fi

# A folder of its own, so that no other Chromium answers in its place.
profile=$(mktemp -d)
trap 'rm -rf "$profile"' EXIT
browse() {
    # As root, in a container, there is no sandbox; it only ever sees pages of the tests.
    timeout 60 chromium --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --user-data-dir="$profile" \
        --no-first-run --window-size=1400,700 "$@"
}
if [ $# -gt 2 ]; then
    browse --virtual-time-budget="$2" --screenshot="$3" "$1" >&2
fi
browse --virtual-time-budget="$2" --dump-dom "$1"
