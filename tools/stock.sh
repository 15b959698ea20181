#!/bin/sh
# SPDX-License-Identifier: MIT
# stock.sh [BUILD] - packet scripts and live cases inside Debian's stock kernel, under QEMU's software emulation.
#
# That kernel has what a container's kernel may lack: VLAN devices (8021q), netem as the oracle for suture's own wire, the settings
# that Debian ships.  No privilege is needed here, and nothing of this machine's network is touched: the guest has none.
#
# The kernel's package is fetched by apt, unpacked under BUILD/stock and kept there; the guest's root is an archive of busybox, this machine's
# programs with their libraries, and the tests.  STOCK_SHELL=yes ends in a shell.
set -eu
cd "$(dirname "$0")/.."
build=${1:-build}
dir=$build/stock
RESULTS=${RESULTS:-/dev/null}
limit=${STOCK_SECONDS:-900}

fail() {
	echo "not ok stock # $*" | tee -a "$RESULTS"
	exit 1
}

# The package that the meta package stands for, unpacked once.
kernel() {
	package=$(apt-cache depends linux-image-cloud-amd64 2>/dev/null | awk '/Depends: linux-image-[0-9]/ { print $2; exit }')
	[ -n "$package" ] || fail "apt knows no linux-image-cloud-amd64: run apt-get update"
	[ ! -f "$dir/$package.done" ] || return 0
	rm -rf "$dir/kernel" "$dir"/*.done
	mkdir -p "$dir/kernel" "$dir/fetch"
	(cd "$dir/fetch" && apt-get -q download "$package") >"$dir/fetch.log" 2>&1 || {
		cat "$dir/fetch.log"
		fail "$package cannot be fetched"
	}
	dpkg-deb -x "$dir/fetch/$package"_*.deb "$dir/kernel"
	rm -rf "$dir/fetch"
	: >"$dir/$package.done"
}

# put PROGRAM: with the libraries that it loads.
put() {
	file=$(command -v "$1") || fail "$1 is not installed"
	mkdir -p "$root/bin"
	cp -L "$file" "$root/bin/"
	ldd "$file" 2>/dev/null | awk '/=> \// { print $3 } /^[[:space:]]*\/lib/ { print $1 }' | while read -r lib; do
		[ -f "$root$lib" ] || {
			mkdir -p "$root${lib%/*}"
			cp -L "$lib" "$root$lib"
		}
	done
}

modules="veth bridge 8021q tun sch_netem sch_fq sch_ingress cls_bpf"

archive() {
	root=$dir/root
	rm -rf "$root"
	mkdir -p "$root/bin" "$root/proc" "$root/sys" "$root/dev" "$root/tmp" "$root/run/netns" "$root/var/lib/nginx" \
		"$root/var/log/nginx" "$root/etc/ssl" "$root/lib/modules" "$root/work/lab"
	ln -s ../run "$root/var/run"
	ln -s bin "$root/sbin"
	cp "$(command -v busybox)" "$root/bin/busybox"
	for applet in $("$root/bin/busybox" --list); do
		[ -e "$root/bin/$applet" ] || ln -s busybox "$root/bin/$applet"
	done
	for p in ip tc ss ethtool curl openssl nginx dash awk; do
		rm -f "$root/bin/$p"
		put "$(command -v $p || echo /usr/sbin/$p)"
	done
	ln -sf dash "$root/bin/sh"
	echo 'root:x:0:0::/tmp:/bin/sh' >"$root/etc/passwd"
	echo 'root:x:0:' >"$root/etc/group"
	cp /etc/ssl/openssl.cnf "$root/etc/ssl/" 2>/dev/null || :
	mkdir -p "$root/usr/lib/ssl"
	ln -sf /etc/ssl/openssl.cnf "$root/usr/lib/ssl/openssl.cnf"
	cp -r tests lab "$root/work/"
	rm -rf "$root/work/tests/fuzz"
	for p in src/cli/suture tests/pkt/suture-pkt tests/live/peer; do
		put "$PWD/$build/$p"
	done
	for p in plane_bpf plane_bpf_paths plane_diff; do
		[ ! -f "$build/tests/unit/${p}_test" ] || put "$PWD/$build/tests/unit/${p}_test"
	done
	at=$(echo "$dir"/kernel/lib/modules/*)
	cp -r "$at" "$root/lib/modules/"
	rm -rf "$root/lib/modules/"*/kernel/drivers/[a-mo-z]* "$root/lib/modules/"*/kernel/fs "$root/lib/modules/"*/kernel/sound
	"$root/bin/busybox" depmod -b "$root" "${at##*/}" 2>/dev/null || :
	echo "$modules" >"$root/etc/stock-modules"
	cp tests/stock/init "$root/init"
	chmod 755 "$root/init"
	(cd "$root" && find . | cpio -o -H newc --quiet | gzip -1) >"$dir/initrd.gz"
}

for p in qemu-system-x86_64 busybox cpio; do
	command -v $p >/dev/null || fail "$p is not installed: make deps"
done
mkdir -p "$dir"
kernel
archive
began=$(date +%s)
set -- -machine pc,accel=tcg -cpu max -smp 1 -m 1536 -nodefaults -display none -no-reboot \
	-kernel "$(echo "$dir"/kernel/boot/vmlinuz-*)" -initrd "$dir/initrd.gz" -device virtio-rng-pci
if [ -n "${STOCK_SHELL:-}" ]; then
	exec qemu-system-x86_64 "$@" -serial stdio -append "console=ttyS0 quiet stock=shell"
fi
status=0
timeout -k 5 "$limit" qemu-system-x86_64 "$@" -serial "file:$dir/serial.out" -append "console=ttyS0 quiet panic=-1" </dev/null || status=$?
tr -d '\r' <"$dir/serial.out" >"$dir/serial.txt"
grep -E '^(ok|not ok|skip) ' "$dir/serial.txt" | sed 's/^\(ok\|not ok\|skip\) /&stock: /' | tee -a "$RESULTS" | grep -v '^ok ' || :
if ! grep -q '^stock: end$' "$dir/serial.txt"; then
	tail -n 40 "$dir/serial.txt"
	fail "the guest did not come to its end (exit status $status, $(($(date +%s) - began)) s)"
fi
if grep -q '^not ok ' "$dir/serial.txt"; then
	grep -vE '^(ok|skip) ' "$dir/serial.txt" | tail -n 80
fi
printf 'stock: %s ok, %s not, %s skipped on Linux %s, %d s\n' "$(grep -c '^ok ' "$dir/serial.txt")" \
	"$(grep -c '^not ok ' "$dir/serial.txt")" "$(grep -c '^skip ' "$dir/serial.txt")" \
	"$(sed -n 's/^stock: Linux //p' "$dir/serial.txt")" $(($(date +%s) - began))
! grep -q '^not ok ' "$dir/serial.txt"
