# Sourced: installs the Debian packages of the lists named as arguments, when some are missing.
# An ordinary user is told what is missing; the build then says what it cannot do without.

setup_packages()
{
	local want have missing

	command -v dpkg-query >/dev/null || { echo "not a Debian system: packages are left to you" >&2; return 0; }
	want=$(sed -e 's/#.*//' "$@" | awk 'NF' | sort -u)
	have=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' 2>/dev/null | awk '$1 == "installed" { print $2 }' | sort -u)
	missing=$(comm -23 <(printf '%s\n' "$want") <(printf '%s\n' "$have"))
	[ -n "$missing" ] || return 0
	if [ "$(id -u)" -ne 0 ]; then
		echo "missing packages; as root: apt-get install --no-install-recommends $(echo $missing)" >&2
		return 0
	fi
	echo "installing: $(echo $missing)" >&2
	export DEBIAN_FRONTEND=noninteractive
	apt-get -q update >&2 </dev/null || true
	# Mail servers are used as private instances by the tests; none may start as a service of the machine.
	local policy=/usr/sbin/policy-rc.d made=
	if [ ! -e "$policy" ]; then
		printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy" && made=1
	fi
	apt-get -q -y --no-install-recommends install $missing >&2 </dev/null || {
		# One name that a release lacks must not keep out the others.
		for p in $missing; do
			apt-get -q -y --no-install-recommends install "$p" >&2 </dev/null || echo "could not install $p" >&2
		done
	}
	[ -z "$made" ] || rm -f "$policy"
}

# setup_build DIR [meson options...]: configures once, then builds $SETUP_TARGETS (all without it);
# output only when it fails.
setup_build()
{
	local dir=$1 log tool
	shift
	log=$dir.log
	for tool in meson ninja gcc pkg-config; do
		command -v $tool >/dev/null || { echo "cannot build without $tool: install what is missing first" >&2; return 1; }
	done
	(: >>"$log") 2>/dev/null && { [ ! -e "$dir" ] || [ -w "$dir" ]; } ||
		{ echo "cannot write $log or $dir: build in a clone of your own" >&2; return 1; }
	if [ ! -f "$dir/build.ninja" ]; then
		CC=${CC:-$(command -v ccache >/dev/null && echo 'ccache gcc' || echo gcc)} \
			meson setup "$dir" "$@" >"$log" 2>&1 </dev/null || { cat "$log" >&2; return 1; }
	fi
	ninja -C "$dir" ${SETUP_TARGETS:-} >"$log" 2>&1 </dev/null || { tail -n 60 "$log" >&2; return 1; }
}

# As root: the system users of systemd/sysusers.d, where they are missing. Each has a group of its own.
setup_users()
{
	local user

	[ "$(id -u)" -eq 0 ] || return 0
	for user in $(awk '$1 == "u" { print $2 }' systemd/sysusers.d/gatehouse.conf); do
		getent passwd "$user" >/dev/null && continue
		useradd --system --user-group --no-create-home --home-dir /nonexistent \
			--shell /usr/sbin/nologin "$user" >&2 || return 1
	done
}
