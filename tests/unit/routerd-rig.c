#include "tests/unit/routerd-rig.h"

#include "common/base/wire.h"

#include <event2/event.h>
#include <poll.h>
#include <stdio.h>

struct rig rig;

static void service_off(const struct ipc_service_off *m)
{
	rig.services_off += (unsigned)(m->accounts.n / 8);
	rig.last_off = wire_load_u64(m->accounts.p);
	snprintf(rig.off_service, sizeof(rig.off_service), "%.*s", SLICE_FMT(m->service));
}

static void stored_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	struct ipc_account_done done = { .status = IPC_ST_OK };
	struct ipc_post_target_done target = { .status = IPC_ST_OK };

	if (type == IPC_account_changed)
		rig.changed++;
	else if (type == IPC_accounts_changed)
		rig.changed += m->accounts_changed.accounts.n / 8;
	else if (type == IPC_service_off)
		service_off(&m->service_off);
	if (rig.stored_mute)
		return;
	if ((type == IPC_account_make || type == IPC_account_drop) && rig.stored_refuses > 0) {
		rig.stored_refuses--;
		done.status = IPC_ST_TRYLATER;
	}
	if (type == IPC_account_make) {
		rig.makes++;
		done.seq = m->account_make.seq;
		rig.last_account = m->account_make.account;
		buf_reset(&rig.first);
		buf_put(&rig.first, m->account_make.mailboxes);
		buf_putc(&rig.first, '|');
		buf_put(&rig.first, m->account_make.subscriptions);
		ipc_send(c, IPC_account_done, &done, NULL);
	} else if (type == IPC_account_drop) {
		rig.drops++;
		done.seq = m->account_drop.seq;
		ipc_send(c, IPC_account_done, &done, NULL);
	} else if (type == IPC_post_target) {
		rig.targets++;
		target.seq = m->post_target.seq;
		if (m->post_target.quota == 1 || m->post_target.account == rig.over_quota)
			target.status = IPC_ST_OVERQUOTA;
		ipc_send(c, IPC_post_target_done, &target, NULL);
	}
}

static void rd_from_stored(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	if (type == IPC_account_done)
		account_on_done(&rig.rd, &m->account_done);
	else if (type == IPC_post_target_done)
		rcpt_on_target_done(&rig.rd, &m->post_target_done);
}

static void on_provision(struct ipc_chan *c, const struct ipc_provision_ask *m)
{
	struct ipc_provision_reply no = { m->seq, IPC_ROUTE_UNKNOWN };

	rig.provisions++;
	rig.provision_seq = m->seq;
	snprintf(rig.provision_name, sizeof(rig.provision_name), "%.*s", SLICE_FMT(m->name));
	if (rig.helper == HELPER_UNKNOWN)
		ipc_send(c, IPC_provision_reply, &no, NULL);
	else if (rig.helper == HELPER_MAKES)
		rig_account_new(rig.new_name != NULL ? rig.new_name : rig.provision_name);
}

void rig_account_new(const char *name)
{
	struct ipc_account_new m = { .seq = 77, .name = slice_str(name), .quota = rig.new_quota };

	if (rig.real_name != NULL)
		m.real_name = slice_str(rig.real_name);
	ipc_send(rig.authd_end, IPC_account_new, &m, NULL);
}

static void on_take(struct ipc_chan *c, const struct ipc_secret_take *m)
{
	struct ipc_secret_taken r = { m->seq, m->account, rig.look_status };

	rig.looks += m->sid == 0;
	if (m->sid != 0) {
		rig.takes++;
		rig.take_sid = m->sid;
		rig.take_ask = m->ask;
		r.status = rig.take_status;
	}
	if (!rig.authd_mute)
		ipc_send(c, IPC_secret_taken, &r, NULL);
}

static void authd_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	struct ipc_secret_dropped done = { .status = IPC_AUTH_OK };

	if (type == IPC_secret_take)
		on_take(c, &m->secret_take);
	if (type == IPC_provision_ask)
		on_provision(c, &m->provision_ask);
	if (type == IPC_account_new_reply) {
		struct ipc_provision_reply p = { rig.provision_seq, m->account_new_reply.status };

		rig.news++;
		rig.new_status = m->account_new_reply.status;
		rig.new_account = m->account_new_reply.account;
		rig.new_made = m->account_new_reply.made != 0;
		ipc_send(c, IPC_provision_reply, &p, NULL);
	}
	if (type != IPC_secret_drop)
		return;
	rig.secret_drops++;
	done.seq = m->secret_drop.seq;
	ipc_send(c, IPC_secret_dropped, &done, NULL);
}

static void rd_from_authd(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	login_on_msg(&rig.rd, c, type, m, fds);
}

static void admin_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	if (type == IPC_sender_reply) {
		rig.rcpt_replies++;
		rig.status = m->sender_reply.status;
		return;
	}
	if (type == IPC_rcpt_reply) {
		rig.rcpt_replies++;
		rig.status = m->rcpt_reply.status;
		rig.handle = m->rcpt_reply.handle;
		rig.members = (uint32_t)(m->rcpt_reply.more.n / 4);
		return;
	}
	rig.replies++;
	rig.more += m->dir_reply.more;
	rig.status_more = m->dir_reply.more;
	rig.status = m->dir_reply.status;
	buf_put(&rig.data, m->dir_reply.data);
}

static void gone(void *arg, struct ipc_chan *c, enum ipc_gone why)
{
}

static void rcpt_gone(void *arg, struct ipc_chan *c, enum ipc_gone why)
{
	ipc_chan_free(&rig.rcpt_end);
}

static const struct ipc_ops submit_ops = { admin_msg, rcpt_gone, NULL };
const struct ipc_ops rig_admin_ops = { admin_msg, gone, NULL };
static const struct ipc_ops stored_ops = { stored_msg, gone, NULL },
			    authd_ops = { authd_msg, gone, NULL },
			    rd_stored_ops = { rd_from_stored, gone, NULL },
			    rd_authd_ops = { rd_from_authd, gone, NULL };

static void turn(void)
{
	event_base_loop(rig.rd.base, EVLOOP_NONBLOCK);
	engine_dispatch(rig.engine, 0);
}

void rig_spin(void)
{
	for (int i = 0; i < 40; i++) {
		turn();
		if (i % 10 == 9)
			poll(NULL, 0, 1);
	}
}

void rig_lose_stored(void)
{
	ipc_chan_free(&rig.rd.stored);
	ipc_chan_free(&rig.stored_end);
	account_on_peer_gone(&rig.rd);
	rcpt_on_stored_gone(&rig.rd);
}

void rig_lose_authd(void)
{
	ipc_chan_free(&rig.rd.authd);
	ipc_chan_free(&rig.authd_end);
	account_on_peer_gone(&rig.rd);
}

void rig_connect_stored(void)
{
	int sv[2];

	ipc_chan_free(&rig.stored_end);
	assert_int_equal(ipc_pair(sv), 0);
	rig.rd.stored =
	    ipc_chan_new(rig.rd.base, sv[0], IPC_CH_ROUTE_STORE, false, &rd_stored_ops, NULL);
	rig.stored_end =
	    ipc_chan_new(rig.rd.base, sv[1], IPC_CH_ROUTE_STORE, true, &stored_ops, NULL);
	account_resume_all(&rig.rd);
}

void rig_connect_authd(void)
{
	int sv[2];

	ipc_chan_free(&rig.authd_end);
	assert_int_equal(ipc_pair(sv), 0);
	rig.rd.authd =
	    ipc_chan_new(rig.rd.base, sv[0], IPC_CH_AUTH_ROUTE, false, &rd_authd_ops, NULL);
	rig.authd_end = ipc_chan_new(rig.rd.base, sv[1], IPC_CH_AUTH_ROUTE, true, &authd_ops, NULL);
	account_resume_all(&rig.rd);
}

void rig_restart(void)
{
	rig_lose_stored();
	rig_lose_authd();
	rig_spin();
	db_close(&rig.rd.db);
	assert_int_equal(db_open(&rig.rd.db, rig.engine, SLICE("ignored.example")), 0);
	rig_connect_stored();
	rig_connect_authd();
	rig_spin();
}

int rig_setup(void **state)
{
	int sv[2];

	memset(&rig, 0, sizeof(rig));
	rig.data = BUF_INIT(10 << 20);
	rig.first = BUF_INIT(50000);
	rig.rd.base = event_base_new();
	route_init(&rig.rd.route);
	assert_int_equal(engine_open("mem", -1, NULL, &rig.engine), 0);
	assert_int_equal(db_open(&rig.rd.db, rig.engine, SLICE("Company.com")), 0);
	rig_connect_stored();
	rig_connect_authd();
	assert_int_equal(ipc_pair(sv), 0);
	dir_on_open(
	    &rig.rd, &(struct ipc_dir_open){ .sid = RIG_SID, .rights = IPC_RIGHT_MASTER }, sv[0]);
	rig.admin_end =
	    ipc_chan_new(rig.rd.base, sv[1], IPC_CH_ADMIN_DIR, false, &rig_admin_ops, NULL);
	assert_int_equal(ipc_pair(sv), 0);
	rcpt_on_attach(&rig.rd, rig.rd.stored, &(struct ipc_rcpt_attach){ .sid = 9 }, &sv[0]);
	rig.rcpt_end = ipc_chan_new(rig.rd.base, sv[1], IPC_CH_RCPT, false, &rig_admin_ops, NULL);
	rig_spin();
	return 0;
}

int rig_teardown(void **state)
{
	ipc_chan_free(&rig.admin_end);
	ipc_chan_free(&rig.rcpt_end);
	rig_spin();
	table_job_end(&rig.rd);
	rig_lose_stored();
	rig_lose_authd();
	db_close(&rig.rd.db);
	engine_close(&rig.engine);
	route_fini(&rig.rd.route);
	event_base_free(rig.rd.base);
	buf_fini(&rig.data);
	buf_fini(&rig.first);
	return 0;
}

void rig_send(uint32_t verb, const char *const *args)
{
	struct buf b = BUF_INIT(61440);
	struct ipc_dir_ask m = { .seq = 1, .verb = verb };

	for (; *args != NULL; args++)
		wire_put_bytes(&b, slice_str(*args));
	m.args = buf_slice(&b);
	assert_int_equal(ipc_send(rig.admin_end, IPC_dir_ask, &m, NULL), 0);
	buf_fini(&b);
}

uint32_t rig_ask(uint32_t verb, const char *const *args)
{
	unsigned before = rig.replies;
	struct wire_reader rdr;
	struct buf joined = BUF_INIT(1 << 20);

	buf_reset(&rig.data);
	rig_send(verb, args);
	/* Until there is an answer, and what it sends besides is read. */
	for (int i = 0, after = 0; i < 100000 && after < 4; i++) {
		after += rig.replies > before && rig.status_more == 0;
		turn();
	}
	assert_true(rig.replies > before);
	rdr = wire_reader(buf_slice(&rig.data));
	while (wire_left(&rdr) > 0) {
		if (rdr.p != rig.data.p)
			buf_putc(&joined, '|');
		buf_put(&joined, wire_get_bytes(&rdr, UINT32_MAX));
	}
	assert_false(rdr.bad);
	buf_reset(&rig.data);
	buf_put(&rig.data, buf_slice(&joined));
	buf_fini(&joined);
	return rig.status;
}

static uint32_t rcpt_ask(struct ipc_rcpt_ask m)
{
	unsigned before = rig.rcpt_replies;

	ipc_send(rig.rcpt_end, IPC_rcpt_ask, &m, NULL);
	rig_spin();
	assert_int_equal(rig.rcpt_replies, before + 1);
	return rig.status;
}

uint32_t rig_rcpt(const char *address)
{
	return rcpt_ask((struct ipc_rcpt_ask){ .seq = 3, .address = slice_str(address) });
}

uint32_t rig_report(const char *address)
{
	return rcpt_ask(
	    (struct ipc_rcpt_ask){ .seq = 3, .address = slice_str(address), .report = 1 });
}

uint32_t rig_told(const char *address)
{
	return rcpt_ask(
	    (struct ipc_rcpt_ask){ .seq = 3, .address = slice_str(address), .report = 2 });
}

void rig_submit(uint64_t account)
{
	static uint64_t sid = 100;
	int sv[2];

	ipc_chan_free(&rig.rcpt_end);
	rig_spin();
	assert_int_equal(ipc_pair(sv), 0);
	rcpt_on_attach(
	    &rig.rd, rig.rd.stored, &(struct ipc_rcpt_attach){ .sid = ++sid, .login = 1 }, &sv[0]);
	rig.rcpt_end = ipc_chan_new(rig.rd.base, sv[1], IPC_CH_RCPT, false, &submit_ops, NULL);
	assert_int_equal(rcpt_on_login(&rig.rd, sid, account, IPC_CONN_TLS), IPC_ROUTE_OK);
}

uint32_t rig_sender(const char *address)
{
	unsigned before = rig.rcpt_replies;
	struct ipc_sender_ask m = { .seq = 4, .address = slice_str(address) };

	ipc_send(rig.rcpt_end, IPC_sender_ask, &m, NULL);
	rig_spin();
	assert_int_equal(rig.rcpt_replies, before + 1);
	return rig.status;
}

void rig_become(uint64_t account)
{
	struct ipc_dir_open m = { .sid = rig.become_sid,
		.account = account,
		.name = SLICE("somebody"),
		.rights = account == 0 ? IPC_RIGHT_MASTER : 0 };
	int sv[2];

	ipc_chan_free(&rig.admin_end);
	rig_spin();
	assert_int_equal(ipc_pair(sv), 0);
	dir_on_open(&rig.rd, &m, sv[0]);
	rig.admin_end =
	    ipc_chan_new(rig.rd.base, sv[1], IPC_CH_ADMIN_DIR, false, &rig_admin_ops, NULL);
}

uint64_t rig_id(const char *name)
{
	uint64_t id = 0;
	struct slice text;

	assert_int_equal(ask(account_info, name), IPC_DIR_OK);
	text = buf_slice(&rig.data);
	assert_int_equal(slice_u64(slice_take(&text, '|'), UINT64_MAX, &id), 0);
	return id;
}

void rig_prepare(void)
{
	assert_int_equal(ask(domain_create, "client1.com"), IPC_DIR_OK);
	assert_int_equal(ask(account_create, "ann", "", "MaxAccountSize", "1000"), IPC_DIR_OK);
	assert_int_equal(ask(account_create, "ben"), IPC_DIR_OK);
	assert_int_equal(ask(account_create, "info@client1.com"), IPC_DIR_OK);
	assert_int_equal(ask(account_set_aliases, "ann", "anne"), IPC_DIR_OK);
}

void rig_assert_route(const char *address, const char *mode, const char *result)
{
	assert_int_equal(ask(route, address, mode), IPC_DIR_OK);
	if (strncmp(buf_cstr(&rig.data), result, strlen(result)) != 0)
		fail_msg("%s in mode %s: %s, not %s", address, mode, buf_cstr(&rig.data), result);
}
