/* SPDX-License-Identifier: MIT */
/*
 * suture-pkt - plays packet scripts against roles; see suture-pkt(7). Prints TAP; exit 0, 1 (a
 * script failed), 2 (usage).
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "run.h"

struct suite {
	bool verbose;
	unsigned burst; /* at most so many in the run with bursts; 1: none */
	bool split; /* the run one by one */
	unsigned tests, failed;
};

static int usage(FILE *to)
{
	fprintf(to, "usage: suture-pkt [-v] [--split | --burst N] FILE|DIRECTORY...\n");
	return to == stdout ? 0 : 2;
}

/* A fault's lines as TAP comments. */
static void print_fault(const struct fault *f)
{
	const char *s = f->text;

	while (*s) {
		int n = (int)strcspn(s, "\n");

		printf("# %.*s\n", n, s);
		s += n + (s[n] == '\n');
	}
}

static bool one_run(const struct suite *t, const struct script *s, unsigned burst,
		    struct trail *ret_trail, struct fault *ret_f)
{
	struct run_options o = { burst, t->verbose };

	if (t->verbose)
		printf("# %s, %s\n", s->path, burst > 1 ? "in bursts" : "one by one");
	return run_script(s, &o, ret_trail, ret_f);
}

/* One by one, then in bursts; the same must come out. */
static bool both_runs(const struct suite *t, const struct script *s, struct fault *f)
{
	struct trail one = { 0 }, many = { 0 };
	bool ok = !t->split || one_run(t, s, 1, &one, f);

	if (ok && t->burst > 1)
		ok = one_run(t, s, t->burst, &many, f) &&
		     (!t->split || trail_equal(&one, &many, s, f));
	trail_free(&one);
	trail_free(&many);
	return ok;
}

/* A script that says how it fails must fail so. */
static bool judge(const struct script *s, bool passed, struct fault *f)
{
	if (s->fails[0] == '\0' || (!passed && !strstr(f->text, s->fails)))
		return passed;
	return !passed ||
	       fault_say(f, "%s: passed, but should have failed with \"%s\"", s->path, s->fails);
}

static void do_file(struct suite *t, const char *path)
{
	struct fault f = { 0 };
	struct script s;
	bool ok = script_read(path, &s, &f);
	bool skip = ok && !s.role;

	if (ok && !skip)
		ok = both_runs(t, &s, &f);
	if (!skip)
		ok = judge(&s, ok, &f);
	t->tests++;
	t->failed += !ok;
	printf("%s %u - %s%s\n", ok ? "ok" : "not ok", t->tests, path,
	       skip ? " # SKIP role not built" : "");
	if (!ok || (t->verbose && f.set))
		print_fault(&f);
	fflush(stdout);
	script_free(&s);
}

static int is_script(const struct dirent *d)
{
	size_t n = strlen(d->d_name);

	return n > 4 && strcmp(d->d_name + n - 4, ".pkt") == 0;
}

static void do_path(struct suite *t, const char *path)
{
	struct dirent **d;
	struct stat st;
	char file[4096];
	int n;

	if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) {
		do_file(t, path);
		return;
	}
	n = scandir(path, &d, is_script, alphasort);
	for (int i = 0; i < n; i++) {
		snprintf(file, sizeof file, "%s/%s", path, d[i]->d_name);
		do_file(t, file);
		free(d[i]);
	}
	if (n >= 0)
		free(d);
}

int main(int argc, char **argv)
{
	struct suite t = { .burst = 64, .split = true };
	int i;

	for (i = 1; i < argc && argv[i][0] == '-'; i++) {
		if (strcmp(argv[i], "-v") == 0)
			t.verbose = true;
		else if (strcmp(argv[i], "--split") == 0)
			t.burst = 1;
		else if (strcmp(argv[i], "--burst") == 0 && i + 1 < argc)
			t.burst = (unsigned)atoi(argv[++i]), t.split = false;
		else
			return usage(strcmp(argv[i], "--help") == 0 ? stdout : stderr);
	}
	if (i == argc || t.burst < 1 || t.burst > 64)
		return usage(stderr);
	for (; i < argc; i++)
		do_path(&t, argv[i]);
	printf("1..%u\n", t.tests);
	return t.failed > 0;
}
