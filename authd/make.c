/*
 * make - accounts that the external helper knows and routerd does not: made at the first login, or
 * the first mail.
 *
 * Invariant: about one name one question is under way, whoever waits for its answer, and what a
 * dictionary of names reaches the helper with is a trickle. A login that waited is opened by its
 * own password only: the one that made the account, or one that is asked about afterwards.
 */
#include "authd/dialogue-private.h"

#include "authd/limits.h"
#include "common/base/clock.h"
#include "common/base/log.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>

enum { NAME_MAX = 400, SECOND_MS = 1000 };

/* One that waits for an account: a login, or a mail of routerd's. */
struct waiter {
	TAILQ_ENTRY(waiter) link;
	struct making *making;
	struct dialogue *d; /* NULL: a mail */
	uint32_t mail_seq;
};

struct making {
	struct authd *a;
	UT_hash_handle hh;
	char name[NAME_MAX + 1];
	uint32_t seq; /* of the question to the helper, then of that to routerd */
	bool making;  /* routerd is asked */
	bool keep;
	struct secret password; /* of the login that is asked about; none: a mail */
	struct event *timer;
	size_t n;
	TAILQ_HEAD(, waiter) waiters;
};

/* ---- how many questions ---- */

struct bucket {
	UT_hash_handle hh;
	char domain[256];
	int64_t at_ms;
	unsigned left; /* of this second */
};

static bool may_ask(struct authd *a, const char *name)
{
	const char *domain = strrchr(name, '@');
	struct bucket *b = NULL;
	int64_t now = clock_mono_ms();

	domain = domain != NULL ? domain + 1 : name;
	HASH_FIND_STR(a->buckets, domain, b);
	if (b == NULL && HASH_COUNT(a->buckets) >= MAKE_DOMAINS_MAX) {
		b = a->buckets; /* the oldest */
		HASH_DEL(a->buckets, b);
		free(b);
		b = NULL;
	}
	if (b == NULL) {
		b = calloc(1, sizeof(*b));
		if (b == NULL)
			return false;
		snprintf(b->domain, sizeof(b->domain), "%s", domain);
		HASH_ADD_STR(a->buckets, domain, b);
	}
	if (now - b->at_ms >= SECOND_MS) {
		b->at_ms = now;
		b->left = MAKE_PER_S;
	}
	if (b->left == 0)
		return false;
	b->left--;
	return true;
}

/* ---- those that wait ---- */

static void waiter_free(struct waiter *w)
{
	TAILQ_REMOVE(&w->making->waiters, w, link);
	w->making->n--;
	if (w->d != NULL)
		w->d->waiter = NULL;
	free(w);
}

void make_leave(struct dialogue *d)
{
	if (d->waiter != NULL)
		waiter_free(d->waiter);
}

static void tell_mail(struct authd *a, uint32_t seq, enum ipc_route_status status)
{
	struct ipc_provision_reply m = { .seq = seq, .status = status };

	if (a->routerd != NULL)
		ipc_send(a->routerd, IPC_provision_reply, &m, NULL);
}

void make_refuse(struct dialogue *d)
{
	if (d->hide)
		dialogue_refuse(d, IPC_AUTH_BAD, SLICE_NONE);
	else
		dialogue_refuse(d, IPC_AUTH_ROUTE, slice_str(d->text));
}

/* One of them hears that there is none (UNKNOWN), or not now (TRYLATER); a login also that the
 * password is wrong (REFUSED). */
static void let_down(struct waiter *w, enum ipc_route_status status)
{
	struct authd *a = w->making->a;
	struct dialogue *d = w->d;
	uint32_t seq = w->mail_seq;

	waiter_free(w);
	if (d == NULL)
		tell_mail(a, seq, status == IPC_ROUTE_REFUSED ? IPC_ROUTE_UNKNOWN : status);
	else if (status == IPC_ROUTE_UNKNOWN)
		make_refuse(d);
	else
		dialogue_refuse(
		    d, status == IPC_ROUTE_REFUSED ? IPC_AUTH_BAD : IPC_AUTH_TRYLATER, SLICE_NONE);
}

static bool same_password(const struct making *k, const struct waiter *w)
{
	return w->d != NULL && k->password.p != NULL &&
	       secret_eq(secret_slice(&k->password), secret_slice(&w->d->password));
}

/* ---- a name ---- */

static void making_destroy(struct making *k)
{
	if (k->timer != NULL)
		event_free(k->timer);
	if (k->password.p != NULL)
		secret_fini(&k->password);
	free(k);
}

static void making_free(struct making *k)
{
	HASH_DEL(k->a->makings, k);
	making_destroy(k);
}

/* Everybody hears the same, and that is the end of it. Who hears it may come again at once, which
 * must be a new beginning: so the name is free before. */
static void end_all(struct making *k, enum ipc_route_status status)
{
	HASH_DEL(k->a->makings, k);
	while (!TAILQ_EMPTY(&k->waiters))
		let_down(TAILQ_FIRST(&k->waiters), status);
	making_destroy(k);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	end_all(arg, IPC_ROUTE_TRYLATER);
}

static void set_timer(struct making *k)
{
	static const struct timeval tv = { SOURCE_WAIT_MS / 1000, 0 };

	event_add(k->timer, &tv);
}

/* About the first of those that wait. */
static void ask(struct making *k)
{
	struct waiter *first = TAILQ_FIRST(&k->waiters);
	struct ipc_source_ask m = { .source = IPC_SOURCE_EXT,
		.create = 1,
		.name = slice_str(k->name),
		.service = first->d != NULL ? SLICE("login") : SLICE("mail") };

	if (k->password.p != NULL)
		secret_fini(&k->password);
	if (k->a->source == NULL ||
	    (first->d != NULL &&
		secret_init(&k->password, secret_slice(&first->d->password)) != 0)) {
		end_all(k, IPC_ROUTE_TRYLATER);
		return;
	}
	if (first->d != NULL)
		m.password = secret_slice(&k->password);
	k->seq = m.seq = ++k->a->next_seq;
	set_timer(k);
	ipc_send(k->a->source, IPC_source_ask, &m, NULL);
}

static struct making *making_new(struct authd *a, const char *name)
{
	struct making *k = HASH_COUNT(a->makings) < MAKINGS_MAX ? calloc(1, sizeof(*k)) : NULL;

	if (k == NULL)
		return NULL;
	k->a = a;
	snprintf(k->name, sizeof(k->name), "%s", name);
	TAILQ_INIT(&k->waiters);
	HASH_ADD_STR(a->makings, name, k);
	k->timer = evtimer_new(a->base, on_timer, k);
	if (k->timer == NULL) {
		making_free(k);
		return NULL;
	}
	return k;
}

/*
 * OK: it waits now (or has been let down already). UNKNOWN: too many names of the domain are asked
 * about. TRYLATER.
 */
static enum ipc_route_status join(
    struct authd *a, struct slice name, struct dialogue *d, uint32_t mail_seq)
{
	char text[NAME_MAX + 1];
	struct making *k = NULL;
	struct waiter *w;
	bool is_new;

	snprintf(text, sizeof(text), "%.*s", SLICE_FMT(name));
	HASH_FIND_STR(a->makings, text, k);
	is_new = k == NULL;
	if (a->source == NULL || (!is_new && k->n >= MAKE_WAITERS_MAX))
		return IPC_ROUTE_TRYLATER;
	if (is_new && !may_ask(a, text))
		return IPC_ROUTE_UNKNOWN;
	if (is_new)
		k = making_new(a, text);
	w = k != NULL ? calloc(1, sizeof(*w)) : NULL;
	if (w == NULL) {
		if (is_new && k != NULL)
			making_free(k);
		return IPC_ROUTE_TRYLATER;
	}
	*w = (struct waiter){ .making = k, .d = d, .mail_seq = mail_seq };
	TAILQ_INSERT_TAIL(&k->waiters, w, link);
	k->n++;
	if (d != NULL)
		d->waiter = w;
	if (is_new)
		ask(k);
	return IPC_ROUTE_OK;
}

/* ---- logins ---- */

/* Failed logins are counted by number; no account has one as high. FNV-1a: who finds a collision
 * has locked out two names in place of one. */
static uint64_t guess_key(struct slice name)
{
	uint64_t h = 0xcbf29ce484222325;

	for (size_t i = 0; i < name.n; i++)
		h = (h ^ name.p[i]) * 0x100000001b3;
	return h | 1ull << 63;
}

bool make_may(struct dialogue *d, const struct ipc_route_login_reply *m)
{
	uint64_t key = guess_key(m->name);

	if (m->status != IPC_ROUTE_UNKNOWN || (m->flags & IPC_LOGIN_MAKE) == 0 || d->work == NULL ||
	    d->acting.n > 0 || !conditions_clear_text(d) ||
	    (d->a->helpers & 1u << IPC_SOURCE_EXT) == 0 || failures_over(d->a, key, MAKE_FAIL_MAX))
		return false;
	d->make = true;
	d->guess = key;
	d->fail_s = MAKE_FAIL_S;
	snprintf(d->text, sizeof(d->text), "%.*s", SLICE_FMT(m->text));
	buf_reset(&d->name);
	buf_put(&d->name, m->name);
	return true;
}

static void wait_for_it(struct dialogue *d)
{
	enum ipc_route_status status;

	d->state = DLG_MAKE;
	dialogue_set_deadline(d, 0); /* the name has one */
	status = join(d->a, buf_slice(&d->name), d, 0);
	if (status == IPC_ROUTE_UNKNOWN)
		make_refuse(d);
	else if (status != IPC_ROUTE_OK)
		dialogue_refuse(d, IPC_AUTH_TRYLATER, SLICE_NONE);
}

void make_begin(struct dialogue *d, struct slice password)
{
	struct making *k = NULL;
	const char *name;

	work_free(&d->work);
	if (password.n == 0) {
		make_refuse(d);
		return;
	}
	if (secret_init(&d->password, password) != 0) {
		dialogue_refuse(d, IPC_AUTH_TRYLATER, SLICE_NONE);
		return;
	}
	d->own_known = false;
	name = buf_cstr(&d->name);
	if (name != NULL)
		HASH_FIND_STR(d->a->makings, name, k);
	/* It took the worker some time to say no: the account may have been made meanwhile. */
	if (k == NULL)
		dialogue_ask_route(d);
	else
		wait_for_it(d);
}

void make_on_route(struct dialogue *d, const struct ipc_route_login_reply *m)
{
	if (m->status == IPC_ROUTE_UNKNOWN && (m->flags & IPC_LOGIN_MAKE) != 0)
		wait_for_it(d);
	else if (m->status == IPC_ROUTE_TRYLATER)
		dialogue_refuse(d, IPC_AUTH_TRYLATER, SLICE_NONE);
	else
		make_refuse(d);
}

/* ---- mail ---- */

void make_for_mail(struct authd *a, const struct ipc_provision_ask *m)
{
	enum ipc_route_status status = IPC_ROUTE_UNKNOWN;

	if ((a->helpers & 1u << IPC_SOURCE_EXT) != 0) {
		status = join(a, m->name, NULL, m->seq);
		/* Its sender's server tries again; a bounce could not be taken back. */
		if (status == IPC_ROUTE_UNKNOWN)
			status = IPC_ROUTE_TRYLATER;
	}
	if (status != IPC_ROUTE_OK)
		tell_mail(a, m->seq, status);
}

/* ---- answers ---- */

static struct making *by_seq(struct authd *a, uint32_t seq, bool making)
{
	struct making *k, *tmp;

	HASH_ITER(hh, a->makings, k, tmp)
	if (k->seq == seq && k->making == making)
		return k;
	return NULL;
}

/* That password is wrong, and so it is for who typed the same. The next one asks with his own. */
static void said_no(struct making *k)
{
	struct waiter *w = TAILQ_FIRST(&k->waiters), *next;
	bool was_mail = k->password.p == NULL;

	if (w != NULL && was_mail && w->d == NULL)
		let_down(w, IPC_ROUTE_UNKNOWN);
	for (w = TAILQ_FIRST(&k->waiters); w != NULL; w = next) {
		next = TAILQ_NEXT(w, link);
		if (same_password(k, w))
			let_down(w, IPC_ROUTE_REFUSED);
	}
	if (TAILQ_EMPTY(&k->waiters))
		making_free(k);
	else if (!may_ask(k->a, k->name))
		end_all(k, IPC_ROUTE_TRYLATER);
	else
		ask(k);
}

static void said_yes(struct making *k, const struct ipc_source_answer *m)
{
	struct ipc_account_new new = {
		.name = slice_str(k->name), .quota = m->quota, .real_name = m->real_name
	};

	if (k->a->routerd == NULL) {
		end_all(k, IPC_ROUTE_TRYLATER);
		return;
	}
	k->making = true;
	k->keep = m->keep != 0;
	k->seq = new.seq = ++k->a->next_seq;
	set_timer(k);
	ipc_send(k->a->routerd, IPC_account_new, &new, NULL);
}

void make_on_source(struct authd *a, const struct ipc_source_answer *m)
{
	struct making *k = by_seq(a, m->seq, false);

	if (k == NULL)
		return;
	if (m->status == IPC_SOURCE_YES)
		said_yes(k, m);
	else if (m->status == IPC_SOURCE_NO)
		said_no(k);
	else
		end_all(
		    k, m->status == IPC_SOURCE_UNKNOWN ? IPC_ROUTE_UNKNOWN : IPC_ROUTE_TRYLATER);
}

/* The account is there: mail goes on to it, logins to what its settings say (sources_made()). */
static void let_in(struct making *k, uint64_t account, bool made)
{
	struct waiter *w;

	while ((w = TAILQ_FIRST(&k->waiters)) != NULL) {
		struct dialogue *d = w->d;
		uint32_t seq = w->mail_seq;
		bool same = same_password(k, w);

		waiter_free(w);
		if (d == NULL) {
			tell_mail(k->a, seq, IPC_ROUTE_OK);
			continue;
		}
		d->make = false;
		d->confirmed = same ? account : 0;
		d->kept = same && k->keep;
		d->later |= !made; /* it may have an own password by now */
		dialogue_ask_route(d);
	}
}

void make_on_new(struct authd *a, const struct ipc_account_new_reply *m)
{
	struct making *k = by_seq(a, m->seq, true);

	if (k == NULL)
		return;
	if (m->status != IPC_ROUTE_OK) {
		end_all(k, m->status == IPC_ROUTE_UNKNOWN ? IPC_ROUTE_UNKNOWN : IPC_ROUTE_TRYLATER);
		return;
	}
	if (m->made != 0)
		log_ev(LOG_NOTICE | LOG_AUDIT, "auth.made", kv_s("user", k->name),
		    kv_u("account", m->account),
		    kv_s("why", k->password.p != NULL ? "login" : "mail"));
	/* Of one that an administrator was quicker to make, its settings decide. */
	k->keep = k->keep && m->made != 0;
	if (k->keep && k->password.p != NULL)
		keep_first_password(a, m->account, slice_str(k->name), secret_slice(&k->password));
	let_in(k, m->account, m->made != 0);
	making_free(k);
}

void make_on_peer_gone(struct authd *a)
{
	struct making *k, *tmp;

	HASH_ITER(hh, a->makings, k, tmp)
	{
		if (a->routerd == NULL || (!k->making && a->source == NULL))
			end_all(k, IPC_ROUTE_TRYLATER);
	}
}

void make_fini(struct authd *a)
{
	struct bucket *b, *tmp;

	while (a->makings != NULL)
		end_all(a->makings, IPC_ROUTE_TRYLATER);
	HASH_ITER(hh, a->buckets, b, tmp)
	{
		HASH_DEL(a->buckets, b);
		free(b);
	}
}
