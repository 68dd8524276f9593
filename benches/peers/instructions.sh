#!/usr/bin/env bash
# Prints the instructions of one response under callgrind: `instructions.sh program [argument...]`, with a program that reads
# CALLS. The difference of two runs leaves out the start of the program. FEW is the number of calls of the first run; the
# second makes three times as many.
set -euo pipefail
few=${FEW:-1000}
count() {
    CALLS=$1 valgrind --tool=callgrind --callgrind-out-file=/dev/null "${@:2}" 2>&1 | sed -n 's/.*Collected : //p'
}
first=$(count "$few" "$@")
second=$(count $((few * 3)) "$@")
echo $(((second - first) / (2 * few)))
