/*
 * fake-servers - authd, routerd and stored as far as a core can see them.
 *
 * Names that stand for a failure: at login "off" (service disabled), "later", "astray" (the
 * Router's text), "nobox" (the mailbox does not open); as recipients "nobody", "remote", "loop",
 * "off", "later", "policy" (over quota at RCPT), "refused", "null" (discarded), "tight" (no room
 * for more than 5000 octets), "u1+narrow" (for more than 20000), "u1+shrunk" (for more than 5000,
 * at the store only), and those that fail at the store: "quota" and "toobig", which it knows
 * before, "full" and "ioerr", which it does not. As a sender "later" and "off" fail in submission.
 */
#include "tests/wire/fake-private.h"

#include "common/base/wire.h"

#include <assert.h>
#include <openssl/evp.h>
#include <stdio.h>

static unsigned user_number(struct slice name)
{
	struct slice at = name, local = slice_take(&at, '@');

	return local.n == 2 && ascii_lower(local.p[0]) == 'u' && local.p[1] >= '1' &&
		       local.p[1] <= '9'
		   ? (unsigned)(local.p[1] - '0')
		   : 0;
}

static void refuse(struct fake *f, uint32_t why, struct slice text)
{
	bool guess = why == IPC_AUTH_BAD || why == IPC_AUTH_ROUTE;
	struct ipc_auth_refused m = { .why = why, .text = text };

	f->refusals += guess;
	m.left = f->refusals < 3 ? 3 - f->refusals : 0;
	f->step = 0;
	fake_reply(f, FRONT_AUTH, IPC_auth_refused, &m);
}

static void grant(struct fake *f, struct slice name, struct slice data)
{
	struct ipc_auth_granted m = { .account = 1, .name = name, .data = data };
	struct ipc_auth_post post = { .name = name, .data = data };

	f->user = user_number(name);
	if (f->conf.store != NULL)
		assert(f->conf.store->open(f->conf.store, f->user));
	if (f->conf.admin)
		fake_admin_login(f, name, data);
	else if (f->conf.submission)
		fake_reply(f, FRONT_AUTH, IPC_auth_post, &post);
	else
		fake_reply(f, FRONT_AUTH, IPC_auth_granted, &m);
}

static void login(struct fake *f, struct slice name, struct slice password)
{
	if (slice_eq(name, SLICE("off")))
		refuse(f, IPC_AUTH_DISABLED, SLICE(""));
	else if (slice_eq(name, SLICE("guessed")))
		refuse(f, IPC_AUTH_LIMIT, SLICE(""));
	else if (slice_eq(name, SLICE("later")))
		refuse(f, IPC_AUTH_TRYLATER, SLICE(""));
	else if (slice_eq(name, SLICE("astray")))
		refuse(f, IPC_AUTH_ROUTE, SLICE("leads\r\nastray"));
	else if (slice_eq(name, SLICE("nobox")))
		grant(f, name, SLICE(""));
	else if (user_number(name) == 0 || !slice_eq(password, SLICE("gatehouse")))
		refuse(f, IPC_AUTH_BAD, SLICE(""));
	else
		grant(f, name, SLICE(""));
}

void fake_auth_expires(struct fake *f)
{
	refuse(f, IPC_AUTH_CANCELLED, SLICE(""));
}

static void plain(struct fake *f, struct slice s)
{
	struct slice authcid;

	slice_take(&s, 0);
	authcid = slice_take(&s, 0);
	login(f, authcid, s);
}

static void apop(struct fake *f, struct slice s)
{
	struct slice stamp = slice_take(&s, 0), name = slice_take(&s, 0);
	struct buf text = BUF_INIT(1024);
	uint8_t md[EVP_MAX_MD_SIZE];
	char hex[33];
	unsigned n = 0;

	buf_put(&text, stamp);
	buf_puts(&text, "gatehouse");
	EVP_Digest(text.p, text.n, md, &n, EVP_md5(), NULL);
	for (unsigned i = 0; i < 16; i++)
		snprintf(hex + 2 * i, 3, "%02x", md[i]);
	login(f, name, slice_eq(s, slice_of(hex, 32)) ? SLICE("gatehouse") : SLICE(""));
	buf_fini(&text);
}

static void auth_challenge(struct fake *f, struct slice text)
{
	struct ipc_auth_challenge m = { .data = text };

	fake_reply(f, FRONT_AUTH, IPC_auth_challenge, &m);
}

static void auth_start(struct fake *f, const struct ipc_auth_start *m)
{
	if (slice_eq(m->mech, SLICE("PLAIN")) && m->has_initial) {
		plain(f, m->initial);
	} else if (slice_eq(m->mech, SLICE("PLAIN"))) {
		f->step = 1;
		auth_challenge(f, SLICE(""));
	} else if (slice_eq(m->mech, SLICE("LOGIN"))) {
		f->step = 2;
		auth_challenge(f, SLICE("User Name"));
	} else if (slice_eq(m->mech, SLICE("APOP"))) {
		apop(f, m->initial);
	} else {
		f->step = 4; /* as SCRAM: client first, server first, client final, server final */
		auth_challenge(f, m->has_initial ? SLICE("server-first") : SLICE(""));
	}
}

static void auth_step(struct fake *f, struct slice data)
{
	switch (f->step) {
	case 1:
		plain(f, data);
		break;
	case 2:
		buf_reset(&f->typed);
		buf_put(&f->typed, data);
		f->step = 3;
		auth_challenge(f, SLICE("Password"));
		break;
	case 3:
		login(f, buf_slice(&f->typed), data);
		break;
	default:
		if (slice_eq(data, SLICE("client-final")))
			grant(f, SLICE("u1"), SLICE("v=server-final"));
		else if (slice_eq(data, SLICE("client-first")))
			auth_challenge(f, SLICE("server-first"));
		else
			refuse(f, IPC_AUTH_BAD, SLICE(""));
	}
}

static struct fake_msg *msg_find(struct fake *f, uint32_t uid)
{
	struct fake_box *b = &f->box[f->user];

	for (unsigned i = 0; i < b->n; i++)
		if (b->msgs[i].uid == uid && !b->msgs[i].gone)
			return &b->msgs[i];
	return NULL;
}

static void mbox_open(struct fake *f, uint32_t seq)
{
	struct ipc_mbox_opened m = { .seq = seq,
		.status = f->user == 0 ? IPC_ST_TRYLATER : IPC_ST_OK,
		.mbox = 7,
		.uidvalidity = 0xabc,
		.exists = fake_mail_count(f, f->user) };

	fake_reply(f, FRONT_SESSION, IPC_mbox_opened, &m);
}

static void mbox_scan(struct fake *f, const struct ipc_mbox_scan *q)
{
	struct buf rows = BUF_INIT(61440);
	struct ipc_mbox_rows m = { .seq = q->seq };
	struct fake_box *b = &f->box[f->user];

	for (unsigned i = 0; i < b->n; i++) {
		uint8_t row[IPC_ROW_BYTES] = { 0 };

		if (b->msgs[i].uid < q->from_uid || b->msgs[i].gone)
			continue;
		if (rows.n >= 3 * sizeof(row)) { /* small pages, so that there are several */
			m.more = 1;
			m.next_uid = b->msgs[i].uid;
			break;
		}
		wire_store_u32(row, b->msgs[i].uid);
		wire_store_u64(row + 16, b->msgs[i].size);
		buf_put(&rows, slice_of(row, sizeof(row)));
	}
	m.rows = buf_slice(&rows);
	fake_reply(f, FRONT_SESSION, IPC_mbox_rows, &m);
	buf_fini(&rows);
}

static void body_get(struct fake *f, const struct ipc_body_get *q)
{
	struct fake_msg *msg = msg_find(f, q->uid);
	struct ipc_body_data m = { .seq = q->seq, .last = 1 };
	struct slice rest;

	if (msg == NULL) {
		m.status = IPC_ST_NOTFOUND;
		fake_reply(f, FRONT_SESSION, IPC_body_data, &m);
		return;
	}
	rest = slice_part(buf_slice(&msg->body), q->off, q->len != 0 ? q->len : SIZE_MAX);
	do {
		m.data = slice_part(rest, 0, FAKE_CHUNK);
		rest = slice_from(rest, m.data.n);
		m.last = rest.n == 0;
		fake_reply(f, FRONT_SESSION, IPC_body_data, &m);
	} while (rest.n > 0);
}

static void expunge(struct fake *f, const struct ipc_msg_expunge *q)
{
	struct ipc_store_done m = { .seq = q->seq, .status = f->store_status };
	struct wire_reader r = wire_reader(q->uids);
	struct fake_box *b = &f->box[f->user];

	while (wire_left(&r) > 0 && f->store_status == IPC_ST_OK) {
		uint32_t first = wire_get_u32(&r), last = wire_get_u32(&r);

		for (unsigned i = 0; i < b->n; i++)
			if (b->msgs[i].uid >= first && b->msgs[i].uid <= last)
				b->msgs[i].gone = true;
	}
	fake_reply(f, FRONT_SESSION, IPC_store_done, &m);
}

static const struct {
	const char *name;
	uint32_t route, store;
} failures[] = {
	{ "nobody", IPC_ROUTE_UNKNOWN, 0 },
	{ "remote", IPC_ROUTE_NOTLOCAL, 0 },
	{ "loop", IPC_ROUTE_LOOP, 0 },
	{ "off", IPC_ROUTE_DISABLED, 0 },
	{ "asleep", IPC_ROUTE_OFF, 0 },
	{ "later", IPC_ROUTE_TRYLATER, 0 },
	{ "policy", IPC_ROUTE_OVERQUOTA, 0 },
	{ "refused", IPC_ROUTE_REFUSED, 0 },
	{ "null", IPC_ROUTE_DISCARD, 0 },
	{ "bounce", IPC_ROUTE_BOUNCED, 0 },
	{ "quota", IPC_ROUTE_OK, IPC_ST_OVERQUOTA },
	{ "tight", IPC_ROUTE_OK, IPC_ST_OK },
	{ "u1+narrow", IPC_ROUTE_OK, IPC_ST_OK },
	{ "u1+shrunk", IPC_ROUTE_OK, IPC_ST_OK },
	{ "full", IPC_ROUTE_OK, IPC_ST_FULL },
	{ "ioerr", IPC_ROUTE_OK, IPC_ST_TRYLATER },
	{ "toobig", IPC_ROUTE_OK, IPC_ST_TOOBIG },
};

static uint32_t handle_of(struct fake *f, struct slice name, unsigned user, uint32_t status)
{
	name = slice_part(name, 0, sizeof(f->handles[0].name) - 1);
	for (unsigned i = 0; i < f->n_handles; i++)
		if (slice_eq(name, slice_str(f->handles[i].name)))
			return i + 1;
	assert(f->n_handles < FAKE_HANDLES_MAX);
	memcpy(f->handles[f->n_handles].name, name.p, name.n);
	f->handles[f->n_handles].user = user;
	f->handles[f->n_handles].status = status;
	return ++f->n_handles;
}

/* A login's own address, also with a detail or with the name of another domain of ours. */
static void sender_ask(struct fake *f, const struct ipc_sender_ask *q)
{
	struct ipc_sender_reply m = { .seq = q->seq, .status = IPC_ROUTE_REFUSED };
	struct slice at = q->address, local = slice_take(&at, '@'), detail = local;
	struct slice name = slice_take(&detail, '+');
	bool own = user_number(name) == f->user && slice_find(at, '@') < 0 &&
		   !slice_eq(at, SLICE("example.org"));

	assert(f->conf.submission && f->user > 0);
	if (slice_eq(local, SLICE("later")))
		m.status = IPC_ROUTE_TRYLATER;
	else if (slice_eq(local, SLICE("off")))
		m.status = IPC_ROUTE_DISABLED;
	else if (own || q->address.n == 0)
		m.status = IPC_ROUTE_OK;
	f->sender_taken = m.status == IPC_ROUTE_OK;
	fake_reply(f, FRONT_RCPT, IPC_sender_reply, &m);
}

/* u1..u9, "many-N" (an account without a mailbox that we look at), or a failure. */
static void rcpt_ask(struct fake *f, const struct ipc_rcpt_ask *q)
{
	struct ipc_rcpt_reply m = { .seq = q->seq, .status = IPC_ROUTE_UNKNOWN };
	struct slice at = q->address, local = slice_take(&at, '@');
	unsigned user = user_number(local);

	assert(!f->conf.submission || f->sender_taken);
	if (user > 0 || slice_istarts(local, SLICE("many-")) ||
	    slice_ieq(local, SLICE("postmaster"))) {
		m.status = IPC_ROUTE_OK;
		m.handle = handle_of(f, local, user, IPC_ST_OK);
	}
	for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++) {
		if (!slice_eq(local, slice_str(failures[i].name)))
			continue;
		m.status = failures[i].route;
		if (m.status == IPC_ROUTE_OK)
			m.handle = handle_of(f, local, 0, failures[i].store);
		if (m.status == IPC_ROUTE_REFUSED)
			m.text = SLICE("not\r\nwanted");
	}
	if ((slice_eq(local, SLICE("tight")) && q->size > 5000) ||
	    (slice_eq(local, SLICE("u1+narrow")) && q->size > 20000))
		m.status = IPC_ROUTE_OVERQUOTA;
	fake_reply(f, FRONT_RCPT, IPC_rcpt_reply, &m);
}

static void post_begin(struct fake *f, const struct ipc_post_begin *m)
{
	struct wire_reader r = wire_reader(m->handles);

	assert(!f->post_open && m->handles.n % 4 == 0 && m->handles.n > 0);
	buf_reset(&f->post);
	f->post_open = true;
	f->post_tag = m->tag;
	f->post_together = m->together != 0;
	f->n_post_to = 0;
	while (wire_left(&r) > 0) {
		uint32_t h = wire_get_u32(&r);

		assert(h > 0 && h <= f->n_handles && f->n_post_to < FAKE_HANDLES_MAX);
		for (unsigned i = 0; i < f->n_post_to; i++)
			assert(f->post_to[i] != h);
		f->post_to[f->n_post_to++] = h;
	}
}

static void post_data(struct fake *f, const struct ipc_post_data *m)
{
	struct ipc_post_credit c = { .bytes = (uint32_t)m->data.n };

	assert(f->post_open && m->tag == f->post_tag);
	f->post_window -= (int64_t)m->data.n;
	assert(f->post_window >= 0);
	buf_put(&f->post, m->data);
	fake_reply(f, FRONT_POST, IPC_post_credit, &c);
}

static bool known_to_fail(uint32_t status)
{
	return status == IPC_ST_OVERQUOTA || status == IPC_ST_TOOBIG;
}

/* What all get when one of them is known to fail, and stands by itself. */
static uint32_t together_status(struct fake *f)
{
	for (unsigned i = 0; i < f->n_post_to && f->post_together; i++)
		if (known_to_fail(f->handles[f->post_to[i] - 1].status))
			return IPC_ST_TRYLATER;
	return IPC_ST_OK;
}

static void post_commit(struct fake *f)
{
	uint32_t all = together_status(f);

	assert(f->post_open);
	f->post_open = false;
	for (unsigned i = 0; i < f->n_post_to; i++) {
		uint32_t h = f->post_to[i];
		struct ipc_post_result m = { .tag = f->post_tag, .handle = h, .index = i };

		m.status = f->store_status != 0 ? f->store_status : f->handles[h - 1].status;
		if (slice_eq(slice_str(f->handles[h - 1].name), SLICE("u1+shrunk")) &&
		    f->post.n > 5000)
			m.status = IPC_ST_OVERQUOTA;
		if (m.status == IPC_ST_OK)
			m.status = all;
		if (m.status == IPC_ST_OK)
			fake_mail(f, f->handles[h - 1].user, buf_slice(&f->post));
		fake_reply(f, FRONT_POST, IPC_post_result, &m);
	}
}

void fake_serve(struct fake *f, enum ipc_type type, const union ipc_any *m)
{
	switch (type) {
	case IPC_auth_start:
		auth_start(f, &m->auth_start);
		break;
	case IPC_auth_step:
		auth_step(f, m->auth_step.data);
		break;
	case IPC_auth_cancel:
		refuse(f, IPC_AUTH_CANCELLED, SLICE(""));
		break;
	case IPC_mbox_open:
		mbox_open(f, m->mbox_open.seq);
		break;
	case IPC_mbox_scan:
		mbox_scan(f, &m->mbox_scan);
		break;
	case IPC_body_get:
		body_get(f, &m->body_get);
		break;
	case IPC_session_credit:
		f->window += m->session_credit.bytes;
		assert(f->window <= IPC_WINDOW_BYTES);
		break;
	case IPC_msg_expunge:
		expunge(f, &m->msg_expunge);
		break;
	case IPC_rcpt_ask:
		rcpt_ask(f, &m->rcpt_ask);
		break;
	case IPC_sender_ask:
		sender_ask(f, &m->sender_ask);
		break;
	case IPC_post_begin:
		post_begin(f, &m->post_begin);
		break;
	case IPC_post_data:
		post_data(f, &m->post_data);
		break;
	case IPC_post_commit:
		post_commit(f);
		break;
	case IPC_post_abort:
		f->post_open = false;
		break;
	default:
		if (!fake_admin_serve(f, type, m))
			assert(!"a message that no core sends");
	}
}
