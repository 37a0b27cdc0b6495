# bash completion for gatehousectl: its own list of commands (--commands: group, name or '-', options) is the
# only one there is.
_gatehousectl()
{
	local cur=${COMP_WORDS[COMP_CWORD]} words=() w before= list
	for w in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
		case $before,$w in --socket,* | --conf,* | *,-*) ;; *) words+=("$w") ;; esac
		before=$w
	done
	case $before in --socket | --conf | --file) return ;; esac # a path: bash's own completion
	list=$(gatehousectl --commands)
	if [[ $cur == -* ]]; then
		COMPREPLY=($(compgen -W "--socket --conf --json --quiet --help --version $(awk -v g="${words[0]-}" -v n="${words[1]-}" \
			'$1 == g && ($2 == n || $2 == "-") { $1 = $2 = ""; print }' <<<"$list")" -- "$cur"))
	elif [ ${#words[@]} -eq 0 ]; then
		COMPREPLY=($(compgen -W "help $(cut -d' ' -f1 <<<"$list" | sort -u)" -- "$cur"))
	elif [ ${#words[@]} -eq 1 ] || { [ "${words[0]}" = help ] && [ ${#words[@]} -le 2 ]; }; then
		[ "${words[0]}" != help ] || words=("${words[@]:1}")
		if [ ${#words[@]} -eq 0 ]; then
			COMPREPLY=($(compgen -W "$(cut -d' ' -f1 <<<"$list" | sort -u)" -- "$cur"))
		else
			COMPREPLY=($(compgen -W "$(awk -v g="${words[0]}" '$1 == g && $2 != "-" { print $2 }' <<<"$list")" -- "$cur"))
		fi
	fi
}
complete -o default -F _gatehousectl gatehousectl
