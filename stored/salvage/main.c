/*
 * gatehouse-salvage - an operator's program for a store that no server has open: names what is
 * damaged (verify), says what is in it (stat), makes its index anew (rebuild), and gets out of it
 * what is left (salvage).
 *
 * Holds:    the databases' directories and their locks; the directory it writes to.
 * May:      what the user may who runs it.
 * May not:  write into the directory of a damaged store (rebuild alone does, and only its index);
 *           open a socket.
 * Trusts:   nobody's bytes: every number that was read is checked before it is used, and the index
 *           is read without LMDB.
 * If taken: the intruder has the rights of the operator who runs it, once.
 */
#include "stored/salvage/args.h"
#include "stored/salvage/maildir.h"
#include "stored/salvage/newstore.h"
#include "stored/salvage/open.h"
#include "stored/salvage/rebuild.h"
#include "stored/salvage/stat.h"
#include "stored/salvage/verify.h"

#include "common/base/io.h"
#include "common/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

struct tool {
	struct report rep;
	bool json, quiet, brief, as_store;
	unsigned rate; /* MiB in a second; 0: all there is */
	unsigned uid;  /* 0: all */
	const char *dir, *out, *account, *mailbox;
	char real[PATH_MAX];
	int store_fd, directory_fd, secrets_fd;
	struct names names;
	struct model model;
	struct raw *raw;
};

static int sub(int fd, const char *name)
{
	return openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* DIR is the server's data directory, or that of one store. */
static int dirs_open(struct tool *t)
{
	int fd = open(t->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || realpath(t->dir, t->real) == NULL) {
		fd_close(&fd);
		return report_fail(&t->rep, "%s: %s", t->dir, strerror(errno));
	}
	t->store_fd = sub(fd, "store");
	if (t->store_fd < 0) {
		t->store_fd = fd;
		return 0;
	}
	t->directory_fd = sub(fd, "directory");
	t->secrets_fd = sub(fd, "secrets");
	close(fd);
	return 0;
}

static int load(struct tool *t)
{
	int rc = dirs_open(t);

	if (rc != 0)
		return rc;
	rc = names_load(&t->names, t->directory_fd, t->secrets_fd, &t->rep);
	if (rc == 0)
		rc = open_raw(t->store_fd, "store", NULL, model_keeps, &t->rep, &t->raw);
	if (rc == 0)
		rc = model_load(&t->model, t->raw, &t->names, &t->rep);
	if (rc == 0)
		return 0;
	if (rc == ENGINE_BUSY)
		return report_fail(&t->rep, "a running server has the store open; stop that first");
	return report_fail(&t->rep, "%s: %s", t->dir, rc < 0 ? strerror(-rc) : engine_rc_name(rc));
}

static void unload(struct tool *t)
{
	model_fini(&t->model);
	names_fini(&t->names);
	raw_close(&t->raw);
	fd_close(&t->store_fd);
	fd_close(&t->directory_fd);
	fd_close(&t->secrets_fd);
}

/* ---- verbs ---- */

static int do_verify(struct tool *t)
{
	int rc = load(t);

	if (rc != 0)
		return rc;
	rc = verify_store(&t->model, t->rate, &t->rep);
	return rc == 0 ? report_end(&t->rep) : report_fail(&t->rep, "%s", strerror(-rc));
}

static int do_stat(struct tool *t)
{
	int rc = load(t);

	if (rc != 0)
		return rc;
	rc = stat_store(&t->model, &t->rep);
	return rc == 0 ? report_end(&t->rep) : report_fail(&t->rep, "%s", strerror(-rc));
}

static int do_rebuild(struct tool *t)
{
	struct rebuilt done = { 0 };
	int rc = dirs_open(t);
	const struct {
		int fd;
		const char *name;
	} all[] = { { t->store_fd, "store" }, { t->directory_fd, "directory" },
		{ t->secrets_fd, "secrets" } };

	t->rep.unread = true;
	for (size_t i = 0; rc == 0 && i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i].fd >= 0)
			rebuild_index(all[i].fd, all[i].name, &t->rep, &done);
	if (rc != 0)
		return rc;
	if (done.made == 0)
		return report_fail(&t->rep, "no index was made anew: %s", done.why);
	report_figure(&t->rep, "indexes", done.made);
	return report_end(&t->rep);
}

static int salvage_to(struct tool *t, struct out *o)
{
	struct maildir *d = maildir_new(o, &t->model, &t->rep);
	struct sink s;
	int rc = d == NULL ? -ENOMEM : 0;

	if (rc == 0) {
		s = maildir_sink(d);
		if (t->account != NULL)
			s.account = slice_str(t->account);
		if (t->mailbox != NULL)
			s.mailbox = slice_str(t->mailbox);
		s.uid = t->uid;
		rc = maildir_accounts(o, &t->names);
	}
	if (rc == 0)
		rc = walk_messages(&t->model, &s, &t->rep);
	maildir_free(&d);
	return rc == 0 ? out_finish(o, &t->rep) : rc;
}

/* Segments that were begun, and large bodies, were made by whoever runs us. */
static int own_all(struct out *o)
{
	static const char *const names[] = { "store", "directory", "secrets" };
	int rc = 0;

	for (size_t i = 0; i < 3 && rc == 0; i++) {
		int fd = openat(o->fd, names[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (fd >= 0)
			rc = out_own_files(fd);
		else if (errno != ENOENT)
			rc = -errno;
		fd_close(&fd);
	}
	return rc;
}

static int store_to(struct tool *t, struct out *o)
{
	struct newstore *n = NULL;
	struct sink s;
	int rc = newstore_open(o, &t->model, &t->rep, &n);

	if (rc == 0) {
		s = newstore_sink(n);
		rc = walk_messages(&t->model, &s, &t->rep);
	}
	if (rc == 0)
		rc = newstore_finish(n);
	newstore_free(&n);
	if (rc == 0 && t->directory_fd >= 0)
		rc = newstore_copy(o, t->directory_fd, "directory", &t->rep);
	if (rc == 0 && t->secrets_fd >= 0)
		rc = newstore_copy(o, t->secrets_fd, "secrets", &t->rep);
	if (rc == 0)
		rc = own_all(o);
	return rc == 0 ? out_finish(o, &t->rep) : rc;
}

static bool is_there(const struct tool *t)
{
	for (size_t i = 0; t->account != NULL && i < t->model.n; i++)
		if (walk_is_account(t->model.accounts[i], slice_str(t->account)))
			return true;
	return t->account == NULL;
}

/* The target first: damage that is found on the way is written down there, too. */
static int do_salvage(struct tool *t)
{
	struct out o = { .fd = -1 };
	int rc;

	if (realpath(t->dir, t->real) == NULL)
		return report_fail(&t->rep, "%s: %s", t->dir, strerror(errno));
	rc = out_begin(&o, t->out, t->real, &t->rep);
	if (rc == 0)
		rc = load(t);
	if (rc == 0 && !is_there(t))
		rc = report_fail(&t->rep, "there is no account %s in it", t->account);
	if (rc == 0) {
		rc = t->as_store ? store_to(t, &o) : salvage_to(t, &o);
		rc = rc == 0 ? report_end(&t->rep)
			     : report_fail(&t->rep,
				   "%s: %s; what was written stays, and the same command goes on "
				   "with it",
				   t->out, strerror(-rc));
	}
	out_fini(&o);
	return rc;
}

static const struct verb {
	const char *name;
	int words;
	int (*run)(struct tool *t);
} verbs[] = {
	{ "salvage", 2, do_salvage },
	{ "verify", 1, do_verify },
	{ "stat", 1, do_stat },
	{ "rebuild", 1, do_rebuild },
};

static int usage(void)
{
	fprintf(stderr, "usage: gatehouse-salvage [--json] [--quiet|--brief] [--account=NAME] "
			"[--mailbox=NAME] [--uid=N] [--as-store] salvage DIR OUT\n"
			"       gatehouse-salvage [--json] [--quiet] verify|stat|rebuild DIR\n");
	return TOOL_USAGE;
}

int main(int argc, char **argv)
{
	static struct tool t = { .store_fd = -1, .directory_fd = -1, .secrets_fd = -1 };
	const char *words[3];
	int n = 0, rc;

	signal(SIGPIPE, SIG_IGN);
	log_init(2, false, LOG_ERR);
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0)
			t.json = true;
		else if (strcmp(argv[i], "--quiet") == 0)
			t.quiet = true;
		else if (strcmp(argv[i], "--as-store") == 0)
			t.as_store = true;
		else if (strcmp(argv[i], "--brief") == 0)
			t.brief = true;
		else if (arg_number(argv[i], "rate", &t.rate) == ARG_GOOD ||
			 arg_number(argv[i], "uid", &t.uid) == ARG_GOOD)
			continue;
		else if (strncmp(argv[i], "--account=", 10) == 0)
			t.account = argv[i] + 10;
		else if (strncmp(argv[i], "--mailbox=", 10) == 0)
			t.mailbox = argv[i] + 10;
		else if (argv[i][0] == '-' || n == 3)
			return usage();
		else
			words[n++] = argv[i];
	}
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (n == 0 || strcmp(words[0], verbs[i].name) != 0 || n != verbs[i].words + 1)
			continue;
		t.dir = words[1];
		t.out = n > 2 ? words[2] : NULL;
		report_init(&t.rep, verbs[i].name, t.json, t.quiet);
		t.rep.brief = t.brief;
		rc = verbs[i].run(&t);
		unload(&t);
		return rc;
	}
	return usage();
}
