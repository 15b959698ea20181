#!/bin/sh
# SPDX-License-Identifier: MIT
# all.sh - what is run in the guest: packet scripts, live cases, VLAN devices, netem against suture's own wire, the BPF programs.
for d in tests/pkt/*/; do
	name=${d%/}
	suture-pkt "$d" >/tmp/pkt.out 2>&1
	status=$?
	n=$(grep -c '^ok ' /tmp/pkt.out)
	if [ $status = 0 ] && [ "$n" -gt 0 ]; then
		echo "ok ${name##*/}: $n packet scripts"
	else
		grep -v '^ok ' /tmp/pkt.out | tail -n 20
		echo "not ok ${name##*/}: packet scripts # exit status $status, $n ok"
	fi
done
for t in live vlan netem bpf; do
	began=$(date +%s)
	sh tests/stock/$t.sh
	status=$?
	[ $status = 0 ] || echo "not ok $t # exit status $status"
	echo "stock: $t took $(($(date +%s) - began)) s"
done
