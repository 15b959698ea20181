/* SPDX-License-Identifier: MIT */
/* The header is as good in C++: every call and type of it compiles there, and what it links to is found. */
#include <suture/stack.h>

#include <cstdio>
#include <cstring>

namespace
{

unsigned packets;

int output(void *, const sut_packet *p)
{
	packets += p->iovs > 0;
	return 0;
}

uint32_t take(void *, uint64_t, const uint8_t *, uint32_t)
{
	return 0;
}

int fill(void *, const iovec *, unsigned)
{
	return 0;
}

/* Every one of the others, so that each must link. */
int all_calls(sut_stack *s, sut_id id)
{
	struct sut_info info; /* as stat(2): a function has the name too */
	sut_usage usage;
	sut_event event;
	sut_addr addr;
	iovec iov;
	uint32_t cursor = 0;
	uint64_t count;
	int64_t value;
	const char *name;
	char text[SUT_ADDR_TEXT];
	int n = 0;

	std::memset(&addr, 0, sizeof addr);
	n += sut_listen(s, &addr, 0, 0, &id) < 0;
	n += sut_accept(s, 1, 0, &id, NULL) < 0;
	n += sut_read(s, 1, text, 1) < 0;
	n += sut_peek(s, 1, text, 1) < 0;
	n += sut_peek_iov(s, 1, &iov, 1) < 0;
	n += sut_consume(s, 1, 1) < 0;
	n += sut_write(s, 1, text, 1) < 0;
	n += sut_write_urgent(s, 1, text, 1) < 0;
	n += sut_write_ref(s, 1, text, 1, 0) < 0;
	n += sut_write_fill(s, 1, 1, fill, NULL) < 0;
	n += sut_set_take(s, 1, take, NULL) < 0;
	n += sut_shutdown(s, 1) < 0;
	n += sut_abort(s, 1) < 0;
	n += sut_set(s, 1, SUT_OPT_NODELAY, 1) < 0;
	n += sut_get(s, 1, SUT_OPT_NODELAY, &value) < 0;
	n += sut_info(s, 1, &info, sizeof info) < 0;
	n += sut_stack_counter(s, 9999, &name, &name, &count) < 0;
	n += sut_stack_set_mtu(s, 0) < 0;
	n += sut_stack_input(s, text, 0, NULL) < 0;
	n += sut_stack_check(s) == NULL;
	n += std::strlen(sut_stack_dropped(s)) > 0;
	n += std::strlen(sut_version()) > 0;
	n += std::strlen(sut_state_name(SUT_STATE_LISTEN)) > 0;
	n += std::strlen(sut_addr_text(&addr, text)) > 0;
	n += sut_next(s, &event) == 0;
	sut_stack_usage(s, &usage);
	while (sut_list(s, &cursor, &info, sizeof info))
		;
	return n;
}

} // namespace

int main()
{
	sut_stack_config c;
	sut_addr to;
	sut_net net;
	sut_stack *s;
	sut_id id = 0;

	sut_stack_config_init(&c, sizeof c);
	if (sut_net_read("192.0.2.1/24", &net) < 0 || sut_addr_read("192.0.2.2", 80, &to) < 0)
		return 1;
	c.nets = &net;
	c.net_count = 1;
	c.output = output;
	if (sut_stack_new(&c, &s, NULL) < 0 || sut_connect(s, NULL, &to, 0, &id) < 0)
		return 1;
	sut_stack_flush(s);
	sut_stack_run(s);
	if (packets != 1 || sut_stack_timeout(s) < 0 || sut_stack_deadline(s) == 0 ||
	    all_calls(s, id) != 25 || sut_close(s, id) < 0)
		return 1;
	sut_stack_free(s);
	return 0;
}
