#!/bin/sh
# SPDX-License-Identifier: MIT
# The peer's digest agrees with coreutils' at every length round the block's edges.
set -eu
for n in 0 1 55 56 57 63 64 65 119 120 127 128 129 65535 65536 65537 200000; do
	want=$(head -c $n /dev/zero | tr '\0' "$(printf '\\%03o' $((n % 200 + 33)))" | sha256sum | cut -d ' ' -f 1)
	got=$(head -c $n /dev/zero | tr '\0' "$(printf '\\%03o' $((n % 200 + 33)))" | "$1" sha)
	[ "$got" = "$want" ] || { echo "not ok $n bytes # $got instead of $want"; exit 1; }
done
