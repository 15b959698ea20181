/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "app/config.h"
#include "app/findings.h"
#include "app/handoff_back.h"
#include "app/handoff_doctor.h"
#include "app/handoff_front.h"
#include "cli/cmd_handoff.h"
#include "cli/command.h"

struct doctor_flags {
	const char *client, *backend_port, *device; /* "if:eth0" */
	const char *vip[HANDOFF_ORIGINS];
	uint32_t vips;
	const char *origin[HANDOFF_ORIGINS];
	uint32_t origins;
	const char *host_addr[2];
	uint32_t host_addrs;
	uint8_t plane; /* enum handoff_plane */
	const char *pins;
	uint16_t own_ports[2];
	uint32_t own_ports_count;
	bool json, quiet;
	struct handoff_keys_settings keys;
};

#define FIELD(f) OPTION_FIELD(struct doctor_flags, f)
#define COUNT(f) OPTION_COUNT(struct doctor_flags, f)

/* clang-format off */
static const struct option_desc front_table[] = {
	{ .name = "client", .kind = OPTION_STRING, FIELD(client), .arg = "PORT",
	  .help = "where the clients are: if:NAME" },
	{ .name = "backend-port", .kind = OPTION_STRING, FIELD(backend_port), .arg = "PORT",
	  .help = "where the back ends are, if not there too" },
	{ .name = "vip", .kind = OPTION_STRINGS, FIELD(vip), COUNT(vips), .arg = "ADDR:PORT",
	  .help = "an address and port that clients connect to; may be given often" },
	{ .name = "own-ports", .kind = OPTION_PORTS, FIELD(own_ports), COUNT(own_ports_count), .arg = "FIRST-LAST",
	  .def = "10000-32767", .help = "ports for splices and probes" },
	{ .name = NULL },
};

static const struct option_desc back_table[] = {
	{ .name = "if", .kind = OPTION_STRING, FIELD(device), .arg = "PORT",
	  .help = "where front ends and clients are: if:NAME" },
	{ .name = "origin", .kind = OPTION_STRINGS, FIELD(origin), COUNT(origins), .arg = "[PORT=]ADDR:PORT",
	  .help = "an address that clients know, and the port of this host that serves it; may be given often" },
	{ .name = "host-addr", .kind = OPTION_STRINGS, FIELD(host_addr), COUNT(host_addrs), .arg = "ADDR",
	  .help = "the address that such ports are of" },
	{ .name = NULL },
};

static const struct option_desc both_table[] = {
	{ .name = "plane", .kind = OPTION_ENUM, FIELD(plane), .arg = "PLANE", .def = "bpf", .names = handoff_plane_names,
	  .help = "who forwards packets" },
	{ .name = "pins", .kind = OPTION_STRING, FIELD(pins), .arg = "DIR",
	  .help = "where the programs' maps outlive the process; without it that of the front end, or the agent" },
	{ .name = "quiet", .letter = 'q', .kind = OPTION_FLAG, FIELD(quiet), .help = "leave out what is well" },
	{ .name = "json", .kind = OPTION_FLAG, FIELD(json), .help = "print a JSON object for each finding" },
	{ .name = NULL },
};
/* clang-format on */

static int read_vips(const struct option_usage *u, const struct doctor_flags *c,
		     struct handoff_patient *p)
{
	for (uint32_t i = 0; i < c->vips; i++)
		if (endpoint_read(c->vip[i], strlen(c->vip[i]), &p->origin[p->origins++]) != 0)
			return options_complain(u, "--vip: '%s' is no address with a port",
						c->vip[i]);
	return -1;
}

/* A back end's, as the agent reads them. */
static int read_origins(const struct option_usage *u, const struct doctor_flags *c,
			struct handoff_patient *p)
{
	static struct handoff_back b;
	const char *wrong;

	memcpy(b.flags.origin, c->origin, sizeof c->origin);
	b.flags.origins = c->origins;
	memcpy(b.flags.host_addr, c->host_addr, sizeof c->host_addr);
	b.flags.host_addrs = c->host_addrs;
	b.device = c->device;
	wrong = handoff_back_origins(&b);
	if (wrong)
		return options_complain(u, "--%s", wrong);
	for (unsigned i = 0; i < b.role.origins; i++)
		handoff_patient_origin(p, i, &b.role.origin[i]);
	p->origins = b.role.origins;
	return -1;
}

static int read_patient(const struct option_usage *u, const struct doctor_flags *c,
			struct handoff_patient *p)
{
	int code;

	if (!c->client == !c->device)
		return options_complain(
			u, "--client PORT for a front end, or --if PORT for a back end");
	p->back = c->device != NULL;
	p->bpf = c->plane == HANDOFF_PLANE_BPF;
	p->pins = c->pins ? c->pins : p->back ? HANDOFF_PINS_BACK : HANDOFF_PINS_FRONT;
	p->key_file = c->keys.key_file;
	p->insecure = c->keys.insecure;
	memcpy(p->own_ports, c->own_ports, sizeof p->own_ports);
	code = handoff_check_device(u, p->back ? "--if" : "--client",
				    p->back ? c->device : c->client);
	if (code < 0 && c->backend_port)
		code = handoff_check_device(u, "--backend-port", c->backend_port);
	if (code >= 0)
		return code;
	p->device = (p->back ? c->device : c->client) + 3;
	p->other = c->backend_port ? c->backend_port + 3 : NULL;
	return p->back ? read_origins(u, c, p) : read_vips(u, c, p);
}

int cmd_handoff_doctor(int argc, char **argv)
{
	static struct doctor_finding findings[HANDOFF_FINDINGS_MAX];
	static struct handoff_patient patient;
	static struct handoff_facts facts;
	static struct doctor_flags cfg;
	const struct option_group groups[] = {
		{ "Of a front end", front_table, &cfg },
		{ "Of a back end", back_table, &cfg },
		{ "Keys", handoff_keys_table, &cfg.keys },
		{ NULL, both_table, &cfg },
		{ NULL, NULL, NULL },
	};
	const struct option_usage usage = {
		.command = "handoff doctor",
		.synopsis =
			"--client PORT --vip ADDR:PORT | --if PORT --origin ADDR:PORT [OPTION]...",
		.about = "Looks at a host that is to be a front end, or a back end, says what is "
			 "wrong, "
			 "and\n"
			 "which command mends it.  Changes nothing.  Checks:\n\n"
#define X(name, text) "  " #name ": " text "\n"
		HANDOFF_CHECKS(X)
#undef X
			"\nExit code 1 if something is wrong.\n",
		.groups = groups,
	};
	struct option_args args;
	int code;

	options_defaults(front_table, &cfg);
	options_defaults(both_table, &cfg);
	code = options_run(&usage, argc, argv, &args);
	if (code < 0)
		code = read_patient(&usage, &cfg, &patient);
	if (code >= 0)
		return code;
	handoff_look(&patient, &facts);
	return findings_print(findings, handoff_judge(&patient, &facts, findings), cfg.json,
			      cfg.quiet, stdout) > 0;
}
