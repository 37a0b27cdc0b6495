/* See cross-world.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/cross-world.h"

#include "common/base/wire.h"

#include <stdio.h>
#include <stdlib.h>

const char *cross_spec = "mem:one_group=1";

/* Everybody may use everybody's: "~8/INBOX". */
void cross_routerd(struct rig *r, const struct ipc_foreign_ask *m)
{
	struct ipc_foreign_is is = { .seq = m->seq, .status = IPC_DIR_OK };

	assert_int_equal(m->name.n, 1);
	is.account = (uint64_t)(m->name.p[0] - '0');
	is.name = m->name;
	rig_send(r->routerd, IPC_foreign_is, &is);
}

bool cross_by_commits(void)
{
	return strcmp(cross_spec, "mem:one_group=1") == 0;
}

/* The answer's status; TRYLATER when the session ends instead. */
int cross_answer(struct rig_client *s, enum ipc_type want)
{
	enum ipc_type type;
	const union ipc_any *m;

	do {
		m = rig_next(s, CROSS_WAIT_MS, &type, NULL);
		if (m == NULL || type == IPC_session_bye)
			return IPC_ST_TRYLATER;
	} while (type != want || (type == IPC_copy_done && m->copy_done.more));
	return (int)(type == IPC_copy_done ? m->copy_done.status : m->store_done.status);
}

uint32_t cross_sid(void)
{
	static uint32_t sid;

	return ++sid;
}

struct rig_client *cross_session(struct rig *r, uint64_t account)
{
	int status = IPC_ST_TRYLATER;
	struct rig_client *s = NULL;

	for (int i = 0; i < 1000 && s == NULL && status == IPC_ST_TRYLATER; i++) {
		s = rig_session(r, account, cross_sid(), &status);
		if (s == NULL)
			rig_spin(r, 1);
	}
	return s;
}

void cross_begin(struct rig *r, unsigned accounts)
{
	static const char *const bodies[] = { "a", "b", "c", "d", "e", "f", "g", "h", "i" };

	rig_init(r, cross_spec);
	r->on_foreign = cross_routerd;
	r->service = "imap";
	for (uint64_t a = HERE; a < HERE + accounts; a++)
		assert_int_equal(rig_account(r, a, IPC_account_make), IPC_ST_OK);
	for (unsigned i = 0; i < 9; i++)
		assert_int_equal(rig_put(r, i < 5 ? HERE : THERE, slice_str(bodies[i])), IPC_ST_OK);
}

/* ---- what is there ---- */

void cross_say(struct rig *r, uint64_t account, char *state)
{
	static uint8_t rows[IPC_ROW_BYTES * 100];
	struct rig_client *s = cross_session(r, account);
	struct ipc_mbox_opened o;
	size_t n = 0;

	if (s == NULL) {
		strcat(state, "none\n");
		return;
	}
	o = rig_open(s, "INBOX", 0);
	assert_int_equal(o.status, IPC_ST_OK);
	assert_int_equal(rig_scan(s, o.mbox, 1, rows, 100, &n), IPC_ST_OK);
	assert_int_equal(n, o.exists);
	assert_int_equal(n, o.bytes); /* of one octet each */
	for (size_t i = 0; i < n; i++) {
		uint32_t uid = wire_load_u32(rows + i * IPC_ROW_BYTES);
		uint8_t *p = NULL;
		size_t len = 0;

		assert_int_equal(rig_body(s, o.mbox, uid, &p, &len), IPC_ST_OK);
		assert_int_equal(len, 1);
		snprintf(state + strlen(state), 40, "%u=%c ", uid, p[0]);
		free(p);
	}
	snprintf(state + strlen(state), 40, "next %u\n", o.uidnext);
	rig_client_close(s);
}

/* The account `first` before the other one. */
void cross_look(struct rig *r, uint64_t first, char state[CROSS_STATE_MAX])
{
	char of[2][CROSS_STATE_MAX] = { "", "" };

	cross_say(r, first, of[first - HERE]);
	cross_say(r, HERE + THERE - first, of[HERE + THERE - first - HERE]);
	assert_true(strlen(of[0]) + strlen(of[1]) < CROSS_STATE_MAX);
	strcpy(state, of[0]);
	strcat(state, of[1]);
}

int cross_move(struct rig *r, uint64_t from, uint64_t to, uint32_t first, uint32_t last)
{
	struct rig_client *s = cross_session(r, from);
	struct ipc_mbox_opened o;
	uint8_t pair[8];
	char name[20];
	int status = IPC_ST_TRYLATER;

	if (s == NULL)
		return status;
	o = rig_open(s, "INBOX", IPC_MBOX_EVENTS);
	if (o.status == IPC_ST_OK) {
		wire_store_u32(pair, first);
		wire_store_u32(pair + 4, last);
		snprintf(name, sizeof(name), "~%u/INBOX", (unsigned)to);
		rig_send(s, IPC_msg_copy,
		    &(struct ipc_msg_copy){ 1, o.mbox, 1, slice_str(name), slice_of(pair, 8) });
		status = cross_answer(s, IPC_copy_done);
	}
	rig_client_close(s);
	return status;
}

void cross_faults(struct rig *r, const struct engine_faults *f)
{
	assert_int_equal(engine_faults_set(r->engine, f), 0);
}

void cross_no_faults(struct rig *r)
{
	cross_faults(r, &(struct engine_faults){ .seed = 1 });
}
