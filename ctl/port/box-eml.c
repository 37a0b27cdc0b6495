/* box-eml - messages in files of their own (.eml), one or a directory of them. */
#include "ctl/port/tree-private.h"

#include "common/mail/date.h"
#include "common/mail/header.h"

#include "ctl/port/reach.h"

#include <stdlib.h>

bool eml_is(struct slice name)
{
	return name.n > 4 && slice_ieq(slice_from(name, name.n - 4), SLICE(".eml"));
}

int eml_open(struct source *s, struct source_box *b)
{
	struct tree *t = tree_of(s);
	struct reach_name *v;
	struct tree_entry *one;
	size_t n;
	int error;

	if (eml_is(b->path)) {
		t->dir = port_dup(SLICE_NONE);
		one = tree_entry_add(t);
		one->name = port_dup(b->path);
		one->key = port_dup(b->path);
		b->n = 1;
		return 0;
	}
	t->dir = port_dup(b->path);
	error = reach_names(b->path, &v, &n);
	if (error != 0) {
		port_left_errno(s->port, b->path, SLICE_NONE, error);
		return 1;
	}
	for (size_t i = 0; i < n; i++) {
		struct slice name = slice_str(v[i].name);

		if (!eml_is(name) || name.p[0] == '.')
			continue;
		one = tree_entry_add(t);
		one->name = port_dup(name);
		one->key = tree_path(b->path, name);
	}
	reach_names_free(v, n);
	b->n = t->n_entry;
	return 0;
}

int eml_next(struct source *s, struct source_box *b, struct item *ret)
{
	struct tree *t = tree_of(s);

	if (t->at >= t->n_entry)
		return 1;
	*ret = (struct item){ .index = t->at, .key = t->entry[t->at].key };
	t->at++;
	return 0;
}

/* Of our own export: "1700000000.U12V345.FS.eml", byte for byte. */
static bool made_here(struct slice name, struct item *i)
{
	static const char letters[] = "DFRST";
	static const uint32_t flags[] = { IPC_FLAG_DRAFT, IPC_FLAG_FLAGGED, IPC_FLAG_ANSWERED,
		IPC_FLAG_SEEN, IPC_FLAG_DELETED };
	struct slice time = slice_take(&name, '.'), uid = slice_take(&name, '.');
	uint64_t n;

	if (slice_u64(time, INT64_MAX, &n) != 0 || !slice_starts(uid, SLICE("U")))
		return false;
	for (name.n -= name.n >= 4 ? 4 : name.n; name.n > 0; name = slice_from(name, 1)) {
		const char *at = name.p[0] != '\0' ? strchr(letters, name.p[0]) : NULL;

		if (at == NULL)
			return false;
		i->flags |= flags[at - letters];
	}
	return true;
}

/* When it came: the newest Received line ends with it; then Date; then the file's own time. */
static int64_t date_of(struct slice text, int64_t mtime)
{
	struct slice value;
	struct mail_date d;
	ptrdiff_t semi;

	if (header_find(text, SLICE("Received"), &value) && (semi = slice_rfind(value, ';')) >= 0 &&
	    mail_date_parse(slice_from(value, (size_t)semi + 1), &d) == 0)
		return d.unix_s;
	if (header_find(text, SLICE("Date"), &value) && mail_date_parse(value, &d) == 0)
		return d.unix_s;
	return mtime;
}

int eml_load(struct source *s, struct source_box *b, struct item *i)
{
	const struct tree_entry *e = &tree_of(s)->entry[i->index];
	struct slice text;
	int64_t mtime;

	if (tree_load(s, b, e->name, i, &mtime) != 0)
		return 1;
	text = slice_of(i->map, i->map_n);
	if (made_here(e->name, i)) {
		i->unpack = unpack_exact(text);
		i->date_s = mtime;
	} else {
		i->unpack = unpack_lines(text);
		i->date_s = date_of(text, mtime);
	}
	return 0;
}
