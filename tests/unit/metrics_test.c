/* SPDX-License-Identifier: MIT */
/* The text format line by line, and the server over loopback with clients of all manners. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <cmocka.h>

#include "app/metrics.h"
#include "app/metrics_text.h"
#include "core/flow_row.h"

/* A role with rows of two states. */
static uint32_t rows, states;

static bool list(const void *role, uint32_t *cursor, sut_time now, struct flow_row *ret_row)
{
	static const char *const name[] = { "OPEN", "CLOSED" };
	static char other[100][16];

	(void)role;
	(void)now;
	if (*cursor == rows)
		return false;
	*ret_row = (struct flow_row){ .state = name[*cursor % 3 == 0] };
	if (states) {
		char *s = other[*cursor % states];

		snprintf(s, sizeof other[0], "S%u", *cursor % states);
		ret_row->state = s;
	}
	++*cursor;
	return true;
}

static const struct role_ops ops = { .name = "test", .list = list };
static struct counters counters;
static struct metrics_flows flows;
static char *text;

static const struct report_row *stack_row; /* NULL: no TCP of its own */

static const char *write_text(void)
{
	static const struct port_row adoptions[] = { { "way_adopted", "adoptions", 5 } };
	const struct report_port ports[] = {
		{ .name = "client", .spec = "pcap:a\"b\\c\n\xff", .stats = { .rx = 7 } },
		{ .name = "server",
		  .spec = "if:eth0",
		  .stats = { .tx_dropped = 9 },
		  .rows = adoptions,
		  .row_count = 1 },
	};
	const struct metrics m = {
		.report = { &ops, &counters, ports, 2, stack_row, stack_row != NULL },
		.flows = &flows,
		.resident_bytes = 4096,
		.cpu_seconds = 1.5,
	};
	size_t len;
	FILE *f = open_memstream(&text, &len);

	metrics_text(&m, f);
	fclose(f);
	return text;
}

static int free_text(void **state)
{
	(void)state;
	free(text);
	text = NULL;
	return 0;
}

static bool is_name(const char *s, size_t len)
{
	return len > 0 && strspn(s, "abcdefghijklmnopqrstuvwxyz_0123456789") == len &&
	       (*s < '0' || *s > '9');
}

/* Behind "name=\"value\"", of printable characters; NULL if it is none. */
static const char *after_label(const char *s)
{
	size_t len = strcspn(s, "=");

	if (!is_name(s, len) || s[len] != '=' || s[len + 1] != '"')
		return NULL;
	for (s += len + 2; *s && *s != '"'; s++) {
		if (*s == '\\' && !*++s)
			return NULL;
		if (*s < 0x20 || *s > 0x7e)
			return NULL;
	}
	return *s ? s + 1 : NULL;
}

/* A sample of this family: "name 5", "name{a="b",c="d"} 5". */
static bool is_sample(const char *line, const char *family)
{
	size_t len = strcspn(line, "{ ");
	char *end;

	if (strlen(family) != len || memcmp(line, family, len) != 0)
		return false;
	line += len;
	if (*line == '{') {
		do
			line = after_label(line + 1);
		while (line && *line == ',');
		if (!line || *line++ != '}')
			return false;
	}
	if (*line++ != ' ' || *line == '-')
		return false;
	strtod(line, &end);
	return end != line && !*end;
}

/* Each family has its HELP, its TYPE, and then all of its samples; none is there twice. */
static void is_well_formed(void **state)
{
	char family[100] = "", seen[20000] = "\n", word[120], *save = NULL;
	unsigned samples = 0;

	(void)state;
	flows = (struct metrics_flows){ .known = true };
	write_text();
	assert_int_equal(text[strlen(text) - 1], '\n');
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (strncmp(line, "# HELP ", 7) == 0) {
			size_t len = strcspn(line + 7, " ");

			assert_true(is_name(line + 7, len) && line[7 + len + 1]);
			snprintf(family, sizeof family, "%.*s", (int)len, line + 7);
			snprintf(word, sizeof word, "\n%s\n", family);
			assert_null(strstr(seen, word));
			strcat(seen, word + 1);
			line = strtok_r(NULL, "\n", &save);
			snprintf(word, sizeof word, "# TYPE %s ", family);
			assert_int_equal(strncmp(line, word, strlen(word)), 0);
			line += strlen(word);
			assert_true(strcmp(line, "gauge") == 0 ||
				    (strcmp(line, "counter") == 0 && strstr(family, "_total")));
		} else if (!is_sample(line, family)) {
			fail_msg("no sample of %s: '%s'", family, line);
		} else {
			samples++;
		}
	}
	assert_true(samples > SUT_EVENT_COUNT + 2 * (SUT_REASON_COUNT - 1) + 20);
}

static void has_all_numbers(void **state)
{
	(void)state;
	counters.event[EV_PKTS_IN] = UINT64_MAX;
	counters.dropped[R_TCP_DOFF] = 3;
	counters.passed[R_NOT_TCP] = 4;
	rows = 10;
	metrics_count_flows(&ops, NULL, 0, &flows);
	write_text();
	assert_non_null(strstr(text, "\nsuture_packets_in_total 18446744073709551615\n"));
	assert_non_null(strstr(text, "\nsuture_dropped_total{reason=\"tcp-doff\"} 3\n"));
	assert_non_null(strstr(text, "\nsuture_passed_total{reason=\"not-tcp\"} 4\n"));
	assert_non_null(strstr(text, "\nsuture_passed_total{reason=\"tcp-doff\"} 0\n"));
	assert_non_null(strstr(
		text, "\nsuture_port_rx_total{port=\"client\",device=\"pcap:a\\\"b\\\\c??\"} 7\n"));
	assert_non_null(strstr(
		text, "\nsuture_port_tx_dropped_total{port=\"server\",device=\"if:eth0\"} 9\n"));
	assert_non_null(strstr(text, "# HELP suture_way_adopted_total adoptions\n"
				     "# TYPE suture_way_adopted_total counter\n"
				     "suture_way_adopted_total 5\n"));
	assert_non_null(strstr(text, "\nsuture_flows{state=\"CLOSED\"} 4\n"));
	assert_non_null(strstr(text, "\nsuture_flows{state=\"OPEN\"} 6\n"));
	assert_non_null(strstr(text, "\nsuture_flows_complete 1\n"));
	assert_non_null(strstr(text, "\nprocess_cpu_seconds_total 1.500\n"));
	assert_non_null(strstr(text, "suture_info{version=\"" SUT_VERSION "\",role=\"test\"} 1\n"));
}

/* Who has a TCP of its own is the end of connections: what is of those in between is not there at all. */
static void leaves_out_other_roles(void **state)
{
	static const struct report_row row = { "segments_in", "segments", 5 };

	(void)state;
	stack_row = &row;
	write_text();
	stack_row = NULL;
	assert_non_null(strstr(text, "\nsuture_stack_segments_in_total 5\n"));
	assert_non_null(strstr(text, "\nsuture_bytes_out_total "));
	assert_non_null(strstr(text, "\nsuture_dropped_total{reason=\"not-ours\"} 0\n"));
	assert_null(strstr(text, "suture_promised_total"));
	assert_null(strstr(text, "suture_passed_total"));
	assert_null(strstr(text, "mode-bypass"));
	assert_null(strstr(text, "wire-loss"));
	assert_null(strstr(text, "bad-mac"));
}

/* A walk ends, however many connections and states there are. */
static void walk_is_bounded(void **state)
{
	uint32_t n = 0;

	(void)state;
	rows = METRICS_ROWS_MAX + 1;
	metrics_count_flows(&ops, NULL, 0, &flows);
	for (unsigned i = 0; i < flows.states; i++)
		n += flows.state[i].n;
	assert_int_equal(n, METRICS_ROWS_MAX);
	assert_false(flows.complete);
	rows = METRICS_ROWS_MAX;
	metrics_count_flows(&ops, NULL, 0, &flows);
	assert_true(flows.complete);
	states = 100;
	metrics_count_flows(&ops, NULL, 0, &flows);
	assert_int_equal(flows.states, METRICS_STATES);
	assert_false(flows.complete);
	states = rows = 0;
}

/* The server. */

static struct metrics_server *server;
static unsigned port, asked;

static void tell(void *ctx, FILE *f)
{
	(void)ctx;
	asked++;
	fputs("a_number 1\n", f);
}

static int open_server(void **state)
{
	char where[20], err[200];

	(void)state;
	for (port = 20000 + (unsigned)getpid() % 10000; port < 32000; port++) {
		snprintf(where, sizeof where, "%u", port);
		if (metrics_open(where, tell, NULL, &server, err, sizeof err) == 0)
			return 0;
	}
	return -1;
}

static int close_server(void **state)
{
	(void)state;
	metrics_close(server);
	return 0;
}

static int connect_client(void)
{
	struct sockaddr_in a = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
	return fd;
}

/* Serves as the engine does: when something is ready, or it was asked for. */
static void serve_until(int client)
{
	for (unsigned i = 0; i < 100; i++) { /* for less than the silence that is borne */
		struct pollfd p[] = { { .fd = metrics_fd(server), .events = POLLIN },
				      { .fd = client, .events = POLLIN } };
		sut_time wait = metrics_timeout(server);
		int n = poll(p, 2, wait == 0 ? 0 : 20);

		if (p[0].revents || (n == 0 && wait < SUT_MS(20)))
			metrics_serve(server);
		if (p[1].revents)
			return;
	}
	fail_msg("no answer");
}

/* What a client gets that sends those bytes. */
static const char *ask(const char *request, size_t len)
{
	static char got[2000];
	int fd = connect_client();
	ssize_t n;

	assert_true(send(fd, request, len, MSG_NOSIGNAL) == (ssize_t)len);
	serve_until(fd);
	n = recv(fd, got, sizeof got - 1, 0);
	got[n > 0 ? n : 0] = 0;
	close(fd);
	return got;
}

static bool starts(const char *s, const char *with)
{
	return strncmp(s, with, strlen(with)) == 0;
}

static void answers(void **state)
{
	static const char get[] = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n",
			  health[] = "GET /healthz HTTP/1.0\r\n\r\n",
			  other[] = "GET /nope HTTP/1.0\r\n\r\n",
			  post[] = "POST /metrics HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc",
			  bad[] = "\r\n\r\n\1\2\3 nonsense\r\n\r\n";
	const char *got = ask(get, sizeof get - 1);

	(void)state;
	assert_true(starts(got, "HTTP/1.1 200 "));
	assert_non_null(strstr(got, "Content-Type: text/plain; version=0.0.4"));
	assert_non_null(strstr(got, "\r\n\r\na_number 1\n"));
	assert_int_equal(asked, 1);
	got = ask(health, sizeof health - 1);
	assert_true(strstr(got, " 200 ") && strstr(got, "\r\n\r\nok\n"));
	assert_non_null(strstr(ask(other, sizeof other - 1), " 404 "));
	assert_non_null(strstr(ask(post, sizeof post - 1), " 405 "));
	assert_null(strstr(ask(bad, sizeof bad - 1), " 200 "));
	assert_int_equal(asked, 1);
}

/* Clients that say nothing, or too much, take nothing from one that asks. */
static void bears_bad_clients(void **state)
{
	static const char get[] = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
	static char much[60000];
	int silent[METRICS_CLIENTS / 2];

	(void)state;
	for (unsigned i = 0; i < METRICS_CLIENTS / 2; i++) {
		silent[i] = connect_client();
		assert_int_equal(send(silent[i], "GET /m", 6, MSG_NOSIGNAL), 6);
		metrics_serve(server);
	}
	memset(much, 'a', sizeof much);
	assert_null(strstr(ask(much, sizeof much), " 200 "));
	assert_non_null(strstr(ask(get, sizeof get - 1), " 200 "));
	for (unsigned i = 0; i < METRICS_CLIENTS / 2; i++)
		close(silent[i]);
	metrics_serve(server);
}

/* More clients than are served, which say a little and then nothing, or go: who comes then is answered. */
static void bears_many_clients(void **state)
{
	static const char get[] = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
	int slow[METRICS_CLIENTS + 20];

	(void)state;
	for (unsigned i = 0; i < METRICS_CLIENTS + 20; i++) {
		slow[i] = connect_client();
		assert_int_equal(send(slow[i], "GET /m", 6, MSG_NOSIGNAL), 6);
		metrics_serve(server);
	}
	assert_non_null(strstr(ask(get, sizeof get - 1), " 200 "));
	for (unsigned i = 0; i < METRICS_CLIENTS + 20; i++)
		close(slow[i]);
	assert_non_null(strstr(ask(get, sizeof get - 1), " 200 "));
}

static void refuses_addresses(void **state)
{
	static const char *const bad[] = { "",		"x",	     "0",	"65536",
					   "1:2:3",	"127.0.0.1", "host:80", "[::1]",
					   "[::1:80",	"1.2.3:80",  ":",	"9100 ",
					   "127.0.0.1:" };
	struct metrics_server *s;
	char err[200], where[40];

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		assert_int_equal(metrics_open(bad[i], tell, NULL, &s, err, sizeof err), -22);
		assert_non_null(strstr(err, "expected PORT, ADDR:PORT"));
	}
	snprintf(where, sizeof where, "127.0.0.1:%u", port);
	assert_int_equal(metrics_open(where, tell, NULL, &s, err, sizeof err), -98);
	assert_non_null(strstr(err, "Address already in use"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(is_well_formed, free_text),
		cmocka_unit_test_teardown(has_all_numbers, free_text),
		cmocka_unit_test_teardown(leaves_out_other_roles, free_text),
		cmocka_unit_test(walk_is_bounded),
		cmocka_unit_test_setup_teardown(answers, open_server, close_server),
		cmocka_unit_test_setup_teardown(bears_bad_clients, open_server, close_server),
		cmocka_unit_test_setup_teardown(bears_many_clients, open_server, close_server),
		cmocka_unit_test_setup_teardown(refuses_addresses, open_server, close_server),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
