/*
 * table-verbs - the Router's table is read and set. A new table comes whole or in parts, is checked
 * wholly, and counts from when it is durable; until then, and after a refusal, the old one holds.
 */
#include "routerd/change.h"

#include "routerd/limits.h"
#include "routerd/rights.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>

static void table_apply(struct change *ch)
{
	struct directory *d = &ch->rd->db.dir;
	struct table *old = d->table;

	ch->rd->table_next = NULL;
	ch->rd->db.table_odd = false;
	d->table = ch->table;
	ch->table = old;
}

static void table_undo(struct change *ch)
{
	ch->rd->table_next = NULL;
}

static void table_commit(struct request *q, struct table *take_table)
{
	const struct db *db = &q->rd->db;
	struct slice was = db->table_odd ? SLICE_NONE : table_text(db->dir.table);
	struct change *ch;
	struct engine_batch *b;

	q->n = 0; /* the text is in the table */
	ch = change_new(q);
	if (ch == NULL) {
		table_free(&take_table);
		return;
	}
	ch->table = take_table;
	ch->apply = table_apply;
	ch->undo = table_undo;
	q->rd->table_next = ch->table;
	b = db_begin(&q->rd->db);
	change_commit(ch, b, b != NULL ? db_put_table(b, was, table_text(ch->table)) : 0);
}

/*
 * A record that would never be looked at: the names of the Main Domain are taken off before. For a
 * name of the Main Domain, one with its first name or with none is the way.
 */
static unsigned dead_line(const struct directory *d, const struct table *t)
{
	unsigned first = table_line_for(t, d->main->name, true), line;
	struct domain_alias *a, *tmp;

	HASH_ITER(hh, d->domain_aliases, a, tmp)
	{
		line = a->domain == d->main ? table_line_for(t, a->name, false) : 0;
		if (line > 0 && (first == 0 || line < first))
			first = line;
	}
	return first;
}

/* It is shown line by line, so that ends of lines behind the last are not seen: nor are they kept.
 */
static struct slice without_end(struct slice text)
{
	while (text.n > 0 && (text.p[text.n - 1] == '\n' || text.p[text.n - 1] == '\r'))
		text.n--;
	return text;
}

/* ---- a new table: compiled in steps, since nobody is answered during one ---- */

struct table_job {
	struct routerd *rd;
	struct dir_answer answer;
	struct table_build build;
	struct event *ev;
};

static void job_free(struct table_job **jp)
{
	struct table_job *job = *jp;

	*jp = NULL;
	if (job == NULL)
		return;
	if (job->ev != NULL)
		event_free(job->ev);
	table_free(&job->build.table);
	free(job);
}

static void refuse(struct request *q, unsigned line, const char *why)
{
	struct buf text = BUF_INIT(200);

	if (line > 0)
		buf_printf(&text, "line %u: %s", line, why);
	else
		buf_puts(&text, why);
	reply_error(q, IPC_DIR_BAD, buf_cstr(&text));
	buf_fini(&text);
}

/* The whole table, against what the directory is at this moment. */
static void check_and_commit(struct request *q, struct table *take_table)
{
	const struct directory *d = &q->rd->db.dir;
	struct table *t = take_table;
	unsigned line;

	if ((line = table_takes_postmaster(d, t)) > 0) {
		refuse(q, line,
		    "postmaster of the Main Domain may only lead to an account with the Master "
		    "right");
	} else if ((line = dead_line(d, t)) > 0) {
		refuse(q, line,
		    "this is a name of the Main Domain, which is taken off before the table is "
		    "looked at");
	} else if (table_has_postmaster(d, t) && guard_busy(q->rd)) {
		/* What it leads through could be going. */
		reply_error(q, IPC_DIR_TRYLATER, "another change is on its way: try again");
	} else {
		table_commit(q, t);
		t = NULL;
	}
	table_free(&t);
}

static void on_step(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval at_once = { 0, 0 };
	struct table_job *job = arg;
	struct request q = { .rd = job->rd, .answer = job->answer };
	struct table *t;
	int rc = table_step(&job->build, TABLE_STEP_LINES);

	if (rc == TABLE_MORE && event_add(job->ev, &at_once) == 0)
		return;
	if (rc == TABLE_WRONG)
		refuse(&q, job->build.line, job->build.why);
	else if (rc != 0)
		reply_error(&q, IPC_DIR_TRYLATER, "out of memory");
	t = rc == 0 ? job->build.table : NULL;
	if (rc == 0)
		job->build.table = NULL;
	job_free(&job->rd->table_job);
	if (t != NULL)
		check_and_commit(&q, t);
}

static void set_table(struct request *q, struct slice text)
{
	struct table_job *job;

	if (q->rd->table_job != NULL || q->rd->table_next != NULL) {
		reply_error(q, IPC_DIR_TRYLATER, "another table is on its way: try again");
		return;
	}
	job = calloc(1, sizeof(*job));
	if (job == NULL || table_begin(without_end(text), &job->build) != 0 ||
	    (job->ev = evtimer_new(q->rd->base, on_step, job)) == NULL) {
		job_free(&job);
		reply_error(q, IPC_DIR_TRYLATER, "out of memory");
		return;
	}
	job->rd = q->rd;
	job->answer = q->answer;
	q->rd->table_job = job;
	on_step(-1, 0, job);
}

void table_job_end(struct routerd *rd)
{
	job_free(&rd->table_job);
}

void verb_router_set_table(struct request *q)
{
	struct buf *parts = q->table_parts;
	bool first, last;

	if (q->n == 1) {
		set_table(q, q->args[0]);
		return;
	}
	first = slice_ieq(q->args[0], SLICE("first"));
	last = slice_ieq(q->args[0], SLICE("last"));
	if (!first && !last && !slice_ieq(q->args[0], SLICE("more"))) {
		reply_error(q, IPC_DIR_BAD, "a part of the table is first, more or last");
		return;
	}
	if (first)
		buf_reset(parts);
	buf_put(parts, q->args[1]);
	if (parts->overflow) {
		/* Stays so until the next first part: what follows is refused, too. */
		reply_error(q, IPC_DIR_BAD, "the table is too long");
		return;
	}
	if (!last) {
		done(q);
		return;
	}
	set_table(q, buf_slice(parts));
	buf_fini(parts);
}

void verb_router_table(struct request *q)
{
	struct slice text = table_text(q->rd->db.dir.table);
	uint64_t first = 1, count = UINT64_MAX;

	if ((q->n > 0 && slice_u64(q->args[0], UINT32_MAX, &first) != 0) ||
	    (q->n > 1 && slice_u64(q->args[1], UINT32_MAX, &count) != 0)) {
		reply_error(q, IPC_DIR_BAD, "the first line and the count are numbers");
		return;
	}
	for (uint64_t line = 1; text.n > 0 && count > 0; line++) {
		struct slice one = slice_take(&text, '\n');

		if (line < first)
			continue;
		item(q, one);
		count--;
	}
	done(q);
}
