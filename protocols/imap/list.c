/*
 * list - LIST with the options of RFC 5258, RFC 6154 and RFC 5819, and LSUB.
 *
 * stored's rows are collected, because what a name is depends on the names below it, which follow
 * it; then they are written as the client reads.
 */
#include "protocols/imap/list-private.h"

#include "common/base/wire.h"
#include "protocols/imap/match.h"
#include "protocols/imap/status.h"

#include <stdlib.h>

static void list_free(struct imap_job *j)
{
	struct list *l = (struct list *)j;

	buf_fini(&l->names);
	free(l->rows);
	free(l);
}

/* ---- rows ----------------------------------------------------------------------------------- */

static bool row_add(struct list *l, struct slice name, uint32_t attrs)
{
	if (l->n_rows == l->cap_rows) {
		size_t cap = l->cap_rows != 0 ? l->cap_rows * 2 : 64;
		struct row *r =
		    l->n_rows < LIST_ROWS_MAX ? realloc(l->rows, cap * sizeof(*r)) : NULL;

		if (r == NULL)
			return false;
		l->rows = r;
		l->cap_rows = cap;
	}
	l->rows[l->n_rows++] =
	    (struct row){ { NULL, name.n }, (uint32_t)l->names.n, attrs, 0, false, false };
	return buf_put(&l->names, name) == 0;
}

/* ---- what is asked for ---------------------------------------------------------------------- */

static bool is_foreign(struct slice prefix)
{
	return prefix.n > 0 && prefix.p[0] == '~' && slice_find(prefix, '/') > 0;
}

/* Of an own account only what no other question brings. */
static bool brought_again(const struct list *l, struct slice name)
{
	for (unsigned i = 0; !is_foreign(l->asks[l->asked - 1]) && i < l->n_asks; i++)
		if (is_foreign(l->asks[i]) && slice_starts(name, l->asks[i]))
			return true;
	return false;
}

static void ask_add(struct list *l, struct slice prefix)
{
	for (unsigned i = 0; i < l->n_asks; i++)
		if (slice_eq(l->asks[i], prefix))
			return;
	l->asks[l->n_asks++] = prefix;
}

/* Each account once: of several patterns all its names are asked for. */
static void asks_set(struct list *l)
{
	for (unsigned i = 0; i < l->n_patterns; i++) {
		struct slice prefix = match_prefix(l->patterns[i]);

		if (l->n_patterns > 1 && is_foreign(prefix))
			prefix = slice_part(prefix, 0, (size_t)slice_find(prefix, '/') + 1);
		else if (l->n_patterns > 1)
			prefix = SLICE_NONE;
		ask_add(l, prefix);
	}
}

static void ask_next(struct list *l)
{
	struct imap *s = l->job.s;
	struct ipc_mbox_list m = { .seq = ++s->seq, .prefix = l->asks[l->asked++] };

	l->seq = m.seq;
	imap_send(s, IPC_mbox_list, &m);
}

static bool is_below(struct slice name, struct slice parent)
{
	return name.n > parent.n && name.p[parent.n] == '/' && slice_starts(name, parent);
}

static bool selected(const struct list *l, const struct row *r)
{
	if ((l->select_subscribed || l->lsub) && (r->attrs & IPC_ATTR_SUBSCRIBED) == 0)
		return false;
	if (l->select_special && (r->attrs & IPC_ATTR_SPECIAL) == 0)
		return false;
	return l->select_subscribed || l->lsub || (r->attrs & IPC_ATTR_NONEXISTENT) == 0;
}

/* Rows come with all that is below a name behind it: who is above whom is one look at each. */
static void rows_join(struct list *l)
{
	uint32_t up = 0;

	for (size_t i = 0; i < l->n_rows; i++) {
		struct row *r = &l->rows[i];

		r->name.p = l->names.p + r->name_at;
		while (up != 0 && !is_below(r->name, l->rows[up - 1].name))
			up = l->rows[up - 1].up;
		r->up = up;
		up = (uint32_t)i + 1;
	}
	for (size_t i = l->n_rows; i-- > 0;) {
		const struct row *r = &l->rows[i];
		struct row *over = r->up != 0 ? &l->rows[r->up - 1] : NULL;

		if (over == NULL)
			continue;
		over->children |= r->children || (r->attrs & IPC_ATTR_NONEXISTENT) == 0;
		over->selected_below |= r->selected_below || selected(l, r);
	}
}

static void on_rows(struct list *l, const struct ipc_mbox_list_rows *m)
{
	struct wire_reader r = wire_reader(m->rows);
	bool good = m->status == IPC_ST_OK;

	while (good && wire_left(&r) > 0) {
		struct slice name;
		uint32_t attrs;

		wire_get_u64(&r);
		attrs = wire_get_u32(&r);
		wire_get_u32(&r);
		name = wire_get_bytes(&r, IMAP_MBOX_MAX);
		good = !r.bad && (brought_again(l, name) || row_add(l, name, attrs));
	}
	if (!good) {
		imap_store_failed(l->job.s, m->status != IPC_ST_OK ? m->status : IPC_ST_TRYLATER);
		return;
	}
	if (m->more != 0)
		return;
	if (l->asked < l->n_asks) {
		ask_next(l);
		return;
	}
	rows_join(l);
	l->complete = true;
}

static bool matches(const struct list *l, struct slice name)
{
	for (unsigned i = 0; i < l->n_patterns; i++)
		if (match_name(l->patterns[i], name))
			return true;
	return false;
}

/* ---- output --------------------------------------------------------------------------------- */

/* What CHILDINFO tells of is a child (RFC 5258 section 4), also where it is only subscribed. */
static void put_attrs(const struct list *l, struct writer *w, const struct row *r, bool child_info)
{
	write_open(w);
	if (l->lsub) {
		if ((r->attrs & (IPC_ATTR_NOSELECT | IPC_ATTR_NONEXISTENT)) != 0)
			write_atom(w, "\\Noselect");
		write_close(w);
		return;
	}
	/* A subscription to a mailbox of another account: nobody has looked whether it is there. */
	if ((r->attrs & IPC_ATTR_NONEXISTENT) != 0 && r->name.p[0] != '~')
		write_atom(w, "\\NonExistent");
	else if ((r->attrs & IPC_ATTR_NOSELECT) != 0)
		write_atom(w, "\\Noselect");
	if ((l->select_subscribed || l->return_subscribed) && (r->attrs & IPC_ATTR_SUBSCRIBED) != 0)
		write_atom(w, "\\Subscribed");
	write_atom(w, child_info || r->children ? "\\HasChildren" : "\\HasNoChildren");
	imap_put_uses(w, r->attrs);
	write_close(w);
}

/* RFC 5258 3: the selection options that something below the name meets. */
static void put_child_info(const struct list *l, struct writer *w)
{
	write_open(w);
	write_string(w, SLICE("CHILDINFO"));
	write_open(w);
	if (l->select_subscribed)
		write_string(w, SLICE("SUBSCRIBED"));
	if (l->select_special)
		write_string(w, SLICE("SPECIAL-USE"));
	write_close(w);
	write_close(w);
}

static void put_row(struct list *l, const struct row *r, bool child_info)
{
	struct writer w = imap_writer(l->job.s);

	write_untagged(&w);
	write_atom(&w, l->lsub ? "LSUB" : "LIST");
	put_attrs(l, &w, r, child_info);
	write_string(&w, SLICE("/"));
	write_mailbox(&w, r->name);
	if (child_info)
		put_child_info(l, &w);
	write_end(&w);
}

/* A name that is in no row: only above subscribed ones. */
static void put_implied(struct list *l, struct slice name)
{
	struct writer w = imap_writer(l->job.s);

	write_untagged(&w);
	write_atom(&w, l->lsub ? "LSUB" : "LIST");
	write_open(&w);
	write_atom(&w, l->lsub ? "\\Noselect" : "\\NonExistent");
	if (!l->lsub)
		write_atom(&w, "\\HasChildren");
	write_close(&w);
	write_string(&w, SLICE("/"));
	write_mailbox(&w, name);
	if (!l->lsub)
		put_child_info(l, &w);
	write_end(&w);
	l->implied = name;
}

/*
 * RFC 3501 6.3.9: "foo" for a pattern "%" when only "foo/bar" is subscribed; RFC 5258 3.5 with
 * RECURSIVEMATCH the same.
 */
static void put_ancestors(struct list *l, const struct row *r)
{
	bool told[IMAP_MBOX_MAX] = { 0 }; /* by length: those that have a row that tells of them */

	for (uint32_t up = r->up; up != 0; up = l->rows[up - 1].up)
		told[l->rows[up - 1].name.n] = !l->lsub || selected(l, &l->rows[up - 1]);
	for (size_t n = 1; n < r->name.n; n++) {
		struct slice up = slice_part(r->name, 0, n);

		if (r->name.p[n] == '/' && !told[n] && !slice_eq(up, l->implied) &&
		    !is_below(l->implied, up) && matches(l, up))
			put_implied(l, up);
	}
}

static void put_one(struct list *l, const struct row *r)
{
	bool chosen = selected(l, r), child_info = l->recursive && r->selected_below;

	if (chosen && (l->recursive || (l->lsub && !matches(l, r->name))))
		put_ancestors(l, r);
	if (!matches(l, r->name) || !(chosen || child_info))
		return;
	if (!chosen && (r->attrs & IPC_ATTR_NONEXISTENT) != 0 && !child_info)
		return;
	put_row(l, r, child_info);
	if (l->status != 0 && (r->attrs & (IPC_ATTR_NOSELECT | IPC_ATTR_NONEXISTENT)) == 0) {
		l->seq = imap_status_ask(l->job.s, r->name, l->status);
		l->waiting = true;
	}
}

static void list_go(struct imap_job *j)
{
	struct list *l = (struct list *)j;

	while (l->complete && !l->waiting && l->at < l->n_rows && !imap_full(j->s))
		put_one(l, &l->rows[l->at++]);
	if (l->complete && !l->waiting && l->at == l->n_rows)
		imap_done(j->s, IMAP_OK, NULL, "done");
}

static void list_msg(struct imap_job *j, enum ipc_type type, const union ipc_any *m)
{
	struct list *l = (struct list *)j;

	if (type == IPC_mbox_list_rows && m->mbox_list_rows.seq == l->seq && !l->complete)
		on_rows(l, &m->mbox_list_rows);
	if (type != IPC_mbox_status_is || m->mbox_status_is.seq != l->seq || !l->waiting)
		return;
	l->waiting = false;
	/* RFC 5819 2: a mailbox that cannot be looked at has no STATUS. */
	if (m->mbox_status_is.status == IPC_ST_OK)
		imap_status_put(j->s, l->rows[l->at - 1].name, l->status, &m->mbox_status_is);
}

static const struct imap_job_ops list_ops = {
	.on_msg = list_msg,
	.go = list_go,
	.free = list_free,
};

/* ---- the commands --------------------------------------------------------------------------- */

static void list_begin(struct list *l)
{
	asks_set(l);
	if (l->n_asks == 0)
		l->complete = true; /* nothing can match */
	else
		ask_next(l);
}

static struct list *list_new(struct imap *s)
{
	struct list *l = calloc(1, sizeof(*l));

	if (l == NULL) {
		imap_done(s, IMAP_NO, "UNAVAILABLE", "not enough memory");
		return NULL;
	}
	buf_init(&l->names, 256 * 1024 * 1024);
	imap_job_begin(s, &l->job, &list_ops);
	return l;
}

void imap_cmd_list(struct imap *s, struct parse *p)
{
	struct writer w = imap_writer(s);
	struct list *l = list_new(s);
	bool separator = false;

	if (l == NULL)
		return;
	list_args(p, l, &separator);
	if (!parse_end(p)) {
		imap_bad(s, p);
		return;
	}
	imap_status_enable(s, l->status);
	if (separator && !l->extended) {
		/* RFC 3501 6.3.8: the separator, and the root of the reference. */
		write_untagged(&w);
		write_atom(&w, "LIST");
		write_open(&w);
		write_atom(&w, "\\Noselect");
		write_close(&w);
		write_string(&w, SLICE("/"));
		write_string(&w, SLICE(""));
		write_end(&w);
		imap_done(s, IMAP_OK, NULL, "done");
		return;
	}
	list_begin(l);
}

void imap_cmd_lsub(struct imap *s, struct parse *p)
{
	struct list *l = list_new(s);

	if (l == NULL)
		return;
	l->lsub = true;
	parse_sp(p);
	list_pattern(p, l, list_reference(p));
	if (parse_end(p))
		list_begin(l);
	else
		imap_bad(s, p);
}
