/* SPDX-License-Identifier: MIT */
/*
 * replay - runs a fuzz target over the files and directories given, and over no bytes at all, without libFuzzer.
 *
 * Prints how many inputs it ran; ends with 1 if something could not be read, as the target says if it found something.
 */
#define _POSIX_C_SOURCE 200809L

#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define INPUT_MAX (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int fail(const char *path)
{
	fprintf(stderr, "replay: %s: %s\n", path, strerror(errno));
	return -1;
}

/* Copies into a block of exactly that size, so that a sanitizer sees each step too far. */
static void run(const uint8_t *data, size_t size)
{
	uint8_t *copy = calloc(size ? size : 1, 1);

	if (!copy)
		abort();
	memcpy(copy, data, size);
	LLVMFuzzerTestOneInput(copy, size);
	free(copy);
}

static int run_file(const char *path)
{
	static uint8_t buf[INPUT_MAX];
	FILE *f = fopen(path, "rb");
	size_t n;

	if (!f)
		return fail(path);
	n = fread(buf, 1, sizeof buf, f);
	if (ferror(f)) {
		fclose(f);
		return fail(path);
	}
	fclose(f);
	run(buf, n);
	return 1;
}

/* Runs path, or what lies right in it; returns how many inputs that were, or -1. */
static int run_path(const char *path)
{
	struct dirent *e;
	struct stat st;
	int n = 0, r = 0;
	DIR *d;

	if (stat(path, &st) < 0)
		return fail(path);
	if (!S_ISDIR(st.st_mode))
		return run_file(path);
	d = opendir(path);
	if (!d)
		return fail(path);
	while (r >= 0 && (e = readdir(d)) != NULL) {
		char file[4096];

		if (e->d_name[0] == '.')
			continue;
		snprintf(file, sizeof file, "%s/%s", path, e->d_name);
		r = run_file(file);
		n += r;
	}
	closedir(d);
	return r < 0 ? -1 : n;
}

int main(int argc, char **argv)
{
	int total = 1;

	run((const uint8_t *)"", 0);
	for (int i = 1; i < argc; i++) {
		int n = run_path(argv[i]);

		if (n < 0)
			return 1;
		total += n;
	}
	printf("%d inputs\n", total);
	return 0;
}
