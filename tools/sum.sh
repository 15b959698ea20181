#!/bin/sh
# SPDX-License-Identifier: MIT
# sum.sh RESULTS COPY - names what failed and what was skipped, then: N passed, N failed, N skipped, which goes to the file COPY too.
# Fails if a test did, or if none ran.
exec awk -v copy="$2" '
	/^ok / { ok++ }
	/^not ok / { bad++; print }
	/^skip / { skipped++; print }
	END {
		line = sprintf("%d passed, %d failed, %d skipped", ok, bad, skipped)
		print line
		print line >copy
		exit bad > 0 || ok == 0
	}' "$1"
