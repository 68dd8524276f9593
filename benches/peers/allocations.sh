#!/usr/bin/env bash
# Allocations of one answer: `allocations.sh program [argument...]`, a program that takes CALLS.
# Counted from outside, so that counting is not among the instructions of the same program; the difference of two runs
# leaves out what its start takes. FEW is the calls of the first run, the second makes three times as many.
set -euo pipefail
few=${FEW:-1000}
count() {
    CALLS=$1 valgrind --tool=dhat --dhat-out-file=/dev/null "${@:2}" 2>&1 |
        sed -n 's/.*Total: .* bytes in \([0-9,]*\) blocks/\1/p' | tr -d ,
}
first=$(count "$few" "$@")
second=$(count $((few * 3)) "$@")
# A worker's queue now and then takes a block of its own: to the nearest whole.
echo $(((second - first + few) / (2 * few)))
