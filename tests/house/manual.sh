#!/bin/sh
# SPDX-License-Identifier: MIT
# manual.sh SUTURE TOP - the manual pages in TOP/doc/man say what the program SUTURE says, no less and no more.
#
#   options    each option that "suture CMD --help" prints is in CMD's page with the same value, and the reverse
#   defaults   the page names the default that --help names
#   counters   the rows of COUNTERS, REASONS and OUTPUT are the lists in the sources, word for word
#   commands   each command that "suture --help" prints has its page and its row in suture.1
#
# Prints "ok NAME" or "not ok NAME # why" for each page and list.
set -u
suture=$1 top=$2
man=$top/doc/man
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' HUP INT TERM
failed=0

# verdict NAME DIFFERENCES: well if there are none.
verdict() {
	if [ -z "$2" ]; then
		echo "ok $1"
	else
		printf '%s\n' "$2"
		echo "not ok $1 # see above"
		failed=1
	fi
}

# differences WANTED FOUND WANTED-NAME FOUND-NAME: lines that only one of two files has.
differences() {
	sort -u "$1" >"$dir/wanted"
	sort -u "$2" >"$dir/found"
	comm -23 "$dir/wanted" "$dir/found" | sed "s|^|only in $3: |"
	comm -13 "$dir/wanted" "$dir/found" | sed "s|^|only in $4: |"
}

# The options of a help text, one a line: "-v", "--verbose", "--mode MODE".
help_options() {
	sed -n 's/^ *\(-[^-], \)*\(--[a-z][^ ]*\( [^ ]*\)*\).*$/\1\2/p' "$1" | sed 's/  .*//; s/, /\
/'
}

# "--mode auto" for each option with a default.
# An option that is too long for its column has its text in the next line.
help_defaults() {
	sed "/^ *\(-[^-], \)*--[a-z-]*\( [^ ][^ ]*\)*\$/{N;s/\n/ /;}" "$1" |
		sed -n 's/^ *\(-[^-], \)*\(--[a-z][a-z-]*\).* \[\([^] ]*\)\]$/\2 \3/p'
}

# What a page says of options, in the same form: from lines ".It Fl v , Fl -verbose" and ".It Fl -mode Ar MODE".
page_options() {
	awk '
		/^\.It Fl / {
			out = ""
			for (i = 2; i <= NF; i++) {
				if ($i == "Fl") {
					if (out != "") print out
					out = "-" $++i
				} else if ($i == "Ar") {
					out = out " " $++i
				} else if ($i != ",") {
					out = out " " $i
				}
			}
			print out
		}' "$1"
}

page_defaults() {
	awk '
		/^\./ && !/^\.(It|Cm|Ar|Fl|Ql|Pq|Em) / { name = "" }
		/^\.It / { name = "" }
		/^\.It Fl / { for (i = 2; i <= NF; i++) if ($i == "Fl" && $(i + 1) ~ /^-/) name = "-" $(i + 1) }
		/^The default is / && name { sub(/^The default is /, ""); sub(/\.$/, ""); print name " " $0 }' "$1"
}

# page_rows PAGE ...: "label: text" of each row ".It Ic label", up to the next row or the list's end.
page_rows() {
	awk '
		function flush() { if (label != "") print label ": " text; label = text = "" }
		/^\.It Ic / { flush(); label = $3; next }
		/^\./ { flush(); next }
		label != "" { text = text (text == "" ? "" : " ") $0 }' "$@"
}

# list_rows LIST FILE: "label: text" of each X() of that list.
list_rows() {
	awk -v list="$1" '
		index($0, "#define " list "(X)") { on = 1 }
		on && match($0, /X\([A-Za-z0-9_]+,/) {
			name = substr($0, RSTART + 2, RLENGTH - 3)
			n = split($0, part, "\"")
			print (n > 4 ? part[2] : name) ": " (n > 4 ? part[4] : part[2])
		}
		on && !/\\$/ { exit }' "$2"
}

# A command is in the page of its first word; the small ones are in suture.1.
page_of() {
	for page in "$man/suture-${1%% *}".[1-8]; do
		[ ! -f "$page" ] || { echo "$page"; return; }
	done
	echo "$man/suture.1"
}

# page_part CMD PAGE HELP: what PAGE says of CMD's options: in a page of several commands, the section OPTIONS OF its last word (and
# perhaps of others), and GENERAL OPTIONS if HELP shows that it runs until it is told to end.
page_part() {
	section=$(echo "${1##* }" | tr '[:lower:]' '[:upper:]')
	if grep -qE "^\.Sh OPTIONS OF (.* )?$section( |\$)" "$2"; then
		general=no
		! grep -q -e --stats-interval "$3" || general=yes
		awk -v name="$section" -v general="$general" '
			/^\.Sh OPTIONS OF / { on = ($0 " ") ~ (" " name " "); next }
			/^\.Sh / { on = general == "yes" && $0 == ".Sh GENERAL OPTIONS" }
			on' "$2"
	else
		cat "$2"
	fi
}

# help_of CMD: its help text.
help_of() {
	# The words of a command are separate arguments.
	# shellcheck disable=SC2086
	"$suture" $1 --help
}

# A program without any command would make all of this pass.
"$suture" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z][a-z ]*[a-z]\)   *.*/\1/p' >"$dir/commands"
[ -s "$dir/commands" ] || { echo "not ok commands # suture --help lists none"; exit 1; }

while read -r cmd; do
	page=$(page_of "$cmd")
	name=${page##*/}
	if ! help_of "$cmd" >"$dir/help" 2>&1; then
		verdict "$name: $cmd" "suture $cmd --help fails"
		continue
	fi
	help_options "$dir/help" >"$dir/help.options"
	# What is said of no command.
	[ "$name" != suture.1 ] || echo '--version' >>"$dir/help.options"
	page_part "$cmd" "$page" "$dir/help" >"$dir/part"
	page_options "$dir/part" >"$dir/page.options"
	verdict "$name: options of $cmd" "$(differences "$dir/help.options" "$dir/page.options" --help "$name")"
	help_defaults "$dir/help" >"$dir/help.defaults"
	page_defaults "$dir/part" >"$dir/page.defaults"
	verdict "$name: defaults of $cmd" "$(differences "$dir/help.defaults" "$dir/page.defaults" --help "$name")"
	verdict "suture.1: $cmd" "$(grep -qE "^\.It Cm $cmd( |\$)" "$man/suture.1" || echo "no row for it")"
done <"$dir/commands"

{
	list_rows SUT_REASONS "$top/src/base/reason.h" | grep -v '^none: '
	list_rows SUT_EVENTS "$top/src/base/counters.h"
	list_rows PORT_STATS "$top/src/port/port.h"
	list_rows STACK_COUNTERS "$top/src/stack/stack.h"
	list_rows CHANNEL_COUNTERS "$top/src/app/channel.h"
	list_rows PLANE_COUNTERS "$top/src/app/plane_port.c"
	list_rows WAY_COUNTERS "$top/src/core/way.h"
} >"$dir/lists"
page_rows "$man"/suture.1 "$man"/suture-*.[1-8] >"$dir/rows"
verdict 'counters and reasons' "$(differences "$dir/lists" "$dir/rows" 'the sources' doc/man)"
[ "$(wc -l <"$dir/lists")" -gt 60 ] || verdict 'lists' 'the lists in the sources were not found'

exit $failed
