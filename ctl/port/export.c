/* export - an account's mail into files. */
#include "ctl/port/export.h"

#include "common/base/io.h"
#include "common/base/log.h"
#include "common/base/wire.h"
#include "common/mail/maildir-text.h"
#include "common/sandbox/sandbox.h"
#include "ctl/port/far.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- which mailboxes ---- */

struct names {
	struct slice *v; /* owned */
	size_t n;
};

static bool chosen(const struct ctl *c, struct slice name, bool *given)
{
	bool any = c->argc == 2;

	for (int i = 1; i < c->argc - 1; i++) {
		struct slice one = slice_str(c->argv[i]);

		if (slice_eq(one, name) ||
		    (slice_ieq(one, SLICE("INBOX")) && slice_eq(name, SLICE("INBOX"))))
			any = given[i] = true;
	}
	return any;
}

static void add_name(struct names *l, struct slice name)
{
	struct slice *v = reallocarray(l->v, l->n + 1, sizeof(*v));

	if (v == NULL)
		abort();
	l->v = v;
	v[l->n++] = port_dup(name);
}

static void take_rows(struct export *e, struct slice rows, struct names *l, bool *given)
{
	struct wire_reader r = wire_reader(rows);

	while (wire_left(&r) > 0 && !r.bad) {
		uint32_t attrs;
		struct slice name;

		wire_get_u64(&r);
		attrs = wire_get_u32(&r);
		wire_get_u32(&r);
		name = wire_get_bytes(&r, UINT32_MAX);
		if (r.bad || !chosen(e->port.ctl, name, given))
			continue;
		if ((attrs & (IPC_ATTR_NOSELECT | IPC_ATTR_NONEXISTENT)) == 0)
			add_name(l, name);
		if ((attrs & IPC_ATTR_SUBSCRIBED) != 0)
			subs_put(&e->subs, name);
	}
}

static int names_get(struct export *e, struct names *ret)
{
	struct link *l = &e->port.link;
	const struct ctl *c = e->port.ctl;
	bool *given = calloc((size_t)c->argc, sizeof(*given));
	struct ipc_mbox_list q = { .prefix = SLICE_NONE };
	int r;

	if (given == NULL)
		abort();
	subs_put_head(&e->subs);
	r = link_ask(l, IPC_mbox_list, &q, IPC_mbox_list_rows);
	while (r == 0) {
		take_rows(e, l->m.mbox_list_rows.rows, ret, given);
		if (!l->m.mbox_list_rows.more)
			break;
		r = link_wait(l, IPC_mbox_list_rows);
	}
	for (int i = 1; r == 0 && i < c->argc - 1; i++)
		if (!given[i])
			port_left(&e->port, slice_str(c->argv[i]), SLICE_NONE,
			    "there is no such mailbox");
	free(given);
	return r;
}

/* ---- all of it ---- */

static void box_forget(struct export *e)
{
	export_forget(e);
	for (size_t i = 0; i < e->n_keywords; i++)
		free((void *)e->keywords[i].p);
	free(e->keywords);
	for (size_t i = 0; i < e->n_row; i++)
		free((void *)e->row[i].keywords.more.p);
	free(e->row);
	e->keywords = NULL;
	e->row = NULL;
	e->n_row = e->n_keywords = 0;
}

static int run(struct export *e)
{
	struct names l = { 0 };
	int r = names_get(e, &l);

	for (size_t i = 0; r == 0 && i < l.n; i++) {
		int one;

		e->name = l.v[i];
		port_box(&e->port, e->name, i + 1, l.n);
		one = export_look(e);
		e->port.n_boxes += one == 0;
		r = one < 0;
		box_forget(e);
	}
	if (r == 0 && e->ops == &export_maildir && !e->port.ctl->dry_run)
		r = export_write(e->top, "subscriptions", &e->subs);
	for (size_t i = 0; i < l.n; i++)
		free((void *)l.v[i].p);
	free(l.v);
	return port_end(&e->port, e->port.ctl->dry_run ? "to be written" : "written", r != 0);
}

static int open_dir(struct export *e, const char *path)
{
	if (mkdir(path, 0700) != 0 && errno != EEXIST)
		return ctl_refuse(e->port.ctl, "cannot make %s: %s", path, strerror(errno));
	e->top = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (e->top < 0)
		return ctl_refuse(e->port.ctl, "cannot open %s: %s", path, strerror(errno));
	return CTL_DONE;
}

/*
 * From here on it can write below DIR and do nothing else, as DIR's owner: names and messages are
 * strangers' words. The store is a channel that is open.
 */
static int walls(struct export *e, int root)
{
	struct sandbox_env env = { .root_fd = root, .dir_fds = &e->top, .n_dirs = 1 };
	struct stat st;
	int r = fstat(e->top, &st) == 0 ? 0 : -errno;

	client_close(&e->port.ctl->client);
	if (r == 0 && st.st_uid != 0 && st.st_gid != 0) {
		env.uid = st.st_uid;
		env.gid = st.st_gid;
	}
	/* What an ordinary user's walls lack is no news to him (docs/port.md). */
	log_init(2, false, LOG_ERR);
	if (r == 0)
		r = sandbox_enter(&sandbox_rows[PROC_EXPORT], &env);
	if (r == 0)
		return CTL_DONE;
	return ctl_refuse(e->port.ctl, "the walls cannot be put up: %s", strerror(-r));
}

/* A process of its own does it: this one only tells how it ended. */
static int run_walled(struct export *e)
{
	char empty[64], none;
	int status = 0, root, inside[2] = { -1, -1 };
	bool failed;
	pid_t pid;

	root = far_empty_dir(empty, &failed);
	fflush(NULL);
	pid = failed || pipe2(inside, O_CLOEXEC) != 0 ? -1 : fork();
	if (pid == 0) {
		close(inside[0]);
		status = e->port.ctl->dry_run ? CTL_DONE : walls(e, root);
		close(inside[1]);
		exit(status == CTL_DONE ? run(e) : status);
	}
	fd_close(&root);
	fd_close(&inside[1]);
	/* The directory has no name any more once it is a root: nothing is left by a kill. */
	if (pid > 0)
		(void)io_read_all(inside[0], &none, 1);
	fd_close(&inside[0]);
	if (empty[0] != '\0')
		(void)rmdir(empty);
	if (pid < 0)
		return ctl_refuse(e->port.ctl, "it cannot be started: %s", strerror(errno));
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	return ctl_refuse(e->port.ctl,
	    "the program crashed (%s); what has its name in the directory is whole",
	    strsignal(WTERMSIG(status)));
}

static int format_of(struct export *e)
{
	const char *format = ctl_opt(e->port.ctl, "format");

	e->ops = &export_maildir;
	if (format == NULL || strcmp(format, "maildir") == 0)
		return CTL_DONE;
	if (strcmp(format, "eml") == 0) {
		e->ops = &export_eml;
		return CTL_DONE;
	}
	e->ops = &export_mbox;
	e->variant = mbox_variant_of(slice_str(format));
	if (e->variant == MBOX_AUTO)
		e->variant = MBOX_RD;
	if (e->variant != MBOX_VARIANTS)
		return CTL_DONE;
	return ctl_refuse(e->port.ctl, "--format is maildir (with the files of Maildir++ and "
				       "Dovecot), mbox (mboxrd), mboxo, mboxcl, "
				       "mboxcl2 or eml");
}

int ctl_store_export(struct ctl *c)
{
	struct export *e = calloc(1, sizeof(*e));
	int status;

	if (e == NULL)
		abort();
	e->top = e->dir = e->tmp = e->cur = e->file = -1;
	e->subs = BUF_INIT(64 << 20);
	e->out = BUF_INIT(1 << 20);
	e->list = BUF_INIT(1 << 30);
	port_init(&e->port, c);
	status = format_of(e);
	if (status == CTL_DONE)
		status = link_open(c, c->argv[0], &e->port.link);
	if (status == CTL_DONE && !c->dry_run)
		status = open_dir(e, c->argv[c->argc - 1]);
	if (status == CTL_DONE)
		status = run_walled(e);
	fd_close(&e->top);
	buf_fini(&e->subs);
	buf_fini(&e->out);
	buf_fini(&e->list);
	port_fini(&e->port);
	free(e);
	return status;
}
