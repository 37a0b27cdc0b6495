#include "tests/hostile/inside-stored-rig.h"

struct inside inside;

int inside_setup(void **state)
{
	struct rig *r = malloc(sizeof(*r));

	rig_init(r, "mem");
	quiet();
	rig_account(r, MINE, IPC_account_make);
	rig_account(r, OTHERS, IPC_account_make);
	assert_int_equal(rig_put(r, MINE, SLICE("mine")), IPC_ST_OK);
	assert_int_equal(rig_put(r, OTHERS, SLICE("theirs")), IPC_ST_OK);
	inside.victim = rig_session(r, OTHERS, 1, NULL);
	inside.victim_box = rig_open(inside.victim, "INBOX", 0);
	inside.slowest_ms = 0;
	*state = r;
	return 0;
}

void inside_others_go_on(struct rig *r)
{
	int64_t from = clock_mono_ms();
	uint8_t *p = NULL, rows[IPC_ROW_BYTES * 64];
	size_t n = 0;

	assert_int_equal(rig_body(inside.victim, inside.victim_box.mbox, 1, &p, &n), IPC_ST_OK);
	assert_true(slice_eq(slice_of(p, n), SLICE("theirs")));
	free(p);
	assert_int_equal(
	    rig_scan(inside.victim, inside.victim_box.mbox, 1, rows, 64, &n), IPC_ST_OK);
	assert_int_equal(rig_put(r, OTHERS, SLICE("new")), IPC_ST_OK);
	from = clock_mono_ms() - from;
	inside.slowest_ms = from > inside.slowest_ms ? from : inside.slowest_ms;
}

int inside_teardown(void **state)
{
	int fd;

	inside_others_go_on(*state);
	print_message("# slowest answer to others: %lld ms\n", (long long)inside.slowest_ms);
	/* Loose: the machine runs other tests. */
	assert_true(inside.slowest_ms < 2000);
	fd = log_fd();
	rig_fini(*state);
	log_init(STDERR_FILENO, false, LOG_INFO);
	if (fd > STDERR_FILENO)
		fd_close(&fd);
	free(*state);
	return 0;
}

struct rig_client *inside_session(struct rig *r, uint64_t sid, struct ipc_mbox_opened *ret_o)
{
	struct rig_client *s = rig_session(r, MINE, sid, NULL);

	assert_non_null(s);
	if (ret_o != NULL)
		*ret_o = rig_open(s, "INBOX", 0);
	return s;
}

void inside_flush(struct rig *r, struct rig_client *c)
{
	for (int i = 0; i < 4000 && c->chan != NULL && ipc_chan_queued(c->chan) > 0; i++)
		rig_spin(r, 1);
}

void inside_send_zero(struct rig_client *c, enum ipc_type type)
{
	struct end e = { .chan = c->chan };

	end_send_any(&e, type);
}
