/* SPDX-License-Identifier: MIT */
#ifndef SUT_APP_PLANE_BPF_PORT_H
#define SUT_APP_PLANE_BPF_PORT_H
/*
 * plane_bpf_port - the message port "plane" of a role of handoff, with the BPF data plane behind it.
 *
 * Owns:     nothing: lines (core/way_text.h) in, lines out by a callback.
 * Does not: read or write descriptors; whoever joins it to an engine polls plane_bpf_fd().
 */
#include <stddef.h>

#include "app/plane_bpf.h"

/* A line for the role, without an end; must not call the plane. */
typedef void (*plane_bpf_say)(void *ctx, const char *line, size_t len);

/*
 * Carries out one line of a role's (set, amend, del, look, list, destroy): 0; -EINVAL: it is none of these; another -errno.  A look and a list are
 * answered; a set or an amend that could not be done is answered by `none`.
 */
int plane_bpf_line(struct plane_bpf *pl, const char *line, size_t len, plane_bpf_say say,
		   void *ctx);

/* Says all reports there are, as `event` lines; their number, or -errno. */
int plane_bpf_reports(struct plane_bpf *pl, plane_bpf_say say, void *ctx);
#endif
