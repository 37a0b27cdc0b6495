# bash completion for gatehousectl: its own list of commands is the only one there is.
_gatehousectl()
{
	local cur=${COMP_WORDS[COMP_CWORD]} words=() w before=
	for w in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
		case $before,$w in --socket,* | -s,* | *,-*) ;; *) words+=("$w") ;; esac
		before=$w
	done
	case $before in --socket | -s) return ;; esac # a path: bash's own completion
	if [[ $cur == -* ]]; then
		COMPREPLY=($(compgen -W '--socket --json --quiet --help --version' -- "$cur"))
	elif [ ${#words[@]} -eq 0 ]; then
		COMPREPLY=($(compgen -W "$(gatehousectl --commands | cut -d' ' -f1 | sort -u)" -- "$cur"))
	elif [ ${#words[@]} -eq 1 ]; then
		COMPREPLY=($(compgen -W "$(gatehousectl --commands | awk -v g="${words[0]}" '$1 == g { print $2 }')" -- "$cur"))
	fi
}
complete -o default -F _gatehousectl gatehousectl
