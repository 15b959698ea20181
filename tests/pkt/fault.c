/* SPDX-License-Identifier: MIT */
#include "fault.h"

#include <stdarg.h>
#include <stdio.h>

bool fault_say(struct fault *f, const char *fmt, ...)
{
	va_list ap;

	if (f->set)
		return false;
	f->set = true;
	va_start(ap, fmt);
	vsnprintf(f->text, sizeof f->text, fmt, ap);
	va_end(ap);
	return false;
}
