#include "ctl/port/far.h"

#include "common/base/io.h"
#include "common/base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RESTARTS_MAX = 100, BOXES_MAX = 1 << 20 };

void far_item_fini(struct far_item *i)
{
	free((void *)i->key.p);
	free((void *)i->keywords.p);
	buf_fini(&i->text);
	free((void *)i->ids.p);
	i->key = i->keywords = i->ids = SLICE_NONE;
}

bool far_is_url(const char *from)
{
	return strncmp(from, "imap://", 7) == 0 || strncmp(from, "imaps://", 8) == 0;
}

const char *far_why(const struct far *f)
{
	return f->why;
}

/* ---- messages ---- */

static void on_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
}

static void on_gone(void *arg, struct ipc_chan *c, enum ipc_gone why)
{
}

/* It ended, or it sent what it may not: then it is ended. */
static int gone(struct far *f)
{
	int status = 0;

	ipc_chan_free(&f->chan);
	if (f->pid > 0) {
		kill(f->pid, SIGKILL);
		while (waitpid(f->pid, &status, 0) < 0 && errno == EINTR)
			;
	}
	f->pid = 0;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS)
		snprintf(f->why, sizeof(f->why),
		    "it became shorter while it was read, or its disk failed");
	else if (WIFSIGNALED(status))
		snprintf(f->why, sizeof(f->why), "the program that reads it crashed (%s)",
		    strsignal(WTERMSIG(status)));
	else
		snprintf(f->why, sizeof(f->why), "the program that reads it ended (status %d)",
		    WEXITSTATUS(status));
	return FAR_CRASHED;
}

static void told(struct far *f)
{
	const struct ipc_port_told *t = &f->m.port_told;
	char why[1401];

	snprintf(why, sizeof(why), "%.*s", SLICE_FMT(t->why));
	if (t->kind == IPC_PORT_FAILED)
		(void)port_refuse(f->port, "%s", why);
	else if (f->restarted && f->starting)
		return; /* told by the first one */
	else if (t->kind == IPC_PORT_NOTE)
		port_note(f->port, "%s", why);
	else
		port_left(f->port, t->box, t->what, why);
}

static void take_box(struct far *f)
{
	const struct ipc_port_box *m = &f->m.port_box;
	struct far_box *v;

	if (f->restarted) {
		/* The source may change meanwhile: mailboxes are known by their number. */
		if (f->next_box < f->n_box && slice_eq(f->box[f->next_box].path, m->path))
			f->next_box++;
		return;
	}
	v = f->n_box < BOXES_MAX ? reallocarray(f->box, f->n_box + 1, sizeof(*v)) : NULL;
	if (v == NULL)
		abort();
	f->box = v;
	v[f->n_box++] = (struct far_box){ .name = port_dup(m->name), .path = port_dup(m->path) };
}

static void take_sub(struct far *f)
{
	struct slice *v;

	if (f->restarted)
		return;
	v = f->n_sub < BOXES_MAX ? reallocarray(f->sub, f->n_sub + 1, sizeof(*v)) : NULL;
	if (v == NULL)
		abort();
	f->sub = v;
	v[f->n_sub++] = port_dup(f->m.port_sub.name);
}

static int wait_for(struct far *f, enum ipc_type type)
{
	int fds[IPC_FDS_MAX];

	if (f->chan == NULL)
		return FAR_CRASHED;
	for (;;) {
		int r = ipc_recv_wait(f->chan, -1, &f->type, &f->m, fds);

		if (r == 0 && f->type == type)
			return FAR_OK;
		if (r == 0 && f->type == IPC_port_told)
			told(f);
		else if (r == 0 && f->type == IPC_port_file_ask)
			r = far_file(f);
		else if (r == 0 && f->starting && f->type == IPC_port_box)
			take_box(f);
		else if (r == 0 && f->starting && f->type == IPC_port_sub)
			take_sub(f);
		else
			r = 1;
		if (r != 0)
			return gone(f);
	}
}

static int ask(struct far *f, enum ipc_type type, const void *msg, enum ipc_type answer)
{
	if (f->chan == NULL)
		return FAR_CRASHED;
	if (link_chan_send(f->chan, type, msg, NULL) != 0)
		return gone(f);
	return wait_for(f, answer);
}

static int answer_of(uint32_t status)
{
	return status == 0 ? FAR_OK : status == 1 ? FAR_NOT : FAR_LOST;
}

/* ---- the reader ---- */

/* Until it has told all mailboxes. FAR_... */
static int start(struct far *f)
{
	static const struct ipc_ops ops = { .on_msg = on_msg, .on_gone = on_gone };
	char empty[64];
	int fds[2], r;
	bool failed;

	f->next_box = 0;
	f->job.root_fd = far_empty_dir(empty, &failed);
	if (failed || ipc_pair(fds) != 0) {
		(void)port_refuse(f->port, "the reader cannot be started: %s", strerror(errno));
		return FAR_LOST;
	}
	fflush(NULL);
	f->pid = fork();
	if (f->pid == 0) {
		close(fds[0]);
		reader_run(f->port, &f->job, fds[1]);
	}
	close(fds[1]);
	f->chan = f->pid > 0 ? ipc_chan_new(NULL, fds[0], IPC_CH_PORT, true, &ops, NULL) : NULL;
	f->starting = true;
	r = f->chan != NULL ? wait_for(f, IPC_port_opened) : FAR_CRASHED;
	f->starting = false;
	fd_close(&f->job.root_fd);
	if (empty[0] != '\0')
		(void)rmdir(empty);
	if (r == FAR_CRASHED)
		(void)port_refuse(f->port, "%s", f->why[0] != '\0' ? f->why : strerror(errno));
	return r == FAR_OK && f->m.port_opened.status == 0 ? FAR_OK : FAR_LOST;
}

int far_again(struct far *f)
{
	static unsigned restarts;

	f->restarted = true;
	if (f->job.url != NULL || ++restarts > RESTARTS_MAX) {
		(void)port_refuse(f->port, "%s", f->why);
		return FAR_LOST;
	}
	if (start(f) != FAR_OK)
		return FAR_LOST;
	if (f->next_box == f->n_box)
		return FAR_OK;
	(void)port_refuse(f->port, "the source changed; run the same command again");
	return FAR_LOST;
}

static int open_top(struct far *f, const char *path)
{
	const char *slash = strrchr(path, '/');
	struct stat st;
	char *dir;

	if (stat(path, &st) != 0)
		return port_refuse(f->port, "cannot open %s: %s", path, strerror(errno));
	if (S_ISDIR(st.st_mode)) {
		f->top = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	} else {
		dir = slash == NULL   ? strdup(".")
		      : slash == path ? strdup("/")
				      : strndup(path, (size_t)(slash - path));
		f->file = strdup(slash != NULL ? slash + 1 : path);
		f->top = dir != NULL ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
		free(dir);
	}
	f->job.file = f->file;
	if (f->top < 0)
		return port_refuse(f->port, "cannot open %s: %s", path, strerror(errno));
	return CTL_DONE;
}

int far_open(struct port *p, const char *from, struct far *ret)
{
	int status;

	*ret = (struct far){ .port = p, .top = -1, .job.root_fd = -1 };
	if (!far_is_url(from)) {
		status = open_top(ret, from);
	} else {
		ret->job.url = from;
		status = read_password(&ret->job.password, &ret->secret) ? CTL_DONE : CTL_REFUSED;
	}
	if (status == CTL_DONE && start(ret) != FAR_OK)
		status = CTL_REFUSED;
	if (ret->secret != NULL)
		secret_wipe(ret->secret, ret->job.password.n);
	return status;
}

void far_close(struct far *f)
{
	if (f->port == NULL)
		return;
	if (f->chan != NULL)
		(void)gone(f);
	for (size_t i = 0; i < f->n_box; i++) {
		free((void *)f->box[i].name.p);
		free((void *)f->box[i].path.p);
	}
	for (size_t i = 0; i < f->n_sub; i++)
		free((void *)f->sub[i].p);
	free(f->box);
	free(f->sub);
	free(f->file);
	free(f->secret);
	fd_close(&f->top);
	*f = (struct far){ .top = -1 };
}

/* ---- what is in it ---- */

int far_known(struct far *f, const struct state *known)
{
	enum { AT_ONCE = 3840 };
	struct buf b = BUF_INIT(AT_ONCE * 16);
	int r = 0;

	/* Files are at hand: what is not asked for is not read. */
	for (size_t i = 0; r == 0 && f->job.url != NULL && i <= known->cap; i++) {
		if (i < known->cap && (known->done[i][0] != 0 || known->done[i][1] != 0))
			buf_put(&b, slice_of(known->done[i], 16));
		if (b.n < AT_ONCE * 16 && (i < known->cap || b.n == 0))
			continue;
		r = link_chan_send(
		    f->chan, IPC_port_known, &(struct ipc_port_known){ buf_slice(&b) }, NULL);
		buf_reset(&b);
	}
	buf_fini(&b);
	return r == 0 ? FAR_OK : gone(f);
}

int far_box_open(struct far *f, size_t box)
{
	struct ipc_port_open q = { (uint32_t)box };
	int r = ask(f, IPC_port_open, &q, IPC_port_opened);
	struct far_box *b = &f->box[box];

	if (r != FAR_OK)
		return r;
	b->uidvalidity = f->m.port_opened.uidvalidity;
	b->uidnext = f->m.port_opened.uidnext;
	b->n = f->m.port_opened.count;
	return answer_of(f->m.port_opened.status);
}

void far_box_shut(struct far *f)
{
	struct ipc_port_shut m = {};

	if (f->chan != NULL && link_chan_send(f->chan, IPC_port_shut, &m, NULL) != 0)
		(void)gone(f);
}

int far_next(struct far *f, uint64_t skip, struct far_item *ret)
{
	struct ipc_port_next q = { skip };
	const struct ipc_port_item *m = &f->m.port_item;
	int r = ask(f, IPC_port_next, &q, IPC_port_item);

	if (r != FAR_OK || m->status != 0)
		return r != FAR_OK ? r : answer_of(m->status);
	*ret = (struct far_item){ .key = port_dup(m->key),
		.keywords = port_dup(m->keywords),
		.uid = m->uid,
		.flags = m->flags,
		.date_s = m->date,
		.size = m->size,
		.thread = m->thread,
		.text = BUF_INIT(FAR_KEEP_BYTES) };
	return FAR_OK;
}

/* Hash, size and text of what comes. */
static int take_bytes(struct far *f, struct far_item *i)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	int r = FAR_OK;

	if (md == NULL || EVP_DigestInit_ex(md, EVP_sha256(), NULL) != 1)
		abort();
	i->size = 0;
	i->kept = true;
	do {
		r = wait_for(f, IPC_port_data);
		if (r != FAR_OK)
			break;
		EVP_DigestUpdate(md, f->m.port_data.data.p, f->m.port_data.data.n);
		i->size += f->m.port_data.data.n;
		if (i->kept && i->size <= FAR_KEEP_BYTES)
			buf_put(&i->text, f->m.port_data.data);
		else if (i->kept) {
			i->kept = false;
			buf_fini(&i->text);
		}
	} while (!f->m.port_data.last);
	EVP_DigestFinal_ex(md, i->hash, NULL);
	EVP_MD_CTX_free(md);
	if (r == FAR_OK)
		r = wait_for(f, IPC_port_thread);
	if (r != FAR_OK)
		return r;
	i->ids = port_dup(f->m.port_thread.thread);
	return FAR_OK;
}

int far_load(struct far *f, struct far_item *i, bool bytes)
{
	struct ipc_port_load q = { bytes };
	int r = ask(f, IPC_port_load, &q, IPC_port_loaded);

	if (r != FAR_OK || f->m.port_loaded.status != 0)
		return r != FAR_OK ? r : answer_of(f->m.port_loaded.status);
	i->flags = f->m.port_loaded.flags;
	i->date_s = f->m.port_loaded.date;
	i->size = f->m.port_loaded.size;
	return bytes ? take_bytes(f, i) : FAR_OK;
}

int far_bytes(struct far *f, int (*put)(void *arg, struct slice data), void *arg)
{
	struct ipc_port_again q = {};
	int r = ask(f, IPC_port_again, &q, IPC_port_data), bad = 0;

	while (r == FAR_OK && bad == 0) {
		bad = put(arg, f->m.port_data.data);
		if (f->m.port_data.last || bad != 0)
			break;
		r = wait_for(f, IPC_port_data);
	}
	if (r == FAR_CRASHED)
		(void)port_refuse(f->port, "%s", f->why);
	return r != FAR_OK ? 1 : bad;
}
