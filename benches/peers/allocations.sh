#!/usr/bin/env bash
# Prints the allocations of one response: `allocations.sh program [argument...]`, with a program that reads CALLS.
# They are counted from outside, so that counting adds no instructions to the program. The difference of two runs leaves out
# the start of the program. FEW is the number of calls of the first run; the second makes three times as many.
set -euo pipefail
few=${FEW:-1000}
count() {
    CALLS=$1 valgrind --tool=dhat --dhat-out-file=/dev/null "${@:2}" 2>&1 |
        sed -n 's/.*Total: .* bytes in \([0-9,]*\) blocks/\1/p' | tr -d ,
}
first=$(count "$few" "$@")
second=$(count $((few * 3)) "$@")
# Rounds to the nearest whole number: a worker's queue allocates a block now and then.
echo $(((second - first + few) / (2 * few)))
