/*
 * table-verbs - the Router's table is read and set. A new table comes whole or in parts, is checked
 * wholly, and counts from when it is durable; until then, and after a refusal, the old one holds.
 */
#include "routerd/change.h"

#include "routerd/limits.h"
#include "routerd/rights.h"

#include <stdio.h>

static void table_apply(struct change *ch)
{
	struct directory *d = &ch->rd->db.dir;
	struct table *old = d->table;

	ch->rd->table_next = NULL;
	d->table = ch->table;
	ch->table = old;
}

static void table_undo(struct change *ch)
{
	ch->rd->table_next = NULL;
}

static void table_commit(struct request *q, struct table *take_table)
{
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
	change_commit(ch, b, b != NULL ? db_put_table(b, table_text(ch->table)) : 0);
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

static void set_table(struct request *q, struct slice text)
{
	struct table *t = NULL;
	struct buf refusal = BUF_INIT(200);
	const char *why = NULL;
	unsigned line = 0;
	int rc = table_compile(without_end(text), &t, &line, &why);

	if (rc == 0 && (line = table_takes_postmaster(&q->rd->db.dir, t)) > 0)
		why = "postmaster of the Main Domain may only lead to an account with the Master "
		      "right";
	if (rc == 0 && why == NULL && (line = dead_line(&q->rd->db.dir, t)) > 0)
		why = "this is a name of the Main Domain, which is taken off before the table is "
		      "looked at";
	if (rc < 0) {
		reply_error(q, IPC_DIR_TRYLATER, "out of memory");
	} else if (why == NULL && table_has_postmaster(&q->rd->db.dir, t) &&
		   guard_busy(q->rd)) {
		/* What it leads through could be going. */
		reply_error(q, IPC_DIR_TRYLATER, "another change is on its way: try again");
	} else if (why != NULL) {
		if (line > 0)
			buf_printf(&refusal, "line %u: %s", line, why);
		else
			buf_puts(&refusal, why);
		reply_error(q, IPC_DIR_BAD, buf_cstr(&refusal));
	} else {
		table_commit(q, t);
		t = NULL;
	}
	table_free(&t);
	buf_fini(&refusal);
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
