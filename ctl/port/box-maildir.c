/* box-maildir - one Maildir: its files in the order of their uids, with flags, keywords and dates.
 */
#include "common/mail/maildir-text.h"
#include "ctl/port/tree-private.h"

#include "ctl/port/reach.h"

#include <errno.h>
#include <stdlib.h>

static int by_base(const void *a, const void *b)
{
	const struct uidlist_line *x = a, *y = b;

	return slice_cmp(x->base, y->base);
}

/* Files of cur or new; what they are called is checked when they are read. */
static int list_dir(struct source *s, struct source_box *b, const char *sub)
{
	struct tree *t = tree_of(s);
	struct slice path = tree_path(b->path, slice_str(sub));
	struct reach_name *v;
	size_t n;
	int error = reach_names(path, &v, &n);

	free((void *)path.p);
	if (error != 0 && error != ENOENT)
		port_left_errno(s->port, b->path, slice_str(sub), error);
	for (size_t i = 0; i < n; i++) {
		struct slice name = slice_str(v[i].name);
		struct maildir_name m;
		struct tree_entry *one;

		if (name.n == 0 || name.p[0] == '.')
			continue; /* no message, by the rules of Maildir */
		maildir_name_parse(name, &m);
		one = tree_entry_add(t);
		one->name = tree_path(slice_str(sub), name);
		one->key = tree_path(b->path, m.base);
	}
	reach_names_free(v, n);
	return error != 0 && error != ENOENT;
}

/* What our export called a file is worth as much as a line of the list. */
static uint32_t own_uid(const struct source_box *b, struct slice base)
{
	struct maildir_name m;

	maildir_name_parse(base, &m);
	return b->uidvalidity != 0 && m.uidvalidity == b->uidvalidity ? m.uid : 0;
}

/* The base within the key. */
static struct slice base_of(const struct source_box *b, const struct tree_entry *e)
{
	return slice_from(e->key, b->path.n > 0 ? b->path.n + 1 : 0);
}

static struct uidlist_line *uidlist_load(
    struct source *s, struct source_box *b, uint8_t **ret_text, size_t *ret_n)
{
	struct tree *t = tree_of(s);
	struct uidlist_line *v = NULL;
	struct uidlist l;
	size_t n = 0;
	uint32_t last = 0;

	*ret_n = 0;
	*ret_text = tree_slurp(t->dir, "dovecot-uidlist", &n);
	if (*ret_text == NULL || uidlist_begin(slice_of(*ret_text, n), &l) != 0) {
		if (*ret_text != NULL)
			port_note(s->port, "%.*s: its dovecot-uidlist cannot be read; uids are new",
			    SLICE_FMT(b->name));
		return NULL;
	}
	b->uidvalidity = l.uidvalidity;
	b->uidnext = l.uidnext;
	for (;;) {
		struct uidlist_line one;

		if (uidlist_next(&l, &one) != 0)
			break;
		if ((*ret_n & (*ret_n - 1)) == 0)
			v = reallocarray(v, *ret_n > 0 ? *ret_n * 2 : 1, sizeof(*v));
		if (v == NULL)
			abort();
		v[(*ret_n)++] = one;
		last = one.uid > last ? one.uid : last;
	}
	if (b->uidnext <= last)
		b->uidnext = last + 1;
	if (*ret_n > 0)
		qsort(v, *ret_n, sizeof(*v), by_base);
	return v;
}

/* A uid that two files claim is the first one's. */
static void uids_once(struct tree *t)
{
	for (size_t i = 1; i < t->n_entry; i++)
		if (t->entry[i].uid != 0 && t->entry[i].uid == t->entry[i - 1].uid)
			t->entry[i].uid = 0;
}

static int by_uid(const void *a, const void *b)
{
	const struct tree_entry *x = a, *y = b;
	uint32_t ux = x->uid - 1, uy = y->uid - 1; /* those without are last */

	if (ux != uy)
		return ux < uy ? -1 : 1;
	return slice_cmp(x->key, y->key);
}

int maildir_open(struct source *s, struct source_box *b)
{
	struct tree *t = tree_of(s);
	struct uidlist_line *list, *hit;
	uint8_t *text;
	size_t n = 0;

	t->dir = port_dup(b->path);
	t->text = tree_slurp(t->dir, "dovecot-keywords", &n);
	maildir_keywords_parse(slice_of(t->text, t->text != NULL ? n : 0), t->keywords);
	if (list_dir(s, b, "cur") + list_dir(s, b, "new") > 0)
		return 1;
	list = uidlist_load(s, b, &text, &n);
	for (size_t i = 0; i < t->n_entry; i++) {
		struct uidlist_line key = { .base = base_of(b, &t->entry[i]) };

		hit = n > 0 ? bsearch(&key, list, n, sizeof(*list), by_base) : NULL;
		t->entry[i].uid = hit != NULL ? hit->uid : own_uid(b, key.base);
		t->entry[i].thread = hit != NULL ? hit->thread : 0;
	}
	free(list);
	free(text);
	if (t->n_entry > 0)
		qsort(t->entry, t->n_entry, sizeof(*t->entry), by_uid);
	uids_once(t);
	if (t->n_entry > 0)
		qsort(t->entry, t->n_entry, sizeof(*t->entry), by_uid);
	b->n = t->n_entry;
	return 0;
}

static struct slice keywords_of(const struct tree *t, const struct maildir_name *m)
{
	struct buf b = BUF_INIT(64 << 10);
	struct slice own;

	for (unsigned i = 0; i < MAILDIR_LETTERS; i++) {
		if ((m->letters & 1u << i) == 0 || t->keywords[i].n == 0)
			continue;
		if (b.n > 0)
			buf_putc(&b, ' ');
		buf_put(&b, t->keywords[i]);
	}
	if (m->passed)
		buf_puts(&b, b.n > 0 ? " $Forwarded" : "$Forwarded");
	own = port_dup(buf_slice(&b));
	buf_fini(&b);
	return own;
}

int maildir_next(struct source *s, struct source_box *b, struct item *ret)
{
	struct tree *t = tree_of(s);
	const struct tree_entry *e;
	struct maildir_name m;

	if (t->at >= t->n_entry)
		return 1;
	e = &t->entry[t->at];
	maildir_name_parse(slice_from(e->name, 4), &m);
	*ret = (struct item){ .index = t->at++,
		.key = e->key,
		.uid = e->uid,
		.thread = e->thread,
		.flags = m.flags,
		.keywords = keywords_of(t, &m) };
	return 0;
}

int maildir_load(struct source *s, struct source_box *b, struct item *i)
{
	const struct tree_entry *e = &tree_of(s)->entry[i->index];
	struct maildir_name m;
	struct slice text;

	if (tree_load(s, b, e->name, i, &i->date_s) != 0)
		return 1;
	text = slice_of(i->map, i->map_n);
	maildir_name_parse(slice_from(e->name, 4), &m);
	i->unpack = m.uid != 0 ? unpack_exact(text) : unpack_lines(text);
	return 0;
}
