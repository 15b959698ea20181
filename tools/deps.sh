#!/bin/sh
# SPDX-License-Identifier: MIT
# deps.sh [build] [demo] [test] [stock] [bench] - installs what these jobs need and this Debian machine lacks; says what in one line.
#
# Where nothing is missing it does nothing, and touches no network.  Packages of servers (nginx, openssh-server, haproxy, redis-server)
# would start a daemon when they are installed: for that time a policy forbids it, unless the machine has a policy of its own.
set -eu

build="gcc libc6-dev meson ninja-build pkg-config libcmocka-dev libpcap-dev libconfuse-dev libmicrohttpd-dev libjansson-dev libseccomp-dev libmnl-dev libsodium-dev clang bpftool libbpf-dev"
demo="iproute2 ethtool nginx-light curl openssl procps"
test="g++ clang libclang-rt-14-dev clang-tidy clang-format cppcheck mandoc tcpdump tshark iperf3
	openssh-server openssh-client netcat-openbsd iputils-ping wget wrk redis-server rsync git qemu-system-x86"
stock="qemu-system-x86 busybox-static cpio dash"
bench="liblwip-dev iperf3 tcpdump haproxy nftables conntrack qemu-system-x86"

wanted=
for job in "${@:-build}"; do
	case $job in
	build) wanted="$wanted $build" ;;
	demo) wanted="$wanted $demo" ;;
	test) wanted="$wanted $test" ;;
	stock) wanted="$wanted $stock" ;;
	bench) wanted="$wanted $bench" ;;
	*) echo "tools/deps.sh: no such job: $job (build, demo, test, stock, bench)" >&2; exit 2 ;;
	esac
done

if ! command -v dpkg-query >/dev/null; then
	echo "tools/deps.sh: not a Debian machine: nothing checked; needed are$(echo "$wanted" | tr -s '\n\t ' '   ')"
	exit 0
fi

missing() {
	# The words of $wanted are package names.
	# shellcheck disable=SC2086
	dpkg-query -W -f '${Package} ${db:Status-Status}\n' $wanted 2>/dev/null |
	awk -v want="$wanted" '
		$2 == "installed" { have[$1] = 1 }
		END { n = split(want, w); for (i = 1; i <= n; i++) if (!(w[i] in have)) printf "%s ", w[i] }'
}

need=$(missing)
[ -n "$need" ] || exit 0

if [ "$(id -u)" != 0 ]; then
	echo "tools/deps.sh: missing: $need" >&2
	echo "tools/deps.sh: run 'make deps' as root, or install these packages" >&2
	exit 1
fi

log=$(mktemp)
policy=/usr/sbin/policy-rc.d
ours=
finish() {
	[ -z "$ours" ] || rm -f "$policy"
	rm -f "$log"
}
trap finish EXIT
trap 'exit 1' HUP INT TERM
if [ ! -e "$policy" ]; then
	ours=yes
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod 755 "$policy"
fi

echo "tools/deps.sh: installing $need"
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086
if ! { apt-get -qq update && apt-get -qq -y --no-install-recommends install $need; } >"$log" 2>&1; then
	tail -n 20 "$log" >&2
	echo "tools/deps.sh: the installation failed; its last lines are above" >&2
	exit 1
fi
