/* SPDX-License-Identifier: MIT */
#include "run.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void run_begin(struct run *r, const struct world_options *o, struct world_result *ret_res)
{
	memset(ret_res, 0, sizeof *ret_res);
	*r = (struct run){ .now = RUN_FIRST, .opt = *o, .res = ret_res };
}

void run_broken(struct run *r, const char *fmt, ...)
{
	va_list ap;

	if (run_is_broken(r))
		return;
	va_start(ap, fmt);
	vsnprintf(r->res->broken, sizeof r->res->broken, fmt, ap);
	va_end(ap);
	if (r->opt.trace)
		printf("%12.6f BROKEN %s\n", run_seconds(r), r->res->broken);
	if (r->opt.script)
		printf("# broken: %s\n", r->res->broken);
}
