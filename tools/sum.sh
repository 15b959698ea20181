#!/bin/sh
# SPDX-License-Identifier: MIT
# sum.sh RESULTS - names what failed and what was skipped, then: N passed, N failed, N skipped.  Fails if a test did, or if none ran.
exec awk '
	/^ok / { ok++ }
	/^not ok / { bad++; print }
	/^skip / { skipped++; print }
	END {
		printf "%d passed, %d failed, %d skipped\n", ok, bad, skipped
		exit bad > 0 || ok == 0
	}' "$1"
