#!/bin/sh
# SPDX-License-Identifier: MIT
# bpf.sh - the data plane of hand-offs in a kernel that cannot adopt: all else is loaded, and does what the one in C does.
for t in plane_bpf plane_bpf_paths plane_diff; do
	command -v ${t}_test >/dev/null || {
		echo "skip $t # was not built"
		continue
	}
	${t}_test >/tmp/$t.out 2>&1
	status=$?
	if [ $status = 0 ]; then
		echo "ok $t"
		grep 'no adoption' /tmp/$t.out | sort -u
	else
		tail -n 30 /tmp/$t.out
		echo "not ok $t # exit status $status"
	fi
done
