/* tree - what mailboxes a file or directory holds: Maildirs, mboxes, folders with .eml files. */
#include "ctl/port/tree-private.h"

#include "common/base/io.h"
#include "common/mail/maildir-text.h"
#include "ctl/port/reach.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { DEPTH_MAX = 64, SMALL_FILE_MAX = 256 << 20 };

/* ---- files ---- */

struct slice tree_path(struct slice dir, struct slice name)
{
	return port_join(dir, dir.n > 0 && name.n > 0 ? "/" : "", name);
}

static int file_open(struct slice dir, struct slice name, uint64_t *ret_size, int64_t *ret_mtime)
{
	struct slice path = tree_path(dir, name);
	int fd = reach_file(path, ret_size, ret_mtime), error = errno;

	free((void *)path.p);
	errno = error;
	return fd;
}

int tree_map(struct slice dir, struct slice name, void **ret_map, size_t *ret_n, int64_t *ret_mtime)
{
	uint64_t size = 0;
	int fd = file_open(dir, name, &size, ret_mtime), error = fd < 0 ? errno : 0;

	*ret_map = NULL;
	*ret_n = 0;
	if (fd >= 0 && size > 0) {
		*ret_map = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
		error = *ret_map == MAP_FAILED ? errno : 0;
	}
	if (error == 0)
		*ret_n = size;
	else
		*ret_map = NULL;
	fd_close(&fd);
	return error;
}

int tree_load(
    struct source *s, struct source_box *b, struct slice name, struct item *i, int64_t *ret_mtime)
{
	int error = tree_map(tree_of(s)->dir, name, &i->map, &i->map_n, ret_mtime);

	i->size = i->map_n;
	if (error != 0 && error != EINVAL)
		port_left_errno(s->port, b->path, name, error);
	else if (error != 0 || i->map_n == 0)
		port_left(s->port, b->path, name,
		    error != 0 ? "not a regular file" : "the file is empty");
	return error != 0 || i->map_n == 0;
}

uint8_t *tree_slurp(struct slice dir, const char *name, size_t *ret_n)
{
	uint64_t size;
	int64_t mtime;
	uint8_t *p = NULL;
	int fd = file_open(dir, slice_str(name), &size, &mtime);

	if (fd >= 0 && io_slurp(fd, SMALL_FILE_MAX, &p, ret_n) != 0)
		p = NULL;
	fd_close(&fd);
	return p;
}

/* ---- entries of the open mailbox ---- */

struct tree_entry *tree_entry_add(struct tree *t)
{
	struct tree_entry *v;

	if ((t->n_entry & (t->n_entry - 1)) == 0) {
		v = reallocarray(t->entry, t->n_entry > 0 ? t->n_entry * 2 : 1, sizeof(*v));
		if (v == NULL)
			abort();
		t->entry = v;
	}
	t->entry[t->n_entry] = (struct tree_entry){ 0 };
	return &t->entry[t->n_entry++];
}

void tree_entries_free(struct tree *t)
{
	for (size_t i = 0; i < t->n_entry; i++) {
		free((void *)t->entry[i].name.p);
		free((void *)t->entry[i].key.p);
	}
	free(t->entry);
	t->entry = NULL;
	t->n_entry = t->at = 0;
}

/* ---- looking around ---- */

/* Files that mail programs keep beside the mail. */
static bool no_mail(struct slice name)
{
	static const char *const starts[] = { ".", "dovecot", "maildir", "courier", "subscriptions",
		"gatehouse-", "cyrus." };
	static const char *const ends[] = { ".msf", ".lock", ".index", ".cache", ".log" };

	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++)
		if (slice_starts(name, slice_str(starts[i])))
			return true;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		size_t n = strlen(ends[i]);

		if (name.n > n && slice_eq(slice_from(name, name.n - n), slice_str(ends[i])))
			return true;
	}
	return false;
}

static void add_box(struct source *s, int kind, struct slice path, struct slice name)
{
	struct source_box b = {
		.kind = kind, .path = port_dup(path), .name = port_name(s->port, name)
	};

	source_add(s, &b);
}

/* What a directory holds. NULL: told. */
struct listing {
	struct reach_name *v;
	size_t n;
};

static bool list(struct source *s, struct slice path, struct listing *ret)
{
	int error = reach_names(path, &ret->v, &ret->n);

	if (error != 0)
		port_left_errno(s->port, path, SLICE_NONE, error);
	return error == 0;
}

static bool is_maildir(const struct listing *l)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].kind == 'd' &&
		    (strcmp(l->v[i].name, "cur") == 0 || strcmp(l->v[i].name, "new") == 0))
			return true;
	return false;
}

/* 0: it is one, 1: it is empty, 2: it is none; -1 and errno. */
static int mbox_look(struct slice dir, struct slice name)
{
	uint64_t size = 0;
	int64_t mtime;
	char head[5] = "";
	int fd = file_open(dir, name, &size, &mtime), r;

	if (fd < 0)
		return -1;
	r = size == 0 ? 1 : io_read_all(fd, head, 5) == 0 && memcmp(head, "From ", 5) == 0 ? 0 : 2;
	fd_close(&fd);
	return r;
}

/* Without ".mbox" and the like; the inbox by its usual names. */
static struct slice file_box(struct slice name, bool top)
{
	static const char *const ends[] = { ".mbox", ".mbx", ".sbd" };

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		size_t n = strlen(ends[i]);

		if (name.n > n && slice_eq(slice_from(name, name.n - n), slice_str(ends[i])))
			name.n -= n;
	}
	if (top && (slice_ieq(name, SLICE("inbox")) || slice_eq(name, SLICE("mbox"))))
		return SLICE("INBOX");
	return name;
}

static void walk(
    struct source *s, const struct listing *l, struct slice path, struct slice box, unsigned depth);

static void subscriptions(struct source *s, uint8_t sep)
{
	static const char *const names[] = { "subscriptions", ".subscriptions" };

	for (size_t i = 0; i < 2; i++) {
		size_t n = 0;
		uint8_t *text = tree_slurp(SLICE_NONE, names[i], &n);
		struct buf name = BUF_INIT(4096);
		struct slice raw;
		struct subs subs;
		int r;

		subs_begin(slice_of(text, text != NULL ? n : 0), sep, &subs);
		while ((r = subs_next(&subs, &name, &raw)) != MAILDIR_END) {
			if (r == 0)
				source_subscribe(s, buf_slice(&name));
			else
				port_left(
				    s->port, slice_str(names[i]), raw, "no name of a mailbox");
			buf_reset(&name);
		}
		buf_fini(&name);
		free(text);
	}
}

/* A directory below: of a Maildir++, or a level of a tree. */
static void walk_dir(
    struct source *s, struct slice name, struct slice path, struct slice box, unsigned depth)
{
	struct buf level = BUF_INIT(4096);
	bool folder = name.p[0] == '.';
	struct slice plain = folder ? slice_from(name, 1) : file_box(name, box.n == 0);
	struct slice child = tree_path(path, name), sub;
	struct listing l;

	if (!list(s, child, &l)) {
		free((void *)child.p);
		return;
	}
	if (folder && (depth > 0 || !is_maildir(&l))) {
		/* Some program's own files. */
	} else if (maildir_folder_decode(plain, folder ? '.' : '/', &level) != 0) {
		port_left(s->port, child, SLICE_NONE, "its name is no name of a mailbox");
	} else if (folder) {
		add_box(s, TREE_MAILDIR, child, buf_slice(&level));
	} else {
		sub = tree_path(box, buf_slice(&level));
		walk(s, &l, child, sub, depth + 1);
		free((void *)sub.p);
	}
	reach_names_free(l.v, l.n);
	free((void *)child.p);
	buf_fini(&level);
}

static void walk_file(
    struct source *s, struct slice name, char kind, struct slice path, struct slice box)
{
	struct slice child = tree_path(path, name), full;
	struct slice plain = file_box(name, box.n == 0);
	struct buf level = BUF_INIT(4096);
	int is = kind == 'f' ? mbox_look(path, name) : 2;

	if (is < 0 || kind == 'l') {
		port_left_errno(s->port, child, SLICE_NONE, kind == 'l' ? ELOOP : errno);
	} else if (is == 1) {
		/* An mbox without messages, or anything. */
	} else if (is == 2) {
		port_left(s->port, child, SLICE_NONE,
		    kind == 'f' ? "neither a mailbox nor a message" : "not a regular file");
	} else if (maildir_folder_decode(plain, '/', &level) != 0) {
		port_left(s->port, child, SLICE_NONE, "its name is no name of a mailbox");
	} else {
		full = tree_path(box, buf_slice(&level));
		add_box(s, TREE_MBOX, child, full);
		free((void *)full.p);
	}
	buf_fini(&level);
	free((void *)child.p);
}

/* `box`: what the directory is called as a mailbox, empty at the top. */
static void walk(
    struct source *s, const struct listing *l, struct slice path, struct slice box, unsigned depth)
{
	bool maildir = is_maildir(l), eml = false;
	struct slice own = box.n > 0 ? box : SLICE("INBOX");

	if (depth > DEPTH_MAX) {
		port_left(s->port, path, SLICE_NONE, "too deep");
		return;
	}
	if (maildir)
		add_box(s, TREE_MAILDIR, path, own);
	for (size_t i = 0; i < l->n; i++) {
		struct slice name = slice_str(l->v[i].name);
		char kind = l->v[i].kind;

		if (kind == 'd' && maildir &&
		    (slice_eq(name, SLICE("cur")) || slice_eq(name, SLICE("new")) ||
			slice_eq(name, SLICE("tmp"))))
			continue;
		if (kind == 'd')
			walk_dir(s, name, path, box, depth);
		else if (eml_is(name))
			eml = true;
		else if (!no_mail(name) || kind == 'l')
			walk_file(s, name, kind, path, box);
	}
	if (eml)
		add_box(s, TREE_EML, path, own);
	if (depth == 0)
		subscriptions(s, maildir ? '.' : '/');
}

/* ---- struct source_ops ---- */

static int open_box(struct source *s, struct source_box *b)
{
	return b->kind == TREE_MAILDIR ? maildir_open(s, b)
	       : b->kind == TREE_MBOX  ? mboxfile_open(s, b)
				       : eml_open(s, b);
}

static int next(struct source *s, struct source_box *b, struct item *ret)
{
	return b->kind == TREE_MAILDIR ? maildir_next(s, b, ret)
	       : b->kind == TREE_MBOX  ? mboxfile_next(s, b, ret)
				       : eml_next(s, b, ret);
}

static int load(struct source *s, struct source_box *b, struct item *i)
{
	return b->kind == TREE_MAILDIR ? maildir_load(s, b, i)
	       : b->kind == TREE_MBOX  ? 0
				       : eml_load(s, b, i);
}

static void shut(struct source *s, struct source_box *b)
{
	struct tree *t = tree_of(s);

	tree_entries_free(t);
	free((void *)t->dir.p);
	free(t->text);
	free(t->seen);
	t->dir = SLICE_NONE;
	t->text = NULL;
	t->seen = NULL;
	if (t->map != NULL)
		munmap(t->map, t->map_n);
	t->map = NULL;
}

static void close_tree(struct source *s)
{
	shut(s, NULL);
	free(s->impl);
}

/* One file: a message, or an mbox, into INBOX or --into. */
static int open_file(struct source *s, struct slice name)
{
	int is = mbox_look(SLICE_NONE, name);

	if (is < 0 && errno != EINVAL)
		return port_refuse(s->port, "cannot open it: %s", strerror(errno));
	if (is == 0)
		add_box(s, TREE_MBOX, name, SLICE("INBOX"));
	else if (eml_is(name))
		add_box(s, TREE_EML, name, SLICE("INBOX"));
	else
		return port_refuse(s->port,
		    "%.*s is no mbox (its first line does not begin with \"From \"), no .eml file "
		    "and no directory",
		    SLICE_FMT(name));
	return 0;
}

int tree_open(struct port *p, const char *file, struct source *ret)
{
	static const struct source_ops ops = { open_box, next, load, shut, close_tree };
	const char *format = ctl_opt(p->ctl, "format");
	struct tree *t = calloc(1, sizeof(*t));
	struct listing l;

	*ret = (struct source){ .ops = &ops, .port = p, .impl = t };
	if (t == NULL)
		abort();
	t->local_time = ctl_opt(p->ctl, "local-time") != NULL;
	t->variant = format != NULL ? mbox_variant_of(slice_str(format)) : MBOX_AUTO;
	if (t->variant == MBOX_VARIANTS)
		return port_refuse(
		    p, "--format is mbox (found out), mboxo, mboxrd, mboxcl or mboxcl2");
	if (file != NULL)
		return open_file(ret, slice_str(file));
	if (!list(ret, SLICE_NONE, &l))
		return port_refuse(p, "it cannot be read");
	walk(ret, &l, SLICE_NONE, SLICE_NONE, 0);
	reach_names_free(l.v, l.n);
	return ret->n_box > 0 ? 0 : port_refuse(p, "there is no mailbox in it");
}
