#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/stored-look.h"

#include "common/base/wire.h"

#include <stdlib.h>

void look_body(struct rig_client *s, uint32_t mbox, uint32_t uid, struct slice want)
{
	uint8_t *p = NULL;
	size_t n = 0;

	assert_int_equal(rig_body(s, mbox, uid, &p, &n), IPC_ST_OK);
	if (!slice_eq(slice_of(p, n), want))
		fail_msg("the body of uid %u is not what was sent (%zu bytes)", uid, n);
	free(p);
}

int look_body_status(struct rig_client *s, uint32_t mbox, uint32_t uid)
{
	uint8_t *p = NULL;
	size_t n = 0;
	int r = rig_body(s, mbox, uid, &p, &n);

	free(p);
	return r;
}

struct ipc_append_done put_pieces(
    struct rig_client *s, const char *name, const struct piece *p, size_t n)
{
	struct ipc_append_begin b = { ++s->rig->seq, slice_str(name) };
	const struct ipc_append_ready *r;
	enum ipc_type type;
	const union ipc_any *m;

	rig_send(s, IPC_append_begin, &b);
	r = &rig_wait(s, IPC_append_ready)->append_ready;
	assert_int_equal(r->seq, b.seq);
	if (r->status != IPC_ST_OK)
		return (struct ipc_append_done){ .status = r->status };
	for (size_t i = 0; i < n; i++) {
		struct ipc_append_msg a = { p[i].flags, slice_str(p[i].keywords), p[i].date,
			p[i].body.n };

		rig_send(s, IPC_append_msg, &a);
		rig_append_bytes(s, p[i].body);
		rig_send(s, IPC_append_end,
		    &(struct ipc_append_end){ p[i].facts, SLICE_NONE, p[i].header });
	}
	rig_send(s, IPC_append_commit, &(struct ipc_append_commit){ ++s->rig->seq });
	do
		m = rig_next(s, 10000, &type, NULL);
	while (m != NULL && type != IPC_append_done);
	assert_non_null(m);
	assert_int_equal(m->append_done.seq, s->rig->seq);
	return m->append_done;
}

static uint8_t rows[IPC_ROW_BYTES * 20000];

size_t look_scan(struct rig_client *s, uint32_t mbox)
{
	size_t n = 0;

	assert_int_equal(rig_scan(s, mbox, 1, rows, 20000, &n), IPC_ST_OK);
	return n;
}

uint32_t look_u32(size_t row, unsigned at)
{
	return wire_load_u32(rows + row * IPC_ROW_BYTES + at);
}

uint64_t look_u64(size_t row, unsigned at)
{
	return wire_load_u64(rows + row * IPC_ROW_BYTES + at);
}

void put_mailbox(struct rig_client *s, const char *name)
{
	rig_send(
	    s, IPC_mbox_create, &(struct ipc_mbox_create){ ++s->rig->seq, slice_str(name), 0 });
	assert_int_equal(rig_wait(s, IPC_mbox_done)->mbox_done.status, IPC_ST_OK);
}
