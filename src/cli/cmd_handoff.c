/* SPDX-License-Identifier: MIT */
#include "cli/cmd_handoff.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <net/if.h>

#include "app/handoff_doctor.h"
#include "base/compiler.h"
#include "port/port.h"

#ifdef HAVE_HANDOFF_BPF
#include "app/device_lock.h"
#include "app/plane_bpf.h"
#include "app/plane_port.h"

static void no_device(const char *device, char *ret_err, size_t err_size)
{
	snprintf(ret_err, err_size,
		 "if:%s: no such interface in this network namespace ('ip link' lists them)",
		 device);
}

/* What to do instead: an agent and a front end take several of all that there can be several of. */
static const char *instead(const struct handoff_kernel_want *w)
{
	if (w->only)
		return "end it first; what it leaves at its end can be removed then";
	return w->back ? "a device has one such process; several origins and front ends are for "
			 "one agent: --origin and --front may be given more than once"
		       : "a device has one such process; several origins are for one front end: "
			 "--vip may be given more than once";
}

static void say_left(const struct handoff_kernel_want *w, const char *device,
		     const struct plane_bpf_left *left, char *ret_err, size_t err_size)
{
	bool front = left->side == PLANE_BPF_FRONT, same = front == !w->back && !w->only;

	snprintf(ret_err, err_size,
		 "if:%s: a process that has ended left its programs here, and its connections in "
		 "%.200s: %s%.200s%stake them away by 'suture handoff remove --%s if:%s --pins "
		 "%.200s'",
		 device, left->pins, same ? "start with --pins " : "", same ? left->pins : "",
		 same ? ", or " : "", front ? "client" : "if", device, left->pins);
}

static int claim(const struct handoff_kernel_want *w, const char *device,
		 struct device_lock **ret_l, char *ret_err, size_t err_size)
{
	const char *command = w->only ? "remove" : w->back ? "back" : "front";
	const char *pins = w->pins && *w->pins ? w->pins : NULL;
	unsigned index = if_nametoindex(device);
	struct plane_bpf_left left;
	char who[DEVICE_LOCK_WHO];
	int err;

	if (index == 0) {
		no_device(device, ret_err, err_size);
		return -ENODEV;
	}
	err = device_lock_open(index, command, ret_l, who);
	if (err == -EBUSY)
		snprintf(ret_err, err_size, "if:%s: %s has this device; %s", device, who,
			 instead(w));
	else if (err)
		snprintf(ret_err, err_size, "if:%s: no lock for this device: %s", device,
			 strerror(-err));
	if (err)
		return err;
	err = plane_bpf_left(index, pins, &left);
	if (err)
		say_left(w, device, &left, ret_err, err_size);
	return err;
}

int handoff_kernel_claim(const struct handoff_kernel_want *w, struct handoff_kernel *k,
			 char *ret_err, size_t err_size)
{
	int err = 0;

	for (unsigned i = 0; i < HANDOFF_DEVICES && err == 0; i++)
		if (w->device[i])
			err = claim(w, w->device[i], &k->lock[i], ret_err, err_size);
	return err;
}

static struct plane_bpf_config config_of(const struct handoff_kernel_want *w)
{
	struct plane_bpf_config c = {
		.side = w->back ? PLANE_BPF_BACK : PLANE_BPF_FRONT,
		.plane = *w->plane,
		.pins = w->pins && *w->pins ? w->pins : NULL,
		.cgroup = w->cgroup,
		.no_adopt = w->no_adopt,
	};

	return c;
}

int handoff_kernel_open(const struct handoff_kernel_want *w, struct handoff_kernel *k,
			char *ret_err, size_t err_size)
{
	const struct plane_bpf_config c = config_of(w);
	char why[PLANE_BPF_TEXT];
	int err = plane_bpf_open(&c, &k->plane, why);

	if (err) {
		snprintf(ret_err, err_size, "bpf: %s%s", why,
			 w->only ? "" : "; --plane user does without");
		return err;
	}
	err = plane_port_open(k->plane, &k->port, ret_err, err_size);
	if (err) {
		plane_bpf_close(k->plane, PLANE_BPF_KEEP);
		k->plane = NULL;
	}
	return err;
}

int handoff_kernel_attach(const struct handoff_kernel *k, const char *device, int tap,
			  char *ret_err, size_t err_size)
{
	unsigned index = if_nametoindex(device);
	int err = index ? 0 : -errno;

	if (err == 0 && tap >= 0)
		err = plane_bpf_tap(k->plane, tap);
	if (err == 0)
		err = plane_bpf_attach(k->plane, index);
	if (err == -ENODEV)
		no_device(device, ret_err, err_size);
	else if (err)
		snprintf(ret_err, err_size, "bpf: the programs cannot be attached to %s: %s",
			 device, strerror(-err));
	return err;
}

int handoff_kernel_configure(const struct handoff_kernel *k, const struct handoff_kernel_want *w)
{
	return plane_bpf_configure(k->plane, w->plane);
}

bool handoff_kernel_adopts(const struct handoff_kernel *k, char *ret_why, size_t size)
{
	char why[PLANE_BPF_TEXT] = "";
	bool adopts = plane_bpf_adopts(k->plane, why);

	snprintf(ret_why, size, "%s", adopts ? "" : why);
	return adopts;
}

void handoff_kernel_close(struct handoff_kernel *k, bool keep)
{
	if (k->port)
		k->port->ops->close(k->port);
	plane_bpf_close(k->plane, keep ? PLANE_BPF_KEEP : PLANE_BPF_REMOVE);
	for (unsigned i = 0; i < HANDOFF_DEVICES; i++)
		device_lock_close(k->lock[i]);
}
#else
int handoff_kernel_claim(const struct handoff_kernel_want *w, struct handoff_kernel *k,
			 char *ret_err, size_t err_size)
{
	(void)w;
	(void)k;
	(void)ret_err;
	(void)err_size;
	return 0;
}

int handoff_kernel_open(const struct handoff_kernel_want *w, struct handoff_kernel *k,
			char *ret_err, size_t err_size)
{
	(void)w;
	(void)k;
	snprintf(ret_err, err_size,
		 "bpf: this suture was built without it; --plane user does without");
	return -EOPNOTSUPP;
}

int handoff_kernel_attach(const struct handoff_kernel *k, const char *device, int tap,
			  char *ret_err, size_t err_size)
{
	(void)k;
	(void)tap;
	snprintf(ret_err, err_size, "bpf: %s", device);
	return -EOPNOTSUPP;
}

int handoff_kernel_configure(const struct handoff_kernel *k, const struct handoff_kernel_want *w)
{
	(void)k;
	(void)w;
	return -EOPNOTSUPP;
}

bool handoff_kernel_adopts(const struct handoff_kernel *k, char *ret_why, size_t size)
{
	(void)k;
	snprintf(ret_why, size, "this suture was built without BPF");
	return false;
}

void handoff_kernel_close(struct handoff_kernel *k, bool keep)
{
	(void)k;
	(void)keep;
}
#endif

int handoff_check_device(const struct option_usage *u, const char *flag, const char *spec)
{
	char why[300];

	if (!spec)
		return options_complain(u, "%s PORT is missing", flag);
	if (port_check(spec, why, sizeof why) != 0)
		return options_complain(u, "%s: %s", flag, why);
	if (strncmp(spec, "if:", 3) != 0)
		return options_complain(
			u, "%s: '%s': BPF programs need a network interface: if:NAME", flag, spec);
	return -1;
}

void handoff_warn_keys(const struct channel_keys *k, bool quiet)
{
	if (k->insecure && !quiet)
		fprintf(stderr, "suture: WARNING: --insecure-no-key: whoever can send from a "
				"peer's address "
				"(or with it, forged) is believed:\n"
				"suture: WARNING: they can make servers here take connections that "
				"no client "
				"has opened, and end those that are there\n");
}

/* What is said elsewhere: where it cannot be opened, or by the back end's health. */
static bool goes_unnoticed(const char *check)
{
	static const char *const noticed[] = { "device", "capability", "bpffs", "listener", "key" };

	for (unsigned i = 0; i < ARRAY_LEN(noticed); i++)
		if (strcmp(check, noticed[i]) == 0)
			return false;
	return true;
}

void handoff_warn_host(const struct handoff_patient *p, bool quiet)
{
	static struct doctor_finding f[HANDOFF_FINDINGS_MAX];
	static struct handoff_facts facts;
	unsigned n;

	if (quiet ||
	    if_nametoindex(p->device) == 0) /* what is not there is said when it is opened */
		return;
	handoff_look(p, &facts);
	n = handoff_judge(p, &facts, f);
	for (unsigned i = 0; i < n; i++)
		if (f[i].severity == DOCTOR_WRONG && goes_unnoticed(f[i].check))
			fprintf(stderr, "suture: warning: %s%s%s\n", f[i].text,
				*f[i].mend ? "; mend: " : "", f[i].mend);
}
