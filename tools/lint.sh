#!/bin/sh
# SPDX-License-Identifier: MIT
# lint.sh BUILD - all that a reader would complain about.  BUILD has the compile_commands.json of a plain build.
#
# Each check prints what it found, and "ok"/"not ok" for itself.  CHECKS="tidy format" runs some only.
set -u
build=$1
CHECKS=${CHECKS:-tidy cppcheck format man shell licence names size anchors}
RESULTS=${RESULTS:-/dev/null}
failed=0

# Tracked and new files, without those that are ignored.
files() {
	git ls-files -co --exclude-standard -- "$@" | while read -r f; do
		[ ! -f "$f" ] || echo "$f"
	done
}

verdict() {
	if [ -z "$2" ]; then
		echo "ok lint/$1" | tee -a "$RESULTS"
	else
		printf '%s\n' "$2" | head -n "${LINT_LINES:-60}"
		echo "not ok lint/$1 # see above" | tee -a "$RESULTS"
		failed=1
	fi
}

tidy() {
	files 'src/*.c' | grep -v '\.bpf\.c$' | while read -r f; do
		! grep -q "\"[^\"]*/$f\"\|\"\.\./$f\"" "$build/compile_commands.json" || echo "$f"
	done | xargs -P "$(nproc)" -n 4 clang-tidy -p "$build" --quiet 2>/dev/null | grep -E 'warning:|error:' | sort -u
}

# Left out everywhere: arrayIndexThenCheck (tables that end with an empty entry), autoVariables (a context on the stack of the
# one who runs the engine).  In tests: leaks before abort(), counters in asserts (tests are never built without them), and
# two checks that do not see through cmocka's and assert's macros.
cpp_check() {
	set -- --quiet --std=c11 --language=c -j "$(nproc)" --inline-suppr -Isrc -DSUT_VERSION='"0"' \
		--enable=warning,performance,portability --suppress=missingIncludeSystem \
		--suppress=arrayIndexThenCheck --suppress=autoVariables --template='{file}:{line}: {id}: {message}'
	files 'src/*.c' | grep -v '\.bpf\.c$' | xargs cppcheck "$@" 2>&1
	files 'tests/*.c' 'bench/*.c' | xargs cppcheck "$@" --suppress=memleak --suppress=memleakOnRealloc \
		--suppress=assignmentInAssert --suppress=uninitvar --suppress=returnDanglingLifetime 2>&1
}

format() {
	files '*.c' '*.h' | xargs clang-format --dry-run -Werror 2>&1 | grep 'error:' |
	awk -F: '{ n[$1]++; if (!($1 in line)) line[$1] = $2 }
		END { for (f in n) print f ":" line[f] ": not as clang-format has it, in " n[f] " places (make fmt)" }' | sort
}

man() {
	files 'doc/man/*.[1-9]' | while read -r f; do
		# Our own pages refer to each other before they are installed: mandoc would look for those on this machine.
		mandoc -T lint -W warning "$f" 2>&1 | grep -v 'referenced manual not found'
	done
}

# Each shell script parses; with shellcheck where the machine has it.
shell() {
	files '*.sh' .ci/run | while read -r f; do
		sh -n "$f" 2>&1
		! command -v shellcheck >/dev/null || shellcheck -S warning -x -f gcc "$f"
	done
}

# Packet scripts and documents open with what they are about.
licence() {
	files | grep -vE '\.(md|pkt|inc|pcap|pcapng|svg|png)$|^LICENSE$|^\.(gitignore|editorconfig|clang-format)$|/(corpus|seeds?|figures|golden)/|/\.gitignore$' |
	while read -r f; do
		head -n 3 "$f" | grep -q 'SPDX-License-Identifier: ' || echo "$f: no SPDX line among its first three"
	done
}

# Hosts that may be named are those of documentation; paths of one machine may not be named at all.
names() {
	host='https?://|(^|[^A-Za-z0-9_.>/-])[a-z0-9-]+(\.[a-z0-9-]+)*\.(org|com|io)([^a-z0-9_(=;.-]|$)'
	files | grep -vE '\.pcap$|^tools/lint\.sh$' | xargs grep -nHIE "$host" 2>/dev/null |
	sed -E 's/([a-z0-9-]+\.)*(example\.(org|com|net)|rfc-editor\.org|w3\.org\/2000\/svg)/DOC/g
		s#https?://(DOC|\[?[$%]|192\.0\.2\.|198\.51\.100\.|203\.0\.113\.|\[2001:db8|127\.0\.0\.1|localhost)#DOC#g' |
	grep -E "^[^:]*:[0-9]+:(.*[^A-Za-z0-9_.>/-]|)($host)" |
	sed 's/$/  <- names a host outside of documentation/'
	files | grep -v '^tools/lint\.sh$' | xargs grep -nIE '(^|[^A-Za-z0-9_.])/(work|root|home)/[a-z]|\.\./shared' 2>/dev/null |
	sed 's/$/  <- a path of one machine/'
}

# A function past 60 lines or a file past 800 wants a reason: "long:" in the comment above it, or on the file's top.
size() {
	files 'src/*.c' | while read -r f; do
		n=$(wc -l <"$f")
		[ "$n" -le 800 ] || head -n 40 "$f" | grep -q 'long:' || echo "$f: $n lines"
		awk -v f="$f" '
			/^\{/ { start = NR }
			/long:/ { reason = NR }
			/^\}/ && start { if (NR - start > 61 && !(reason && start - reason < 15)) print f ":" start ": function of " NR - start - 1 " lines"; start = 0 }' "$f"
	done
}

# Each mutant still changes one line of its file, or nobody sees whether its test would notice.
anchors() {
	grep -v '^#' tests/mutants/list | grep . | while read -r name _ file expression; do
		n=$(sed "$expression" "$file" 2>&1 | diff "$file" - | grep -c '^[<>]')
		[ "$n" = 2 ] || echo "tests/mutants/list: $name changes no single line of $file"
	done
}

for check in $CHECKS; do
	case $check in
	tidy) verdict tidy "$(tidy)" ;;
	cppcheck) verdict cppcheck "$(cpp_check)" ;;
	format) verdict format "$(format)" ;;
	man) verdict man "$(man)" ;;
	shell) verdict shell "$(shell)" ;;
	licence) verdict licence "$(licence)" ;;
	names) verdict names "$(names)" ;;
	size) verdict size "$(size)" ;;
	anchors) verdict anchors "$(anchors)" ;;
	*) echo "tools/lint.sh: no such check: $check" >&2; exit 2 ;;
	esac
done
exit $failed
