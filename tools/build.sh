#!/bin/sh
# SPDX-License-Identifier: MIT
# build.sh DIR COMPILER [meson options ...] - sets DIR up where it is missing (or half set up), and builds it.
set -eu
dir=$1 cc=$2
shift 2
if [ ! -f "$dir/build.ninja" ]; then
	rm -rf "$dir"
	CC=$cc meson setup "$dir" "$@" >"$dir.setup.log" 2>&1 || { cat "$dir.setup.log" >&2; exit 1; }
	rm -f "$dir.setup.log"
fi
# What meson says when it sets up again is of interest only where it fails.
ninja -C "$dir" --quiet >"$dir/build.out" 2>&1 || { cat "$dir/build.out" >&2; exit 1; }
grep 'warning:' "$dir/build.out" >&2 || :
