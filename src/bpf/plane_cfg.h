/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#ifndef SUT_BPF_PLANE_CFG_H
#define SUT_BPF_PLANE_CFG_H
/*
 * plane_cfg - what the BPF programs are told beside ways, as the maps hold it: one contract of programs and loader.
 *
 * Owns:     the values of the maps `config`, `origins` and `origin_of`, and what the program `amend` is told.
 * Does not: hold ways, reports and counters: their form is core/way.h's.
 */
#include "core/way.h"

struct plane_cfg {
	way_u8 key[2][16]; /* of in-band headers */
	way_u32 keys; /* bit per valid one */
	way_u32 unsigned_too; /* 1: headers are taken without looking at their MAC */
	way_u64 netns; /* cookie of the network namespace whose sockets are told about */
};

/* An address and port that clients know: key of origin_of; the value is a struct plane_origin_of. */
struct plane_addr {
	way_u8 ip[16];
	way_u16 port; /* network order */
	way_u16 zero;
};

struct plane_origin_of {
	way_u32 index; /* into origins */
	way_u32 flags; /* WAY_ORIGIN_* */
};

/* What the program `amend` is told, behind an Ethernet header: way_line AMEND.  It is a program so that it meets no half-changed way. */
struct plane_amend {
	struct way_key key;
	way_u32 flags, id, end;
	way_u32 zero;
};
#endif
