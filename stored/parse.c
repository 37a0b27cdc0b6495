/*
 * parse - asks parsed for the facts of messages that came without any, one message after the other,
 * in the background. A message that ends parsed twice, cannot be read, or that parsed makes nothing
 * of is left alone until the next start: otherwise each FETCH of it would cost a parser again.
 */
#include "stored/store-private.h"

#include "common/base/log.h"

#include <stdlib.h>

struct parse_job {
	TAILQ_ENTRY(parse_job) link;
	struct mbox *mbox; /* its account is referred to */
	uint32_t uid, seq;
	struct engine_loc loc;
	uint64_t size, at;
	unsigned tries;
	bool sent, reading, dead; /* dead: freed when the read answers */
	bool lost;                /* not where its row says, either */
	struct store *st;
};

/* ---- what is left alone ---- */

/* A place for each by its hash: a newer one takes the place of an older. */
struct parse_bad {
	uint64_t mbox;
	uint32_t uid; /* 0: none */
};

static size_t bad_place(uint64_t mbox, uint32_t uid)
{
	return (size_t)((mbox + ((uint64_t)uid << 32)) * 0x9e3779b97f4a7c15u >> 32) % PARSE_BAD_MAX;
}

static bool is_bad(const struct mbox *m, uint32_t uid)
{
	const struct parse_bad *b = m->account->st->parse_bad;

	if (b == NULL)
		return false;
	b += bad_place(m->id, uid);
	return b->uid == uid && b->mbox == m->id;
}

static void bad_note(const struct parse_job *j)
{
	struct store *st = j->st;

	if (st->parse_bad == NULL)
		st->parse_bad = calloc(PARSE_BAD_MAX, sizeof(*st->parse_bad));
	if (st->parse_bad != NULL)
		st->parse_bad[bad_place(j->mbox->id, j->uid)] =
		    (struct parse_bad){ j->mbox->id, j->uid };
}

/* ---- jobs ---- */

static void job_free(struct parse_job *j)
{
	account_unref(j->mbox->account);
	free(j);
}

/* The first job is done with. */
static void job_end(struct parse_job *j)
{
	TAILQ_REMOVE(&j->st->jobs, j, link);
	j->st->n_jobs--;
	if (j->reading)
		j->dead = true;
	else
		job_free(j);
}

static void job_feed(struct parse_job *j);

/* It was not where it was when the job was made. */
static void on_place(void *arg, const struct engine_loc *loc)
{
	struct parse_job *j = arg;

	if (loc != NULL && memcmp(&j->loc, loc, sizeof(*loc)) != 0)
		j->loc = *loc;
	else
		j->lost = true;
	j->reading = false;
	if (j->dead)
		job_free(j);
	else if (!j->sent || j->st->parser == NULL)
		parse_start(j->st);
	else
		job_feed(j);
}

static void on_read(void *arg, int rc, struct slice data)
{
	struct parse_job *j = arg;
	struct store *st = j->st;

	st->in_flight--;
	j->reading = false;
	if (j->dead) {
		job_free(j);
		return;
	}
	if (!j->sent || st->parser == NULL) {
		parse_start(st); /* parsed was restarted meanwhile */
		return;
	}
	if (rc == ENGINE_NOTFOUND && !j->lost && place_find(j->mbox, j->uid, false, on_place, j)) {
		j->reading = true;
		return;
	}
	if (rc != ENGINE_OK || data.n == 0) {
		/* A damaged body has no facts; parsed must not wait for the rest of it. */
		struct peer *p = st->parser;

		/* One that is gone will not be asked for; an error may pass. */
		if (rc == ENGINE_CORRUPT)
			bad_note(j);
		job_end(j);
		peer_end(p);
		return;
	}
	j->at += data.n;
	while (data.n > 0) {
		struct ipc_parse_data d = { j->seq, slice_part(data, 0, 61440) };

		(void)ipc_send(st->parser->chan, IPC_parse_data, &d, NULL);
		data = slice_from(data, d.data.n);
	}
	job_feed(j);
}

static void job_feed(struct parse_job *j)
{
	struct store *st = j->st;

	if (j->reading || st->parser == NULL ||
	    ipc_chan_queued(st->parser->chan) > PARSE_WINDOW_BYTES)
		return;
	if (j->at == j->size) {
		j->at++; /* said once */
		(void)ipc_send(
		    st->parser->chan, IPC_parse_end, &(struct ipc_parse_end){ j->seq }, NULL);
		return;
	}
	if (j->at > j->size)
		return;
	j->reading = true;
	st->in_flight++;
	engine_body_read(store_engine(st), &j->loc, j->at, 64 << 10, on_read, j);
}

void parse_start(struct store *st)
{
	struct parse_job *j = TAILQ_FIRST(&st->jobs);
	struct ipc_parse_begin b;

	if (j == NULL || j->sent || j->reading || st->parser == NULL)
		return;
	j->sent = true;
	j->at = 0;
	j->tries++;
	j->seq = ++st->parse_seq;
	b = (struct ipc_parse_begin){ j->seq, j->mbox->account->id, j->size };
	(void)ipc_send(st->parser->chan, IPC_parse_begin, &b, NULL);
	job_feed(j);
}

bool parse_has(const struct mbox *m)
{
	struct parse_job *j;

	TAILQ_FOREACH(j, &m->account->st->jobs, link)
	if (j->mbox == m)
		return true;
	return false;
}

void parse_want(struct mbox *m, uint32_t uid, const struct engine_loc *loc, uint64_t size)
{
	struct store *st = m->account->st;
	struct parse_job *j;

	if (st->n_jobs >= PARSE_QUEUE_MAX || size > PARSE_BODY_MAX || is_bad(m, uid))
		return;
	TAILQ_FOREACH(j, &st->jobs, link)
	if (j->mbox == m && j->uid == uid)
		return;
	j = calloc(1, sizeof(*j));
	if (j == NULL)
		return;
	*j = (struct parse_job){ .mbox = m, .uid = uid, .loc = *loc, .size = size, .st = st };
	account_ref(m->account);
	TAILQ_INSERT_TAIL(&st->jobs, j, link);
	st->n_jobs++;
	parse_start(st);
}

/* Its reader died, perhaps of it. */
static void job_again(struct parse_job *j)
{
	j->sent = false;
	if (j->tries < PARSE_TRIES_MAX)
		return;
	log_ev(LOG_WARNING, "stored.unparsed", kv_u("mbox", j->mbox->id), kv_u("uid", j->uid));
	bad_note(j);
	job_end(j);
}

/* Facts that wait for their message's thread. */
struct parsed {
	struct mbox *mbox; /* pinned, its account is referred to */
	uint32_t uid;
	struct late_facts late; /* the facts are owned */
};

static void on_thread(void *arg, uint64_t thread)
{
	struct parsed *p = arg;
	struct account *a = p->mbox->account;

	p->late.thread = thread;
	change_facts(p->mbox, p->uid, &p->late);
	p->mbox->pins--;
	tree_reap(a);
	account_unref(a);
	free((void *)p->late.facts.p);
	free((void *)p->late.header.p);
	free(p);
}

static void facts_came(struct mbox *m, uint32_t uid, const struct ipc_parse_facts *q)
{
	struct parsed *p = calloc(1, sizeof(*p));

	if (p == NULL || slice_dup(q->facts, &p->late.facts) != 0 ||
	    slice_dup(q->header, &p->late.header) != 0) {
		if (p != NULL)
			free((void *)p->late.facts.p);
		free(p);
		return;
	}
	p->mbox = m;
	p->uid = uid;
	p->late.source = FACTS_PARSED;
	thread_ids_take(q->thread, &p->late.ids);
	m->pins++;
	account_ref(m->account);
	threads_find(m->account, &p->late.ids, on_thread, p);
}

void parse_facts(struct store *st, const struct ipc_parse_facts *q)
{
	struct parse_job *j = TAILQ_FIRST(&st->jobs);

	if (j == NULL || !j->sent || j->seq != q->seq) {
		store_bad_peer(st, "parsed", 0, "answer to nothing");
		peer_end(st->parser);
		return;
	}
	if (q->status == IPC_ST_OK && q->facts.n > 0)
		facts_came(j->mbox, j->uid, q);
	else if (q->status != IPC_ST_TRYLATER)
		bad_note(j);
	if (q->status == IPC_ST_TRYLATER)
		job_again(j);
	else
		job_end(j);
	parse_start(st);
}

void parse_peer_gone(struct store *st)
{
	struct parse_job *j = TAILQ_FIRST(&st->jobs);

	if (j == NULL || !j->sent)
		return;
	job_again(j);
}

void parse_drained(struct store *st)
{
	struct parse_job *j = TAILQ_FIRST(&st->jobs);

	if (j != NULL && j->sent)
		job_feed(j);
}

void parse_fini(struct store *st)
{
	struct parse_job *j;

	while ((j = TAILQ_FIRST(&st->jobs)) != NULL)
		job_end(j);
	free(st->parse_bad);
	st->parse_bad = NULL;
}
