/* SPDX-License-Identifier: MIT */
/*
 * suture-interop - sets suture beside QEMU and joins the two.  Prints TAP.
 *
 *   suture-interop SUTURE TESTS NOTE
 *
 * TESTS is one of those in the table below, NOTE the design note that has a row for each difference; $QEMU names another QEMU.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "note.h"
#include "proc.h"
#include "suites.h"
#include "tap.h"

static const struct {
	const char *name;
	void (*run)(const struct programs *p);
} suites[] = {
	{ "compare", suite_compare }, { "rewrite", suite_rewrite }, { "robust", suite_robust },
	{ "vnet", suite_vnet },	      { "wiring", suite_wiring },
};

int main(int argc, char **argv)
{
	struct programs p = { .qemu = getenv("QEMU") };

	if (argc != 4) {
		fprintf(stderr, "usage: suture-interop SUTURE TESTS NOTE\n");
		return 2;
	}
	if (!p.qemu)
		p.qemu = "qemu-system-x86_64";
	p.suture = argv[1];
	if (!note_read(argv[3]) || !proc_setup())
		return 1;
	(void)alarm(120);
	for (unsigned i = 0; i < ARRAY_LEN(suites); i++) {
		if (strcmp(suites[i].name, argv[2]) != 0)
			continue;
		suites[i].run(&p);
		return tap_done();
	}
	fprintf(stderr, "suture-interop: no such tests: %s\n", argv[2]);
	return 2;
}
