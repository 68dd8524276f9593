#!/usr/bin/env bash
# Instructions of one answer under callgrind: `instructions.sh program [argument...]`, a program that takes CALLS.
# The difference of two runs leaves out what the start of the program takes.
set -euo pipefail
count() {
    CALLS=$1 valgrind --tool=callgrind --callgrind-out-file=/dev/null "${@:2}" 2>&1 | sed -n 's/.*Collected : //p'
}
few=$(count 1000 "$@")
many=$(count 3000 "$@")
echo $(((many - few) / 2000))
