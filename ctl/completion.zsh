#compdef gatehousectl
# From the program's own list: group, name or '-', options.
local -a all words_seen
local w
all=("${(@f)$(gatehousectl --commands)}")
for w in "${(@)words[2,CURRENT-1]}"; do
	[[ $w == -* ]] || words_seen+=("$w")
done
if [[ ${words[CURRENT]} == -* ]]; then
	local -a options=(--socket --conf --json --quiet --help --version)
	for w in "${all[@]}"; do
		local -a f=(${=w})
		[[ ${f[1]} == ${words_seen[1]} && ( ${f[2]} == ${words_seen[2]} || ${f[2]} == - ) ]] && options+=("${(@)f[3,-1]}")
	done
	compadd -- "${options[@]}"
elif (( ${#words_seen} == 0 )); then
	compadd -- help "${(@u)all%% *}"
elif (( ${#words_seen} == 1 )); then
	local -a names
	for w in "${all[@]}"; do
		local -a f=(${=w})
		[[ ${f[1]} == ${words_seen[1]} && ${f[2]} != - ]] && names+=(${f[2]})
	done
	compadd -- "${names[@]}"
else
	_files
fi
