# SPDX-License-Identifier: MIT
# Each line as a string of C, with a comma behind it.
s/\\/\\\\/g
s/"/\\"/g
s/.*/"&",/
