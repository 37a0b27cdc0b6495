/*
 * Any lines into the administration core, in pieces of any size. The first byte says how: the size
 * of the pieces, whether answers come late, which of them are errors, and whether it is the PWD
 * port, where a login comes first. Every line gets one reply of the right form, in order; data is a
 * value that can be read again; nothing that was refused by its form was asked of a server, and
 * nothing at all before the login.
 */
#include "common/base/wire.h"
#include "common/data/data.h"
#include "protocols/admin/admin.h"
#include "protocols/admin/limits.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>

enum { HELD_MAX = 600 };

static struct {
	void *core;
	struct front_port port;
	struct front_facts facts;
	struct {
		enum ipc_type type;
		uint32_t seq;
		struct buf echo;
	} held[HELD_MAX];
	size_t n_held;
	enum ipc_type auth; /* that waits for an answer */
	bool granted, pwd;
	unsigned choice;
} rig;

/* What was asked waits; its arguments come back as the data of the answer. */
static int on_send(struct front_port *p, enum front_peer to, enum ipc_type type, const void *msg)
{
	const struct ipc_dir_ask *dir = msg;

	if (type == IPC_auth_peer)
		return 0;
	if (to == FRONT_AUTH) {
		assert(!rig.granted && rig.auth == IPC_NONE);
		rig.auth = type;
		return 0;
	}
	assert(rig.granted);
	assert(rig.n_held < HELD_MAX && to >= FRONT_DIR && to <= FRONT_STORE);
	rig.held[rig.n_held].type = type;
	rig.held[rig.n_held].seq = *(const uint32_t *)msg; /* the first field of each */
	rig.held[rig.n_held].echo = BUF_INIT(61440);
	if (type == IPC_dir_ask)
		buf_put(&rig.held[rig.n_held].echo, dir->args);
	rig.n_held++;
	return 0;
}

static void on_deadline(struct front_port *p, uint32_t ms)
{
}

static const struct front_port_ops ops = { on_send, on_deadline };

static bool flip(void)
{
	return (rig.choice = rig.choice * 1103515245 + 12345) & 4096;
}

/* authd's answer to the login under way, and the time after a failed one. */
static void answer_auth(void)
{
	enum ipc_type type = rig.auth;
	union ipc_any m = { 0 };

	rig.auth = IPC_NONE;
	if (type == IPC_auth_start && flip()) {
		m.auth_challenge.data = SLICE("challenge");
		admin_core.on_msg(rig.core, FRONT_AUTH, IPC_auth_challenge, &m);
	} else if (type != IPC_auth_cancel && flip()) {
		rig.granted = true;
		m.auth_admin = (struct ipc_auth_admin){ .name = SLICE("u1@d"),
			.account = 7,
			.data = flip() ? SLICE("v=") : SLICE_NONE };
		admin_core.on_msg(rig.core, FRONT_AUTH, IPC_auth_admin, &m);
	} else {
		m.auth_refused =
		    (struct ipc_auth_refused){ .why = type == IPC_auth_cancel ? IPC_AUTH_CANCELLED
						      : flip()                ? IPC_AUTH_BAD
									      : IPC_AUTH_ROUTE,
			    .left = 3 };
		admin_core.on_msg(rig.core, FRONT_AUTH, IPC_auth_refused, &m);
		if (rig.port.busy)
			admin_core.on_event(rig.core, FRONT_TIMEOUT);
	}
}

static void answer_one(void)
{
	size_t at = rig.choice % rig.n_held;
	bool good = flip();
	enum ipc_type type = rig.held[at].type;
	struct buf echo = rig.held[at].echo;
	uint32_t seq = rig.held[at].seq;
	union ipc_any m = { 0 };

	rig.held[at] = rig.held[--rig.n_held];
	if (type == IPC_dir_ask) {
		m.dir_reply = (struct ipc_dir_reply){ .seq = seq,
			.status = good ? IPC_DIR_OK : IPC_DIR_BAD,
			.data = buf_slice(&echo) };
		admin_core.on_msg(rig.core, FRONT_DIR, IPC_dir_reply, &m);
	} else if (type == IPC_secret_set || type == IPC_secret_check || type == IPC_secret_tags) {
		m.secret_done = (struct ipc_secret_done){ seq, good ? IPC_AUTH_OK : IPC_AUTH_BAD,
			type == IPC_secret_tags ? buf_slice(&echo) : SLICE_NONE };
		admin_core.on_msg(rig.core, FRONT_SECRETS, IPC_secret_done, &m);
	} else if (type == IPC_sess_list) {
		m.sess_rows.seq = seq;
		admin_core.on_msg(rig.core, FRONT_STORE, IPC_sess_rows, &m);
	} else {
		m.stat_reply = (struct ipc_stat_reply){ .seq = seq,
			.status = good ? IPC_ST_OK : IPC_ST_NOTFOUND,
			.text = SLICE("a.b 1\nc 2\n") };
		admin_core.on_msg(rig.core, FRONT_STORE, IPC_stat_reply, &m);
	}
	buf_fini(&echo);
}

/* One value, wholly. */
static void check_value(struct slice line)
{
	struct arena a;
	const char *why;

	arena_init(&a, 64 << 20);
	assert(data_parse(&a, &line, &why) != NULL && line.n == 0);
	arena_fini(&a);
}

static void check_output(void)
{
	struct slice rest = buf_slice(&rig.port.out), line;

	assert(!rig.port.out.overflow);
	while (rest.n > 0) {
		line = slice_take(&rest, '\n');
		assert(line.n > 4 && line.p[line.n - 1] == '\r');
		line.n--;
		assert(slice_find(line, '\r') < 0 && slice_find(line, 0) < 0);
		if (slice_starts(line, SLICE("201 ")))
			check_value(slice_from(line, 4));
		else
			assert(slice_starts(line, SLICE("200 ")) ||
			       slice_starts(line, SLICE("501 ")) ||
			       (rig.pwd && (slice_starts(line, SLICE("300 ")) ||
					       slice_starts(line, SLICE("500 ")))));
		if (slice_eq(line, SLICE("200 data follow"))) {
			line = slice_take(&rest, '\n');
			assert(line.n > 0 && line.p[line.n - 1] == '\r');
			line.n--;
			check_value(line);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const struct admin_conf confs[2] = { { .idle_ms = 1000 },
		{ .idle_ms = 1000, .pwd = true, .mechs = SASL_PLAIN | SASL_LOGIN | SASL_APOP } };
	struct slice in = slice_of(data, n);
	struct buf waiting = BUF_INIT(1 << 20);
	size_t step;

	if (n == 0)
		return 0;
	step = data[0] % 4 == 0 ? 1 : data[0] % 4 == 1 ? 7 : 1 << 16;
	rig.choice = data[0];
	rig.pwd = (data[0] & 32) != 0;
	rig.granted = !rig.pwd;
	rig.auth = IPC_NONE;
	rig.facts.host = SLICE("mail.example.test");
	rig.facts.plain_login = (data[0] & 64) == 0;
	rig.port =
	    (struct front_port){ .ops = &ops, .facts = &rig.facts, .out = BUF_INIT(64 << 20) };
	rig.core = admin_core.start(&rig.port, &confs[rig.pwd]);
	assert(rig.core != NULL);
	if (!rig.pwd)
		admin_core.on_msg(rig.core, FRONT_AUTH, IPC_auth_admin,
		    &(union ipc_any){ .auth_admin = { .rights = IPC_RIGHT_MASTER } });
	for (in = slice_from(in, 1); in.n > 0 && !rig.port.want_close; in = slice_from(in, step)) {
		buf_put(&waiting, slice_part(in, 0, step));
		do {
			buf_consume(&waiting, admin_core.feed(rig.core, buf_slice(&waiting)));
			if (rig.n_held > 0 && (data[0] & 16 || rig.n_held > 300))
				answer_one();
			if (rig.auth != IPC_NONE)
				answer_auth();
		} while (rig.auth != IPC_NONE || (rig.n_held > 0 && data[0] & 16));
	}
	for (int left = 100000; !rig.port.want_close && rig.n_held > 0 && left > 0; left--) {
		answer_one();
		buf_consume(&waiting, admin_core.feed(rig.core, buf_slice(&waiting)));
	}
	check_output();
	admin_core.free(rig.core);
	while (rig.n_held > 0)
		buf_fini(&rig.held[--rig.n_held].echo);
	buf_fini(&waiting);
	buf_fini(&rig.port.out);
	return 0;
}
