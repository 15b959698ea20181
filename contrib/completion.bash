# SPDX-License-Identifier: MIT
# bash completion for suture, printed by "suture completion bash"; the lists come from the program's own tables.

# The rest of the row of option $2 of command $1 in $_suture_rest; false if there is none.
_suture_find() {
	local name
	while read -r name _suture_rest; do
		[[ $name == "$2" ]] && return 0
	done < <(_suture_options "$1")
	_suture_rest=
	return 1
}

# What can be a value of kind $1 (words, or @...), as far as $2 says, in COMPREPLY.
_suture_values() {
	local devices
	case $1 in
	@file)
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -f -- "$2")
		;;
	@port | @device)
		devices=$(cd /sys/class/net 2>/dev/null && echo *)
		if [[ $2 == pcap:* ]]; then
			compopt -o filenames 2>/dev/null
			mapfile -t COMPREPLY < <(compgen -P pcap: -f -- "${2#pcap:}")
		elif [[ $1 == @device && $2 != *:* ]]; then
			mapfile -t COMPREPLY < <(compgen -W "$devices" -- "$2")
		else
			[[ $2 == *:* ]] || compopt -o nospace 2>/dev/null
			mapfile -t COMPREPLY < <(compgen -W "$(printf 'if:%s ' $devices) pcap: qemu:" -- "$2")
		fi
		;;
	@*) ;;
	*) mapfile -t COMPREPLY < <(compgen -W "$1" -- "$2") ;;
	esac
}

# The next words of commands that begin with $1 (with a blank behind it, or empty).
_suture_next_words() {
	local command words=
	while read -r command; do
		[[ $command == "$1"* ]] || continue
		command=${command#"$1"}
		[[ " $words " == *" ${command%% *} "* ]] || words+=" ${command%% *}"
	done < <(_suture_commands)
	[[ $1 ]] || words+=' help --help --version'
	echo "$words"
}

_suture() {
	local line=${COMP_LINE:0:COMP_POINT} cur= last= command= c typed i
	local -a words
	COMPREPLY=()
	read -ra words <<<"$line"
	if [[ $line != *[[:blank:]] ]]; then
		cur=${words[-1]}
		unset 'words[-1]'
	fi
	words=("${words[@]:1}")
	[[ ${words[0]} != help ]] || words=("${words[@]:1}")
	typed="${words[*]}${words:+ }"
	while read -r c; do
		[[ $typed == "$c "* && ${#c} -gt ${#command} ]] && command=$c
	done < <(_suture_commands)
	[[ ! $words ]] || last=${words[-1]}
	if [[ ! $command ]]; then
		_suture_values "$(_suture_next_words "$typed")" "$cur"
	elif [[ $last == --* && $last != *=* ]] && _suture_find "$command" "$last" && [[ $_suture_rest ]]; then
		_suture_values "$_suture_rest" "$cur"
	elif [[ $cur == --*=* ]]; then
		_suture_find "$command" "${cur%%=*}" && _suture_values "$_suture_rest" "${cur#*=}"
		cur=${cur#*=}
	elif [[ $cur == -* ]]; then
		_suture_values "$(_suture_options "$command" | while read -r c _; do echo "$c"; done)" "$cur"
	elif _suture_find "$command" '*'; then
		_suture_values "$_suture_rest" "$cur"
	fi
	# bash takes what stands before a colon for a word of its own
	if [[ $cur == *:* && $COMP_WORDBREAKS == *:* ]]; then
		for i in "${!COMPREPLY[@]}"; do
			COMPREPLY[i]=${COMPREPLY[i]#"${cur%"${cur##*:}"}"}
		done
	fi
}
complete -F _suture suture
