#!/bin/sh
# SPDX-License-Identifier: MIT
# archive.sh OUT FIRST OTHERS ... - makes the archive OUT of all of the archive FIRST and what it needs of the others, as one object in
# which only sut_* can be seen: a program's own names cannot clash with those inside.
set -eu
out=$1 whole=$2
shift 2
trap 'rm -f "$out.o"' EXIT
rm -f "$out"
ld -r -o "$out.o" --whole-archive "$whole" --no-whole-archive --start-group "$@" --end-group
objcopy --wildcard --keep-global-symbol='sut_*' "$out.o"
ar crs "$out" "$out.o"
