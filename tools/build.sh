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
ninja -C "$dir" --quiet
