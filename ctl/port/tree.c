/* tree - what mailboxes a file or directory holds: Maildirs, mboxes, folders with .eml files. */
#include "ctl/port/tree-private.h"

#include "common/base/io.h"
#include "common/mail/maildir-text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEPTH_MAX = 64, SMALL_FILE_MAX = 256 << 20 };

/* ---- opening without following ---- */

int tree_openat(int top, struct slice path, int flags)
{
	int dir = dup(top);

	while (dir >= 0 && path.n > 0) {
		struct slice level = slice_take(&path, '/'), name = port_dup(level);
		int next = openat(dir, (const char *)name.p,
		    (path.n > 0 ? O_RDONLY | O_DIRECTORY : flags) | O_NOFOLLOW | O_CLOEXEC |
			O_NONBLOCK | O_NOCTTY);
		int error = errno;

		free((void *)name.p);
		fd_close(&dir);
		dir = next;
		errno = error;
	}
	return dir;
}

int tree_map(int dir, const char *name, void **ret_map, size_t *ret_n, int64_t *ret_mtime)
{
	int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	int error = 0;

	*ret_map = NULL;
	*ret_n = 0;
	if (fd < 0 || fstat(fd, &st) != 0)
		error = errno;
	else if (!S_ISREG(st.st_mode))
		error = EINVAL;
	else if (st.st_size > 0) {
		*ret_map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
		error = *ret_map == MAP_FAILED ? errno : 0;
	}
	if (error == 0) {
		*ret_n = (size_t)st.st_size;
		*ret_mtime = st.st_mtime;
	} else {
		*ret_map = NULL;
	}
	fd_close(&fd);
	errno = error;
	return error != 0;
}

int tree_load(
    struct source *s, struct source_box *b, struct slice name, struct item *i, int64_t *ret_mtime)
{
	int r = tree_map(tree_of(s)->dir, (const char *)name.p, &i->map, &i->map_n, ret_mtime);

	i->size = i->map_n;
	if (r != 0 && errno != EINVAL)
		port_left_errno(s->port, b->path, name, errno);
	else if (r != 0 || i->map_n == 0)
		port_left(
		    s->port, b->path, name, r != 0 ? "not a regular file" : "the file is empty");
	return r != 0 || i->map_n == 0;
}

uint8_t *tree_slurp(int dir, const char *name, size_t *ret_n)
{
	int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	uint8_t *p = NULL;
	int r = fd < 0 ? -errno : io_slurp(fd, SMALL_FILE_MAX, &p, ret_n);

	fd_close(&fd);
	errno = r > 0 ? EFBIG : -r;
	return r == 0 ? p : NULL;
}

/* A file that somebody makes shorter while it is read: a sentence in place of a core. */
static void on_sigbus(int sig)
{
	static const char text[] =
	    "\ngatehousectl: a file became shorter while it was read; run again\n";

	if (write(2, text, sizeof(text) - 1) < 0)
		_exit(CTL_REFUSED);
	_exit(CTL_REFUSED);
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

static bool is_dir(int dir, const char *name)
{
	struct stat st;

	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

static bool is_link(int dir, const char *name)
{
	struct stat st;

	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode);
}

static bool is_maildir(int dir)
{
	return is_dir(dir, "cur") || is_dir(dir, "new");
}

static bool is_mbox(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	char head[5] = "";
	bool is = fd >= 0 && io_read_all(fd, head, 5) == 0 && memcmp(head, "From ", 5) == 0;

	fd_close(&fd);
	return is;
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

static void walk(struct source *s, int dir, struct slice path, struct slice box, unsigned depth);

static void subscriptions(struct source *s, int dir, uint8_t sep)
{
	static const char *const names[] = { "subscriptions", ".subscriptions" };

	for (size_t i = 0; i < 2; i++) {
		size_t n = 0;
		uint8_t *text = tree_slurp(dir, names[i], &n);
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
static void walk_dir(struct source *s, int dir, struct slice name, struct slice path,
    struct slice box, unsigned depth)
{
	struct buf level = BUF_INIT(4096);
	bool folder = name.p[0] == '.';
	struct slice plain = folder ? slice_from(name, 1) : file_box(name, box.n == 0);
	struct slice child = port_join(path, path.n > 0 ? "/" : "", name), sub;
	int fd = tree_openat(dir, name, O_RDONLY | O_DIRECTORY);

	if (fd < 0) {
		port_left_errno(s->port, child, SLICE_NONE, errno);
	} else if (folder && (depth > 0 || !is_maildir(fd))) {
		/* Some program's own files. */
	} else if (maildir_folder_decode(plain, folder ? '.' : '/', &level) != 0) {
		port_left(s->port, child, SLICE_NONE, "its name is no name of a mailbox");
	} else if (folder) {
		add_box(s, TREE_MAILDIR, child, buf_slice(&level));
	} else {
		sub = port_join(box, box.n > 0 ? "/" : "", buf_slice(&level));
		walk(s, fd, child, sub, depth + 1);
		free((void *)sub.p);
	}
	fd_close(&fd);
	free((void *)child.p);
	buf_fini(&level);
}

static void walk_file(
    struct source *s, int dir, struct slice name, struct slice path, struct slice box)
{
	struct slice child = port_join(path, path.n > 0 ? "/" : "", name), full;
	struct slice plain = file_box(name, box.n == 0);
	struct buf level = BUF_INIT(4096);
	struct stat st = { 0 };

	if (fstatat(dir, (const char *)name.p, &st, AT_SYMLINK_NOFOLLOW) != 0) {
		port_left_errno(s->port, child, SLICE_NONE, errno);
	} else if (S_ISLNK(st.st_mode)) {
		port_left_errno(s->port, child, SLICE_NONE, ELOOP);
	} else if (S_ISREG(st.st_mode) && st.st_size == 0) {
		/* An mbox without messages, or anything. */
	} else if (!S_ISREG(st.st_mode) || !is_mbox(dir, (const char *)name.p)) {
		port_left(s->port, child, SLICE_NONE,
		    S_ISREG(st.st_mode) ? "neither a mailbox nor a message" : "not a regular file");
	} else if (maildir_folder_decode(plain, '/', &level) != 0) {
		port_left(s->port, child, SLICE_NONE, "its name is no name of a mailbox");
	} else {
		full = port_join(box, box.n > 0 ? "/" : "", buf_slice(&level));
		add_box(s, TREE_MBOX, child, full);
		free((void *)full.p);
	}
	buf_fini(&level);
	free((void *)child.p);
}

/* The names of a directory in an order of their own, so that two runs see the same. */
static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static char **names_of(struct source *s, int dir, struct slice path, size_t *ret_n)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	char **v = NULL;
	struct dirent *e;

	*ret_n = 0;
	if (d == NULL)
		port_left_errno(s->port, path, SLICE_NONE, errno);
	while (d != NULL && (e = readdir(d)) != NULL) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		v = reallocarray(v, *ret_n + 1, sizeof(*v));
		if (v == NULL || (v[*ret_n] = strdup(e->d_name)) == NULL)
			abort();
		(*ret_n)++;
	}
	if (d != NULL)
		closedir(d);
	if (*ret_n > 0)
		qsort(v, *ret_n, sizeof(*v), by_name);
	return v;
}

/* `box`: what the directory is called as a mailbox, empty at the top. */
static void walk(struct source *s, int dir, struct slice path, struct slice box, unsigned depth)
{
	bool maildir = is_maildir(dir), eml = false;
	struct slice own = box.n > 0 ? box : SLICE("INBOX");
	size_t n;
	char **names;

	if (depth > DEPTH_MAX) {
		port_left(s->port, path, SLICE_NONE, "too deep");
		return;
	}
	if (maildir)
		add_box(s, TREE_MAILDIR, path, own);
	names = names_of(s, dir, path, &n);
	for (size_t i = 0; i < n; i++) {
		struct slice name = slice_str(names[i]);
		bool sub = is_dir(dir, names[i]);

		if (sub && maildir &&
		    (slice_eq(name, SLICE("cur")) || slice_eq(name, SLICE("new")) ||
			slice_eq(name, SLICE("tmp"))))
			continue;
		if (sub)
			walk_dir(s, dir, name, path, box, depth);
		else if (eml_is(name))
			eml = true;
		else if (!no_mail(name) || is_link(dir, names[i]))
			walk_file(s, dir, name, path, box);
	}
	for (size_t i = 0; i < n; i++)
		free(names[i]);
	free(names);
	if (eml)
		add_box(s, TREE_EML, path, own);
	if (depth == 0)
		subscriptions(s, dir, maildir ? '.' : '/');
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
	fd_close(&t->dir);
	free(t->text);
	free(t->seen);
	t->text = NULL;
	t->seen = NULL;
	if (t->map != NULL)
		munmap(t->map, t->map_n);
	t->map = NULL;
}

static void close_tree(struct source *s)
{
	shut(s, NULL);
	fd_close(&tree_of(s)->top);
	free(s->impl);
}

/* One file: a message, or an mbox, into INBOX or --into. */
static int open_file(struct source *s, const char *path)
{
	struct tree *t = tree_of(s);
	const char *slash = strrchr(path, '/');
	const char *name = slash != NULL ? slash + 1 : path;
	char *dir = slash == NULL   ? strdup(".")
		    : slash == path ? strdup("/")
				    : strndup(path, (size_t)(slash - path));

	t->top = dir != NULL ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	free(dir);
	if (t->top < 0)
		return ctl_refuse(s->port->ctl, "cannot open %s: %s", path, strerror(errno));
	if (is_mbox(t->top, name))
		add_box(s, TREE_MBOX, slice_str(name), SLICE("INBOX"));
	else if (eml_is(slice_str(name)))
		add_box(s, TREE_EML, slice_str(name), SLICE("INBOX"));
	else
		return ctl_refuse(s->port->ctl,
		    "%s is no mbox (its first line does not begin with \"From \"), no .eml file "
		    "and no "
		    "directory",
		    path);
	return CTL_DONE;
}

int tree_open(struct port *p, const char *path, struct source *ret)
{
	static const struct source_ops ops = { open_box, next, load, shut, close_tree };
	const char *format = ctl_opt(p->ctl, "format");
	struct tree *t = calloc(1, sizeof(*t));
	struct stat st;

	*ret = (struct source){ .ops = &ops, .port = p, .impl = t };
	if (t == NULL)
		abort();
	t->top = t->dir = -1;
	t->local_time = ctl_opt(p->ctl, "local-time") != NULL;
	t->variant = format != NULL ? mbox_variant_of(slice_str(format)) : MBOX_AUTO;
	if (t->variant == MBOX_VARIANTS)
		return ctl_refuse(
		    p->ctl, "--format is mbox (found out), mboxo, mboxrd, mboxcl or mboxcl2");
	signal(SIGBUS, on_sigbus);
	if (stat(path, &st) != 0)
		return ctl_refuse(p->ctl, "cannot open %s: %s", path, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return open_file(ret, path);
	t->top = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (t->top < 0)
		return ctl_refuse(p->ctl, "cannot open %s: %s", path, strerror(errno));
	walk(ret, t->top, SLICE_NONE, SLICE_NONE, 0);
	if (ret->n_box == 0)
		return ctl_refuse(p->ctl, "there is no mailbox in %s", path);
	return CTL_DONE;
}
