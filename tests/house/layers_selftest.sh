#!/bin/sh
# SPDX-License-Identifier: MIT
# Breaks a small copy of the house in every way that tools/layers.sh must notice, one at a time, and expects red each time.
# Prints "ok NAME" for each break that was noticed.
set -u
top=$(cd "$(dirname "$0")/../.." && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' HUP INT TERM
failed=0

# A house of one file a layer, all in order; sources in $dir/src, libraries in $dir/build/src.
build_house() {
	rm -rf "$dir/src" "$dir/build"
	for folder in base proto core role/accel role/wire port app cli; do
		mkdir -p "$dir/src/$folder" "$dir/build/src/$folder"
	done
	lower=
	for folder in base proto core role/accel; do
		name=${folder##*/}
		{
			echo "#include <stdint.h>"
			echo "uint32_t ${name}_number(uint32_t n);"
		} >"$dir/src/$folder/$name.h"
		{
			echo "#include \"$folder/$name.h\""
			[ -z "$lower" ] || echo "#include \"$lower/${lower##*/}.h\""
			echo "#include <string.h>"
			echo "static const char *const names[] = { \"a\", \"b\" };"
			echo "uint32_t ${name}_number(uint32_t n)"
			echo "{"
			[ -z "$lower" ] || echo "	n += ${lower##*/}_number(n);"
			echo "	return n + (uint32_t)strlen(names[n & 1]);"
			echo "}"
		} >"$dir/src/$folder/$name.c"
		lower=$folder
	done
	echo '#include <stdint.h>' >"$dir/src/role/role.h"
	echo '#include <stdint.h>' >"$dir/src/role/wire/wire.h"
	echo '#include <stdint.h>' >"$dir/src/port/port.h"
}

compile_house() {
	for folder in base proto core role/accel; do
		name=${folder##*/}
		gcc -std=c17 -fPIC -I"$dir/src" -c "$dir/src/$folder/$name.c" -o "$dir/build/$name.o" 2>"$dir/err" ||
			{ cat "$dir/err"; return 1; }
		rm -f "$dir/build/src/$folder/lib$name.a"
		ar cr "$dir/build/src/$folder/lib$name.a" "$dir/build/$name.o"
	done
}

# expect COLOUR NAME: runs all checks; for red, exactly the check NAME stands for must be the one that fails.
expect() {
	compile_house
	RESULTS=/dev/null "$top/tools/layers.sh" "$dir/src" "$dir/build" >"$dir/out" 2>&1
	status=$?
	bad=$(sed -n 's/^not ok layers\/\([a-z]*\).*/\1/p' "$dir/out" | tr '\n' ' ')
	case $1 in
	green) want= ;;
	*) want="$1 " ;;
	esac
	if [ "$bad" = "$want" ] && { [ -z "$want" ] || [ $status != 0 ]; }; then
		echo "ok $2"
	else
		echo "not ok $2 # expected '${want:-nothing}' to fail, but '${bad:-nothing}' did"
		sed 's/^/    /' "$dir/out"
		failed=1
	fi
}

append() {
	echo "$2" >>"$dir/src/$1"
}

build_house
expect green 'a house in order is green'

build_house; append base/base.c '#include "core/core.h"'
expect direction 'base includes core'
build_house; append core/core.c '#include "port/port.h"'
expect direction 'core includes port'
build_house; append role/accel/accel.c '#include "role/wire/wire.h"'
expect direction 'a role includes another role'
build_house; append role/accel/accel.c '#include "role/role.h"'
expect green 'a role includes the interface of roles'
build_house; append port/port.h '#include "core/core.h"'
expect direction 'port includes core'

build_house; append proto/proto.c '#include <time.h>'
expect system 'proto includes a header of the system'
build_house; append core/core.h '#include <stdlib.h>'
expect system 'core sees malloc'

build_house; append base/base.c 'int getpid(void); int base_pid(void); int base_pid(void) { return getpid(); }'
expect symbols 'base calls the system'
build_house; append proto/proto.c 'uint32_t core_number(uint32_t n); uint32_t up(uint32_t n); uint32_t up(uint32_t n) { return core_number(n); }'
expect symbols 'proto calls upward without a header'
build_house; append role/accel/accel.c 'void *malloc(unsigned long n); void *grab(void); void *grab(void) { return malloc(8); }'
expect symbols 'a role allocates'

build_house; append core/core.c 'static uint32_t turns; uint32_t turn(void); uint32_t turn(void) { return ++turns; }'
expect state 'core has a counter of its own (.bss)'
build_house; append base/base.c 'uint32_t base_level = 3;'
expect state 'base has a setting of its own (.data)'

build_house; echo 'uint16_t wire_port(uint16_t p);' >"$dir/src/role/wire/wire.h"
expect alone 'a header leans on the one before it'

exit $failed
