#!/bin/sh
# SPDX-License-Identifier: MIT
# completion_test.sh SUTURE - what bash completes, without a terminal: lines up to the cursor, and the words that are offered.
set -u
suture=$1
command -v bash >/dev/null || { echo 'no bash'; exit 77; }
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
bad=0

"$suture" completion bash >"$dir/script" || exit 1
mkdir "$dir/files" "$dir/files/some-dir"
: >"$dir/files/some.pcap"
cat >"$dir/ask" <<'END'
. "$1/script"
cd "$1/files"
COMP_LINE=$2 COMP_POINT=${#2}
_suture
printf '%s\n' "${COMPREPLY[@]}" | sort
END

# offers LINE WORDS...: exactly these
offers() {
	line=$1
	shift
	bash --norc --noprofile "$dir/ask" "$dir" "$line" >"$dir/out" 2>"$dir/err"
	printf '%s\n' "$@" | sort >"$dir/wanted"
	if [ -s "$dir/err" ] || ! cmp -s "$dir/wanted" "$dir/out"; then
		echo "not ok: '$line' offers $(tr '\n' ' ' <"$dir/out"), not $*"
		cat "$dir/err"
		bad=1
	fi
}

# offers_also LINE WORD: among others
offers_also() {
	bash --norc --noprofile "$dir/ask" "$dir" "$1" >"$dir/out" 2>"$dir/err"
	if [ -s "$dir/err" ] || ! grep -qxF -e "$2" "$dir/out"; then
		echo "not ok: '$1' does not offer $2 but $(tr '\n' ' ' <"$dir/out")"
		cat "$dir/err"
		bad=1
	fi
}

offers 'suture acc' accel
offers 'suture accel ' near doctor
offers 'suture accel n' near
offers 'suture help acc' accel
offers_also 'suture ' replay
offers_also 'suture ' --version
offers 'suture nope ' ''
offers 'suture accel near --mo' --mode
offers 'suture accel near --mode ' auto bypass verify hold merge
offers 'suture accel near --mode h' hold
offers 'suture accel near --mode=h' hold
offers 'suture accel near --mode hold --first-contact ' promise verify
offers 'suture accel near --max-flows ' ''
offers 'suture accel near ' ''
offers_also 'suture accel near -' --client
offers_also 'suture accel near -' --help
offers 'suture accel near --client pc' pcap:
offers 'suture accel near --client pcap:some.' some.pcap
offers_also 'suture accel near --client if:' lo
offers_also 'suture wire ' lo
offers 'suture accel near --config so' some-dir some.pcap
offers 'suture accel near --config=some.' some.pcap
offers 'suture explain so' some-dir some.pcap
offers_also 'suture replay --role ' accel-near
offers 'suture replay --role=replica-m' replica-mirror
offers 'suture replay --role accel-near --merge-h' --merge-hold
offers 'suture completion ' bash
offers 'suture completion b' bash
"$suture" completion zsh >"$dir/out" 2>"$dir/err"
[ $? -eq 2 ] && grep -q "'zsh' is not a shell that is known" "$dir/err" || { echo 'not ok: zsh'; bad=1; }

# each command, and each of its options, is in the script
"$suture" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z][a-z ]*[a-z]\)   *.*/\1/p' >"$dir/commands"
while read -r cmd; do
	# The words of a command are separate arguments.
	# shellcheck disable=SC2086
	for option in $("$suture" $cmd --help | sed -n 's/^ *\(-., \)*\(--[a-z-]*\).*/\2/p'); do
		"$suture" $cmd --list-options 2>/dev/null | grep -q -e "^$option\( \|\$\)" ||
			{ echo "not ok: $cmd does not list $option"; bad=1; }
	done
done <"$dir/commands"
[ "$(wc -l <"$dir/commands")" -gt 5 ] || { echo 'not ok: no commands'; bad=1; }

[ $bad -eq 0 ] && echo 'ok'
exit $bad
