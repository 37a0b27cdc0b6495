/* An intruder inside a delivering connection, an acceptor, an administrator's door, authd or
 * stored, against routerd's core. */
#include "tests/hostile/inside.h"

#include "routerd/limits.h"
#include "routerd/rights.h"
#include "routerd/routerd.h"

enum {
#define VERB(name, ...) VERB_##name,
#include "common/ipc/verbs.def"
	VERBS
};

static struct routerd rd;
static struct engine *engine;
static struct end admin, rcpt, other, stored;
static bool stored_silent;
static unsigned asked_for; /* targets */

static void spin(int turns)
{
	for (int i = 0; i < turns; i++) {
		event_base_loop(rd.base, EVLOOP_NONBLOCK);
		engine_dispatch(engine, 0);
	}
}

static void stored_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	struct ipc_account_done made = { .seq = m->account_make.seq };
	struct ipc_post_target_done target = { .seq = m->post_target.seq };

	asked_for += type == IPC_post_target;
	if (stored_silent)
		return;
	if (type == IPC_post_target)
		(void)ipc_send(c, IPC_post_target_done, &target, NULL);
	else if (type == IPC_account_make || type == IPC_account_drop)
		(void)ipc_send(c, IPC_account_done, &made, NULL);
}

static void from_stored(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	if (type == IPC_account_done)
		account_on_done(&rd, &m->account_done);
	else if (type == IPC_post_target_done)
		rcpt_on_target_done(&rd, &m->post_target_done);
}

static void rd_gone(void *arg, struct ipc_chan *c, enum ipc_gone why)
{
	fail_msg("routerd lost a peer that it trusts");
}

static void login_gone(void *arg, struct ipc_chan *c, enum ipc_gone why)
{
}

static const struct ipc_ops stored_ops = { stored_msg, end_gone, NULL },
			    rd_ops = { from_stored, rd_gone, NULL },
			    login_ops = { login_on_msg, login_gone, NULL },
			    acceptor_ops = { end_msg, login_gone, NULL };

static void attach(struct end *e, struct ipc_chan *acceptor, uint64_t sid)
{
	int sv[2];

	end_close(e);
	assert_int_equal(ipc_pair(sv), 0);
	rcpt_on_attach(&rd, acceptor, &(struct ipc_rcpt_attach){ .sid = sid }, &sv[0]);
	fd_close(&sv[0]);
	end_open(rd.base, e, sv[1], IPC_CH_RCPT, false);
}

static void open_as(uint64_t rights, uint64_t account)
{
	int sv[2];

	end_close(&admin);
	assert_int_equal(ipc_pair(sv), 0);
	dir_on_open(&rd, &(struct ipc_dir_open){ .rights = rights, .account = account }, sv[0]);
	end_open(rd.base, &admin, sv[1], IPC_CH_ADMIN_DIR, false);
}

static void open_admin(uint64_t rights)
{
	open_as(rights, 0);
}

static uint32_t verb(uint32_t number, struct slice args)
{
	unsigned before = admin.of[IPC_dir_reply];

	end_send(&admin, IPC_dir_ask, &(struct ipc_dir_ask){ 1, number, args });
	for (int i = 0; i < 2000 && admin.of[IPC_dir_reply] == before; i++)
		spin(1);
	assert_true(admin.of[IPC_dir_reply] > before);
	return admin.status;
}

static uint32_t ask(struct end *e, struct slice address)
{
	unsigned before = e->of[IPC_rcpt_reply];

	end_send(e, IPC_rcpt_ask, &(struct ipc_rcpt_ask){ 1, address });
	for (int i = 0; i < 5000 && e->of[IPC_rcpt_reply] == before; i++)
		spin(1);
	assert_int_equal(e->of[IPC_rcpt_reply], before + 1);
	return e->status;
}

static int setup(void **state)
{
	int sv[2];

	memset(&rd, 0, sizeof(rd));
	stored_silent = false;
	asked_for = 0;
	admin.fd = rcpt.fd = other.fd = stored.fd = -1;
	quiet();
	rd.base = event_base_new();
	route_init(&rd.route);
	assert_int_equal(engine_open("mem", -1, NULL, &engine), 0);
	assert_int_equal(db_open(&rd.db, engine, SLICE("company.com")), 0);
	assert_int_equal(ipc_pair(sv), 0);
	rd.stored = ipc_chan_new(rd.base, sv[0], IPC_CH_ROUTE_STORE, false, &rd_ops, NULL);
	stored = (struct end){ .fd = -1 };
	stored.chan = ipc_chan_new(rd.base, sv[1], IPC_CH_ROUTE_STORE, true, &stored_ops, &stored);
	open_admin(IPC_RIGHT_MASTER);
	assert_int_equal(verb(VERB_account_create, SLICE("\3\0\0\0ann")), IPC_DIR_OK);
	attach(&rcpt, rd.stored, 1);
	attach(&other, rd.stored, 2);
	return 0;
}

static int teardown(void **state)
{
	int fd = log_fd();

	/* Others are served. */
	stored_silent = false;
	assert_int_equal(ask(&other, SLICE("ann@company.com")), IPC_ROUTE_OK);
	end_close(&admin);
	end_close(&rcpt);
	end_close(&other);
	spin(20);
	assert_null(rd.rcpt_conns);
	assert_null(rd.rcpt_waits);
	ipc_chan_free(&rd.stored);
	end_close(&stored);
	db_close(&rd.db);
	engine_close(&engine);
	route_fini(&rd.route);
	event_base_free(rd.base);
	log_init(STDERR_FILENO, false, LOG_INFO);
	fd_close(&fd);
	return 0;
}

static void any_message_on_any_channel(void **state)
{
	for (enum ipc_type t = IPC_NONE + 1; t < IPC_TYPES; t++) {
		attach(&rcpt, rd.stored, 100 + t);
		end_send_any(&rcpt, t);
		open_admin(0);
		end_send_any(&admin, t);
		spin(10);
		assert_int_equal(rcpt.gone, t != IPC_rcpt_ask);
		assert_int_equal(admin.gone, t != IPC_dir_ask);
		assert_int_equal(rcpt.fds + admin.fds, 0);
	}
	attach(&rcpt, rd.stored, 1);
}

static void weird_addresses(void **state)
{
	static const char *const texts[] = { "", "@", "@@", "a@", "@b",
		"ann@company.com@company.com", "ann%company.com@company.com", "\"ann\"@company.com",
		"ann@[1.2.3.4]", "ann@company.com.", "~ann@company.com", "..",
		"\xff\xfe@company.com", "%n%s@company.com", "#ann@company.com",
		"ann+x+y+z@company.com", "\r\nRCPT@company.com", "<>", "<ann>", "ann@company.com\n",
		"$(ann)@company.com" };
	static char large[1025];
	struct ipc_rcpt_ask q = { 1, slice_of(large, 1024) };

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		(void)ask(&rcpt, slice_str(texts[i]));
	for (int c = 1; c < 256; c++) {
		memset(large, c, 1024);
		(void)ask(&rcpt, q.address);
		memcpy(large + 1012, "@company.com", 12);
		assert_int_not_equal(ask(&rcpt, q.address), IPC_ROUTE_OK);
	}
}

/* Recipients without end, of which stored answers none; and answers that nobody reads. */
static void a_flood_of_recipients(void **state)
{
	struct ipc_rcpt_ask q = { 1, SLICE("ann@company.com") };
	size_t before = heap_used();
	int64_t from;

	stored_silent = true;
	ipc_chan_pause(rcpt.chan, true);
	for (int i = 0; i < 200000 && rcpt.chan != NULL; i++) {
		end_send(&rcpt, IPC_rcpt_ask, &q);
		if (i % 500 == 0)
			spin(10);
	}
	for (int i = 0; i < 20000 && rcpt.chan != NULL && ipc_chan_queued(rcpt.chan) > 0; i++)
		spin(1);
	assert_true(asked_for <= RCPT_WAITING_MAX);
	stored_silent = false;
	from = clock_mono_ms();
	assert_int_equal(ask(&other, SLICE("ann@company.com")), IPC_ROUTE_OK);
	assert_true(clock_mono_ms() - from < 1000);
	end_close(&rcpt);
	spin(50);
	assert_null(rd.rcpt_waits);
	assert_true(heap_used() < before + (2 << 20));
}

static void acceptors_attach_their_own(void **state)
{
	struct ipc_chan *mine;
	struct end far = { .fd = -1 };

	for (int lie = 0; lie < 3; lie++) {
		int sv[2];

		assert_int_equal(ipc_pair(sv), 0);
		mine = ipc_chan_new(rd.base, sv[0], IPC_CH_ATTACH_RCPT, true, &acceptor_ops, &far);
		end_open(rd.base, &far, sv[1], IPC_CH_ATTACH_RCPT, false);
		ipc_chan_hello(mine, IPC_ROLE_ROUTERD, 1, IPC_ROLE_SMTP, IPC_IN_RUN);
		ipc_chan_hello(far.chan, IPC_ROLE_SMTP, 5, IPC_ROLE_ROUTERD, IPC_IN_RUN);
		spin(4);
		/* Its own; another one's; its own a second time. */
		attach(&rcpt, mine, lie == 1 ? 4ull << 32 | 1 : 5ull << 32 | 1);
		if (lie == 2) {
			struct end twice = { .fd = -1 };

			attach(&twice, mine, 5ull << 32 | 1);
			end_close(&twice);
		}
		assert_int_equal(ipc_chan_state(mine) == IPC_IN_CLOSED, lie > 0);
		spin(4);
		assert_int_equal(rcpt.gone, lie == 1);
		end_close(&rcpt);
		spin(4);
		ipc_chan_free(&mine);
		end_close(&far);
	}
}

static void answers_to_nothing(void **state)
{
	for (uint32_t seq = 0; seq < 3000; seq++) {
		end_send(&stored, IPC_post_target_done, &(struct ipc_post_target_done){ seq, 0 });
		end_send(&stored, IPC_account_done, &(struct ipc_account_done){ seq, 0 });
		account_on_secret_dropped(&rd, &(struct ipc_secret_dropped){ seq, 0 });
		spin(1);
	}
	spin(20);
	assert_int_equal(rcpt.seen, 0);
}

static void an_administrator_without_rights(void **state)
{
	for (uint32_t v = 0; v < VERBS + 3; v++) {
		open_admin(0);
		assert_int_equal(
		    verb(v, SLICE("\3\0\0\0ann")), v < VERBS ? IPC_DIR_DENIED : IPC_DIR_BAD);
		assert_int_equal(verb(v, SLICE("\xff\xff\xff\xff")), IPC_DIR_BAD);
	}
	open_admin(IPC_RIGHT_MASTER);
	assert_int_equal(verb(UINT32_MAX, SLICE_NONE), IPC_DIR_BAD);
	assert_int_equal(verb(VERB_account_info, SLICE("\3\0\0\0ann")), IPC_DIR_OK);
}

/* A taken child of the pwd door, whose user is ann: all verbs of others and of the server are
 * refused. */
static void an_account_by_the_pwd_door(void **state)
{
	struct object *ann;

	assert_int_equal(verb(VERB_account_create, SLICE("\3\0\0\0ben")), IPC_DIR_OK);
	ann = directory_object(&rd.db.dir, rd.db.dir.main, SLICE("ann"));
	assert_non_null(ann);
	for (uint32_t v = 0; v < VERBS; v++) {
		open_as(0, ann->id);
		assert_int_equal(verb(v, SLICE("\3\0\0\0ben")), IPC_DIR_DENIED);
		/* Everybody may ask which domains are his to look at; his are none. */
		assert_int_equal(
		    verb(v, SLICE_NONE), v == VERB_domain_admin_list ? IPC_DIR_OK : IPC_DIR_DENIED);
	}
	assert_int_equal(verb(VERB_account_info, SLICE("\1\0\0\0*")), IPC_DIR_OK);
	assert_int_equal(verb(VERB_account_delete, SLICE("\1\0\0\0*")), IPC_DIR_DENIED);
	assert_true(rights_may(&rd.db.dir, ann->id, IPC_MAY_SET_PASSWORD, ann->id));
	assert_false(rights_may(&rd.db.dir, ann->id, IPC_MAY_SET_PASSWORD, ann->id + 1));
	assert_false(rights_may(&rd.db.dir, 0, IPC_MAY_SET_PASSWORD, ann->id));
	assert_true(rights_may(&rd.db.dir, 0, IPC_MAY_HAVE_SECRET, ann->id));
	assert_false(rights_may(&rd.db.dir, 0, IPC_MAY_HAVE_SECRET, 0));
	assert_false(rights_may(&rd.db.dir, 0, IPC_MAY_HAVE_SECRET, ann->id + 1000));
	assert_false(rights_may(&rd.db.dir, ann->id, IPC_MAY_HAVE_SECRET, ann->id));
	ann->state = STATE_DELETING;
	assert_false(rights_may(&rd.db.dir, 0, IPC_MAY_HAVE_SECRET, ann->id));
	assert_false(rights_may(&rd.db.dir, ann->id, IPC_MAY_SET_PASSWORD, ann->id));
	ann->state = STATE_ACTIVE;
	dir_on_logout(&rd, ann->id, 1);
	spin(5);
	assert_true(admin.gone);
}

/* A taken authd asks for any name: it learns where names lead, and changes nothing. */
static void any_name_for_authd(void **state)
{
	struct end authd = { .fd = -1 };
	static char name[1025];
	struct ipc_chan *mine;
	int sv[2];

	assert_int_equal(ipc_pair(sv), 0);
	mine = ipc_chan_new(rd.base, sv[0], IPC_CH_AUTH_ROUTE, false, &login_ops, &rd);
	end_open(rd.base, &authd, sv[1], IPC_CH_AUTH_ROUTE, true);
	for (int c = 1; c < 256; c++) {
		struct ipc_route_login q = { (uint32_t)c, slice_of(name, 1024), slice_of(name, 255),
			slice_of(name, (size_t)c % 20), SLICE("pop3") };

		memset(name, c, 1024);
		end_send(&authd, IPC_route_login, &q);
		end_send_any(&authd, IPC_secret_dropped);
		end_send_any(&authd, IPC_dir_open);
		spin(4);
	}
	assert_int_equal(authd.of[IPC_route_login_reply], 255);
	ipc_chan_free(&mine);
	end_close(&authd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		CASE(any_message_on_any_channel),
		CASE(weird_addresses),
		CASE(a_flood_of_recipients),
		CASE(acceptors_attach_their_own),
		CASE(answers_to_nothing),
		CASE(an_administrator_without_rights),
		CASE(an_account_by_the_pwd_door),
		CASE(any_name_for_authd),
	};

	return cmocka_run_group_tests_name("inside-routerd", tests, NULL, NULL);
}
