# From the program's own list: group, name or '-', options.
function __gatehousectl_words
    set -l seen
    for w in (commandline -opc)[2..]
        string match -q -- '-*' $w; or set -a seen $w
    end
    set -l all (gatehousectl --commands)
    if string match -q -- '-*' (commandline -ct)
        printf '%s\n' --socket --conf --json --quiet --help --version
        for line in $all
            set -l f (string split ' ' $line)
            if test (count $seen) -ge 1 -a "$f[1]" = "$seen[1]"
                if test "$f[2]" = - -o "$f[2]" = "$seen[2]"
                    printf '%s\n' $f[3..]
                end
            end
        end
    else if test (count $seen) -eq 0
        printf '%s\n' help (printf '%s\n' $all | string replace -r ' .*' '' | sort -u)
    else if test (count $seen) -eq 1
        for line in $all
            set -l f (string split ' ' $line)
            test "$f[1]" = "$seen[1]" -a "$f[2]" != -; and echo $f[2]
        end
    end
end
complete -c gatehousectl -f -a '(__gatehousectl_words)'
