#!/bin/sh
# SPDX-License-Identifier: MIT
# layers.sh SRC BUILD - keeps the house standing: who may include whom, what the pure core may call, headers that stand alone.
#
#   direction  a file includes only its own folder and those below it (table in allowed())
#   system     base, proto, core, stack and role see ISO C's pure headers only
#   symbols    their libraries call nothing but each other, downward, and the few functions of libc in $libc
#   state      their libraries have no data that changes
#   alone      each header compiles by itself with gcc and with clang
#
# BUILD must be a plain build: sanitizers call much more.  Each check prints what it found, and "ok"/"not ok" for itself.
# CHECKS="direction alone" runs some only.
set -u
src=$1 build=$2
CHECKS=${CHECKS:-direction system symbols state alone}
RESULTS=${RESULTS:-/dev/null}
failed=0

verdict() {
	if [ -z "$2" ]; then
		echo "ok layers/$1" | tee -a "$RESULTS"
	else
		echo "$2"
		echo "not ok layers/$1 # see above" | tee -a "$RESULTS"
		failed=1
	fi
}

# Reads "folder/of/file:line:included/path" and prints those that point upward.
direction() {
	(cd "$src" && grep -rnE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' --include='*.[ch]' .) |
	sed -E 's/^\.\/([^:]*):([0-9]+):[^"]*"([^"]*)".*/\1:\2:\3/' |
	awk -F: '
		function may(list,   n, w, i) {
			n = split(list, w, " ")
			for (i = 1; i <= n; i++)
				below[top, w[i]] = 1
		}
		BEGIN {
			top = "base";  may("base")
			top = "proto"; may("base proto")
			top = "core";  may("base proto core")
			top = "stack"; may("base proto core stack")
			top = "role";  may("base proto core stack")
			top = "lib";   may("base proto core stack lib")
			top = "port";  may("base proto port")
			top = "app";   may("base proto core stack role port app bpf")
			top = "cli";   may("base proto core stack role port app cli")
			top = "bpf";   may("bpf")
		}
		{
			n = split($1, from, "/"); split($3, to, "/")
			good = (from[1], to[1]) in below
			# A role sees the interface of roles and itself, never another role.
			if (from[1] == "role" && to[1] == "role")
				good = $3 == "role/role.h" || (n > 2 && from[2] == to[2])
			if (from[1] == "bpf" && ($3 == "core/seam.h" || $3 == "core/way.h"))
				good = 1
			if (!good)
				print $1 ":" $2 ": includes \"" $3 "\", which is not below it"
		}'
}

system_headers() {
	for folder in base proto core stack role; do
		[ ! -d "$src/$folder" ] || grep -rnE '^[[:space:]]*#[[:space:]]*include[[:space:]]*<' --include='*.[ch]' "$src/$folder"
	done |
	grep -v '/core/way\.h:[0-9]*:#include <linux/types\.h>' |
	grep -v '/base/compiler\.h:[0-9]*:#include <emmintrin\.h>' |
	grep -vE '<(assert|errno|inttypes|limits|stdalign|stdarg|stdbool|stddef|stdint|stdio|string)\.h>' |
	sed 's/$/  <- not a header for the pure core/'
}

# Also: division of 128 bits, which the compiler's own library does.
libc='__u?(div|mod)ti3|memcpy|memmove|memset|memcmp|memchr|strcmp|strlen|snprintf|vsnprintf|__assert_fail|__stack_chk_fail|__[a-z]+_chk|_GLOBAL_OFFSET_TABLE_'

# The libraries of a layer, and of the layers below it.
libs_of() {
	for folder; do
		[ ! -d "$build/src/$folder" ] || find "$build/src/$folder" -name 'lib*.a' | sort
	done
}

symbols_of() {
	lib=$1
	shift
	# shellcheck disable=SC2046
	defined=$(nm -g --defined-only "$lib" $(libs_of "$@") 2>/dev/null | awk 'NF == 3 { print $3 }' | sort -u)
	nm -A -u "$lib" 2>/dev/null |
	awk -v libc="^($libc)\$" -v lib="$lib" -v defined="$defined" '
		BEGIN { n = split(defined, d, "\n"); for (i = 1; i <= n; i++) known[d[i]] = 1 }
		!($NF in known) && $NF !~ libc { split($1, where, ":"); print where[1] ":" where[2] ": calls " $NF }'
}

symbols() {
	[ -n "$(libs_of base)" ] || { echo "$build: no library of base: is this a build directory?"; return; }
	below=
	for folder in base proto core stack; do
		for lib in $(libs_of "$folder"); do
			# shellcheck disable=SC2086
			symbols_of "$lib" $below
		done
		below="$below $folder"
	done
	for lib in $(libs_of role); do
		# shellcheck disable=SC2086
		symbols_of "$lib" $below
	done
}

# .data.rel.ro (tables of pointers) does not change once it is loaded; .data, .bss and their thread-local kin do.
state() {
	for lib in $(libs_of base proto core stack role); do
		objdump -h "$lib" 2>/dev/null | awk -v lib="$lib" '
			/file format/ { split($1, m, ":"); member = m[1] }
			$2 ~ /^\.(t?data|t?bss)(\.|$)/ && $2 !~ /^\.data\.rel\.ro/ && $3 !~ /^0+$/ {
				print lib ": " member ": " $2 " holds data that changes"
			}'
	done
}

alone() {
	find "$src" -name '*.h' | sort | while read -r h; do
		case ${h#"$src"/} in
		lib/* | port/* | app/* | cli/*) flags="-D_GNU_SOURCE -I$src/../include" ;;
		*) flags= ;;
		esac
		for cc in gcc clang; do
			command -v $cc >/dev/null || continue
			# What runs in the kernel is compiled for it, and by clang only.
			case $cc/${h#"$src"/} in
			*/bpf/plane_cfg.h) ;;
			gcc/bpf/*) continue ;;
			clang/bpf/*) flags="-std=gnu17 -target bpf -mcpu=v3 -idirafter /usr/include/$(clang -print-multiarch)" ;;
			esac
			# shellcheck disable=SC2086
			echo "#include \"${h#"$src"/}\"" |
				$cc -std=c17 -Wall -Wextra -fsyntax-only -I"$src" $flags -x c - 2>&1 | sed "s|^|$cc: ${h#"$src"/}: |"
		done
	done
}

for check in $CHECKS; do
	case $check in
	direction) verdict direction "$(direction)" ;;
	system) verdict system "$(system_headers)" ;;
	symbols) verdict symbols "$(symbols)" ;;
	state) verdict state "$(state)" ;;
	alone) verdict alone "$(alone)" ;;
	*) echo "tools/layers.sh: no such check: $check" >&2; exit 2 ;;
	esac
done
exit $failed
