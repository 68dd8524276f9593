# Finds programs, or unpacks them from their Debian packages. Sourced by scripts that have set `tools` to a folder.

# The arguments are a program, its package, and the packages that it needs. They are not installed.
need() {
    local program=$1
    command -v "$program" >/dev/null && return
    mkdir -p "$tools"
    (cd "$tools" && apt-get download --quiet --quiet "${@:2}" 2>/dev/null && for file in *.deb; do dpkg-deb --extract "$file" .; done) ||
        { echo "$program is missing: install the Debian package $2" >&2; exit 1; }
    command -v "$program" >/dev/null || { echo "$program is not in the Debian package $2" >&2; exit 1; }
}
PATH=$PATH:$tools/usr/bin:$tools/usr/sbin
export LD_LIBRARY_PATH=${LD_LIBRARY_PATH:-}:$tools/usr/lib/$(uname -m)-linux-gnu
