#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/stored-rig.h"

#include "common/base/clock.h"
#include "common/base/io.h"
#include "common/base/log.h"
#include "common/base/keyset.h"
#include "common/base/wire.h"

#include <dirent.h>
#include <event2/event.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WAIT_MS = 10000, NOBODY = 65534, UNDELETE_S = 14 * 86400, RESTORES = 10000 };

/* ---- clients ---- */

/* As routerd would. */
static void policy_tell(struct rig_client *k, uint64_t account)
{
	const struct rig *r = k->rig;
	struct ipc_policy_is p = { .account = account,
		.quota = r->quota,
		.messages = r->messages_max,
		.notice = r->notice,
		.alert = r->alert,
		.suspend = 100,
		.restores = r->restores,
		.undelete_s = r->undelete_s,
		.compress = r->compress };

	(void)ipc_send(k->chan, IPC_policy_is, &p, NULL);
}

void rig_policy(struct rig *r, uint64_t account)
{
	policy_tell(r->routerd, account);
}

static void on_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	struct rig_client *k = arg;
	struct buf out = BUF_INIT(IPC_PACKET_MAX);
	struct rig_packet *p;

	if (type == IPC_post_credit)
		k->window += m->post_credit.bytes;
	if (type == IPC_append_credit)
		k->window += m->append_credit.bytes;
	if (type == IPC_policy_ask) {
		if (!k->rig->policy_waits)
			policy_tell(k, m->policy_ask.account);
		return;
	}
	if (type == IPC_alerts_ask && k->rig->on_foreign != NULL)
		return;
	if (type == IPC_foreign_ask && k->rig->on_foreign != NULL) {
		k->rig->on_foreign(k->rig, &m->foreign_ask);
		return;
	}
	if (type == IPC_append_ready)
		k->window = IPC_WINDOW_BYTES;
	assert_int_equal(ipc_encode(type, m, &out), 0);
	p = malloc(sizeof(*p) + out.n);
	assert_non_null(p);
	p->next = NULL;
	p->fd = fds[0];
	fds[0] = -1;
	p->n = out.n;
	memcpy(p->data, out.p, out.n);
	*k->tail = p;
	k->tail = &p->next;
	buf_fini(&out);
}

static void on_gone(void *arg, struct ipc_chan *c, enum ipc_gone why)
{
	struct rig_client *k = arg;

	k->gone = true;
	ipc_chan_free(&k->chan);
}

static const struct ipc_ops client_ops = { on_msg, on_gone, NULL };

static struct rig_client *adopt(struct rig *r, int take_fd, enum ipc_ch kind, bool upper)
{
	struct rig_client *k = calloc(1, sizeof(*k));

	assert_non_null(k);
	k->rig = r;
	k->tail = &k->head;
	k->window = IPC_WINDOW_BYTES;
	k->chan = ipc_chan_new(r->base, take_fd, kind, upper, &client_ops, k);
	assert_non_null(k->chan);
	ipc_chan_set_queue_max(k->chan, 256 << 20);
	k->next = r->clients;
	r->clients = k;
	return k;
}

struct rig_client *rig_adopt(struct rig *r, int take_fd, enum ipc_ch kind)
{
	return adopt(r, take_fd, kind, false);
}

void rig_client_close(struct rig_client *c)
{
	struct rig_client **at = &c->rig->clients;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	ipc_chan_free(&c->chan);
	while (c->head != NULL) {
		struct rig_packet *p = c->head;

		c->head = p->next;
		fd_close(&p->fd);
		free(p);
	}
	free(c->last);
	free(c);
}

static enum ipc_role peer_role(enum ipc_ch kind)
{
	if (kind == IPC_CH_AUTH_STORE)
		return IPC_ROLE_AUTHD;
	if (kind == IPC_CH_ROUTE_STORE)
		return IPC_ROLE_ROUTERD;
	return kind == IPC_CH_PARSE ? IPC_ROLE_PARSED : IPC_ROLE_SMTP;
}

struct rig_client *rig_attach(struct rig *r, enum ipc_ch kind)
{
	struct rig_client *c;
	int fds[2];

	assert_int_equal(ipc_pair(fds), 0);
	if (r->program == NULL) {
		assert_int_equal(store_attach(r->store, fds[1], kind, IPC_ROLE_NONE, 0), 0);
		return rig_adopt(r, fds[0], kind);
	}
	assert_int_equal(ipc_send(r->control->chan, IPC_ctl_peer,
			     &(struct ipc_ctl_peer){ peer_role(kind), kind, 1, 2 }, &fds[1]),
	    0);
	c = rig_adopt(r, fds[0], kind);
	assert_int_equal(
	    ipc_chan_hello(c->chan, peer_role(kind), 2, IPC_ROLE_STORED, IPC_IN_RUN), 0);
	return c;
}

void rig_send(struct rig_client *c, enum ipc_type type, const void *m)
{
	if (c->chan != NULL)
		(void)ipc_send(c->chan, type, m, NULL);
}

static void turn(struct rig *r, int ms)
{
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	event_base_loopexit(r->base, &tv);
	event_base_loop(r->base, EVLOOP_ONCE);
}

void rig_spin(struct rig *r, int ms)
{
	int64_t until = clock_mono_ms() + ms;

	do
		turn(r, 1);
	while (clock_mono_ms() < until);
}

const union ipc_any *rig_next(struct rig_client *c, int ms, enum ipc_type *ret_type, int *ret_fd)
{
	static union ipc_any m;
	int64_t until = clock_mono_ms() + ms;
	struct rig_packet *p;

	while (c->head == NULL && !c->gone && clock_mono_ms() < until)
		turn(c->rig, ms < 5 ? 1 : 5);
	p = c->head;
	if (p == NULL)
		return NULL;
	c->head = p->next;
	if (c->head == NULL)
		c->tail = &c->head;
	free(c->last);
	c->last = (uint8_t *)p;
	assert_int_equal(ipc_decode(slice_of(p->data, p->n), ret_type, &m), 0);
	if (ret_fd != NULL)
		*ret_fd = p->fd;
	else
		fd_close(&p->fd);
	return &m;
}

const union ipc_any *rig_wait(struct rig_client *c, enum ipc_type type)
{
	const union ipc_any *m;
	enum ipc_type got;

	do {
		m = rig_next(c, WAIT_MS, &got, NULL);
		if (m == NULL)
			fail_msg(
			    "%s did not come%s", ipc_desc(type)->name, c->gone ? ": gone" : "");
	} while ((got == IPC_post_credit && type != IPC_post_credit) ||
		 (got == IPC_append_credit && type != IPC_append_credit));
	if (got != type)
		fail_msg("%s came, not %s", ipc_desc(got)->name, ipc_desc(type)->name);
	return m;
}

/* As rig_wait, but NULL when the store ends the session instead of answering: an answer, too. */
static const union ipc_any *rig_answer(struct rig_client *c, enum ipc_type type)
{
	enum ipc_type got;
	const union ipc_any *m = rig_next(c, WAIT_MS, &got, NULL);

	if (m == NULL)
		fail_msg("%s did not come%s", ipc_desc(type)->name, c->gone ? ": gone" : "");
	if (got != type && got != IPC_session_bye)
		fail_msg("%s came, not %s", ipc_desc(got)->name, ipc_desc(type)->name);
	return got == type ? m : NULL;
}

/* Status of a change, "try later" when the session ended over it. */
static int rig_done(struct rig_client *c)
{
	const union ipc_any *m = rig_answer(c, IPC_store_done);

	return m != NULL ? (int)m->store_done.status : IPC_ST_TRYLATER;
}

bool rig_gone(struct rig_client *c, int ms)
{
	int64_t until = clock_mono_ms() + ms;

	while (!c->gone && clock_mono_ms() < until)
		turn(c->rig, 5);
	return c->gone;
}

/* ---- the whole ---- */

static void remove_tree(int dir_fd)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fdopendir(fd);
	struct dirent *e;

	assert_non_null(d);
	while ((e = readdir(d)) != NULL)
		if (e->d_name[0] != '.' && unlinkat(dir_fd, e->d_name, 0) != 0) {
			int sub = openat(dir_fd, e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

			if (sub >= 0)
				remove_tree(sub);
			fd_close(&sub);
			unlinkat(dir_fd, e->d_name, AT_REMOVEDIR);
		}
	closedir(d);
}

static void store_start(struct rig *r);

static void daemons_start(struct rig *r)
{
	r->authd = rig_attach(r, IPC_CH_AUTH_STORE);
	r->routerd = rig_attach(r, IPC_CH_ROUTE_STORE);
	r->acceptor = rig_attach(r, IPC_CH_ATTACH_POST);
}

/* In the child: the descriptors where proc_main expects them. An ordinary user has an ordinary
 * user's sandbox. */
static void process_exec(const struct rig *r, int control, int log)
{
	int null = open("/dev/null", O_RDWR);

	/* Out of the way of 3 and 4 first. */
	control = fcntl(control, F_DUPFD, 10);
	log = fcntl(log, F_DUPFD, 10);
	for (int i = 0; i < 2; i++)
		dup2(null, i);
	dup2(control, 3);
	dup2(log, 4);
	close_range(5, ~0u, 0);
	if (geteuid() == 0 &&
	    (setgroups(0, NULL) != 0 || setgid(NOBODY) != 0 || setuid(NOBODY) != 0))
		_exit(126);
	execl(r->program, r->program, (char *)NULL);
	_exit(127);
}

static void dir_send(struct rig *r, const char *name, int fd)
{
	int dup = fcntl(fd, F_DUPFD_CLOEXEC, 5);

	assert_int_equal(
	    ipc_send(r->control->chan, IPC_ctl_dir, &(struct ipc_ctl_dir){ slice_str(name) }, &dup),
	    0);
}

static void process_start(struct rig *r)
{
	int control[2], log[2];
	enum ipc_type type;

	assert_int_equal(ipc_pair(control), 0);
	assert_int_equal(ipc_pair(log), 0);
	r->pid = fork();
	assert_true(r->pid >= 0);
	if (r->pid == 0)
		process_exec(r, control[1], log[1]);
	fd_close(&control[1]);
	fd_close(&log[1]);
	fd_close(&r->log_fd);
	r->log_fd = log[0];
	r->control = adopt(r, control[0], IPC_CH_CONTROL, true);
	ipc_chan_hello(r->control->chan, IPC_ROLE_MASTER, 1, IPC_ROLE_STORED, IPC_IN_SETUP);
	rig_send(r->control, IPC_ctl_conf, &(struct ipc_ctl_conf){ SLICE("engine = lmdb\n") });
	dir_send(r, "store", r->dir_fd);
	daemons_start(r);
	rig_send(r->control, IPC_ctl_go, &(struct ipc_ctl_go){});
	if (rig_next(r->control, WAIT_MS, &type, NULL) == NULL || type != IPC_ctl_ready)
		fail_msg("%s does not start", r->program);
}

void rig_kill(struct rig *r)
{
	int status;

	kill(r->pid, SIGKILL);
	assert_int_equal(waitpid(r->pid, &status, 0), r->pid);
	r->pid = 0;
	while (r->clients != NULL)
		rig_client_close(r->clients);
}

void rig_init_process(struct rig *r, const char *program)
{
	char path[] = "/tmp/stored-test-XXXXXX";

	*r = (struct rig){ .dir_fd = -1,
		.log_fd = -1,
		.program = program,
		.undelete_s = UNDELETE_S,
		.restores = RESTORES,
		.compress = 1 };
	log_init(open("/dev/null", O_WRONLY | O_CLOEXEC), false, LOG_ERR);
	assert_non_null(mkdtemp(path));
	r->dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(r->dir_fd >= 0);
	if (geteuid() == 0)
		assert_int_equal(fchown(r->dir_fd, NOBODY, NOBODY), 0);
	r->base = event_base_new();
	assert_non_null(r->base);
	store_start(r);
}

static void store_start(struct rig *r)
{
	struct store_conf conf = {
		.base = r->base, .engine = r->engine, .instance = 1, .undelete_s = r->undelete_s
	};

	if (r->program != NULL) {
		process_start(r);
	} else {
		assert_int_equal(store_new(&conf, &r->store), 0);
		daemons_start(r);
	}
}

void rig_init(struct rig *r, const char *spec)
{
	char path[] = "/tmp/stored-test-XXXXXX";

	*r = (struct rig){ .dir_fd = -1,
		.log_fd = -1,
		.undelete_s = UNDELETE_S,
		.restores = RESTORES,
		.compress = 1 };
	snprintf(r->spec, sizeof(r->spec), "%s", spec);
	log_init(open("/dev/null", O_WRONLY | O_CLOEXEC), false, LOG_ERR);
	if (strncmp(spec, "lmdb", 4) == 0) {
		assert_non_null(mkdtemp(path));
		r->dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(r->dir_fd >= 0);
	}
	r->base = event_base_new();
	assert_non_null(r->base);
	assert_int_equal(engine_open(spec, r->dir_fd, NULL, &r->engine), 0);
	store_start(r);
}

static void store_end(struct rig *r)
{
	if (r->pid != 0)
		rig_kill(r);
	while (r->clients != NULL)
		rig_client_close(r->clients);
	store_free(&r->store);
}

void rig_restart(struct rig *r)
{
	store_end(r);
	if (r->dir_fd >= 0 && r->program == NULL) {
		engine_close(&r->engine);
		assert_int_equal(engine_open(r->spec, r->dir_fd, NULL, &r->engine), 0);
	}
	store_start(r);
}

bool rig_restart_amid(struct rig *r, const struct engine_faults *f)
{
	struct store_conf conf = {
		.base = r->base, .engine = r->engine, .instance = 1, .undelete_s = r->undelete_s
	};
	bool good;

	store_end(r);
	assert_int_equal(engine_faults_set(r->engine, f), 0);
	good = store_new(&conf, &r->store) == 0;
	assert_int_equal(engine_faults_set(r->engine, &(struct engine_faults){ .seed = 1 }), 0);
	if (good)
		daemons_start(r);
	return good;
}

void rig_crash(struct rig *r)
{
	store_end(r);
	assert_int_equal(engine_faults_set(r->engine, &(struct engine_faults){ .seed = 1 }), 0);
	store_start(r);
}

void rig_fini(struct rig *r)
{
	int fd = log_fd();

	store_end(r);
	engine_close(&r->engine);
	if (r->dir_fd >= 0) {
		char link[64], path[256] = { 0 };

		snprintf(link, sizeof(link), "/proc/self/fd/%d", r->dir_fd);
		assert_true(readlink(link, path, sizeof(path) - 1) > 0);
		remove_tree(r->dir_fd);
		fd_close(&r->dir_fd);
		rmdir(path);
	}
	fd_close(&r->log_fd);
	event_base_free(r->base);
	log_init(STDERR_FILENO, false, LOG_INFO);
	fd_close(&fd);
}

/* ---- what the daemons say ---- */

int rig_account(struct rig *r, uint64_t account, enum ipc_type type)
{
	struct ipc_account_make m = { ++r->seq, account };
	const union ipc_any *a;

	rig_send(r->routerd, type, &m); /* account_drop has the same fields */
	a = rig_wait(r->routerd, IPC_account_done);
	assert_int_equal(a->account_done.seq, r->seq);
	return (int)a->account_done.status;
}

struct rig_client *rig_session(struct rig *r, uint64_t account, uint64_t sid, int *ret_status)
{
	struct ipc_session_open q = { ++r->seq, sid, account, SLICE("name@example.test"),
		slice_str(r->service != NULL ? r->service : "pop3"), SLICE_NONE, r->quota };
	enum ipc_type type;
	const union ipc_any *a;
	int fd = -1;

	rig_send(r->authd, IPC_session_open, &q);
	a = rig_next(r->authd, WAIT_MS, &type, &fd);
	assert_non_null(a);
	if (type == IPC_session_failed) {
		assert_non_null(ret_status);
		*ret_status = (int)a->session_failed.status;
		return NULL;
	}
	assert_int_equal(type, IPC_session_opened);
	assert_int_equal(a->session_opened.seq, r->seq);
	assert_true(fd >= 0);
	((struct rig_packet *)r->authd->last)->fd = -1;
	return rig_adopt(r, fd, IPC_CH_SESSION);
}

struct rig_client *rig_post(struct rig *r, uint64_t sid)
{
	int fds[2];

	assert_int_equal(ipc_pair(fds), 0);
	assert_int_equal(
	    ipc_send(r->acceptor->chan, IPC_post_attach, &(struct ipc_post_attach){ sid }, &fds[1]),
	    0);
	return rig_adopt(r, fds[0], IPC_CH_POST);
}

int rig_target(struct rig *r, uint64_t sid, uint32_t handle, uint64_t account, uint64_t quota)
{
	struct ipc_post_target t = { ++r->seq, sid, handle, account, quota };
	const union ipc_any *a;

	rig_send(r->routerd, IPC_post_target, &t);
	a = rig_wait(r->routerd, IPC_post_target_done);
	assert_int_equal(a->post_target_done.seq, r->seq);
	return (int)a->post_target_done.status;
}

static void send_window(struct rig_client *post, uint32_t tag, struct slice body)
{
	while (body.n > 0) {
		struct ipc_post_data d = { tag, slice_part(body, 0, 61440) };
		int64_t until = clock_mono_ms() + WAIT_MS;

		while (post->window < d.data.n && !post->gone && clock_mono_ms() < until)
			turn(post->rig, 5);
		if (post->gone)
			return;
		assert_true(post->window >= d.data.n);
		post->window -= d.data.n;
		rig_send(post, IPC_post_data, &d);
		body = slice_from(body, d.data.n);
	}
}

void rig_deliver(struct rig_client *post, uint32_t tag, const uint32_t *handles, size_t n,
    struct slice body, struct slice facts)
{
	uint8_t packed[4096];
	struct ipc_post_begin b = { tag, body.n, slice_of(packed, 4 * n) };
	struct ipc_post_commit c = { tag, facts, post->rig->thread, post->rig->header };

	for (size_t i = 0; i < n; i++)
		wire_store_u32(packed + 4 * i, handles[i]);
	rig_send(post, IPC_post_begin, &b);
	send_window(post, tag, body);
	rig_send(post, IPC_post_commit, &c);
}

int rig_put(struct rig *r, uint64_t account, struct slice body)
{
	uint64_t sid = 1000000 + ++r->seq;
	uint32_t handle = 1;
	struct rig_client *post = rig_post(r, sid);
	int status = rig_target(r, sid, handle, account, 0);

	if (status == IPC_ST_OK) {
		rig_deliver(post, 1, &handle, 1, body, SLICE("facts"));
		status = (int)rig_wait(post, IPC_post_result)->post_result.status;
	}
	rig_client_close(post);
	return status;
}

/* ---- what a session says ---- */

void rig_append_bytes(struct rig_client *s, struct slice body)
{
	while (body.n > 0) {
		struct ipc_append_data d = { slice_part(body, 0, 61440) };
		int64_t until = clock_mono_ms() + WAIT_MS;

		while (s->window < d.data.n && !s->gone && clock_mono_ms() < until)
			turn(s->rig, 5);
		if (s->gone)
			return;
		assert_true(s->window >= d.data.n);
		s->window -= d.data.n;
		rig_send(s, IPC_append_data, &d);
		body = slice_from(body, d.data.n);
	}
}

struct ipc_mbox_opened rig_open(struct rig_client *s, const char *name, uint32_t flags)
{
	struct ipc_mbox_open q = { ++s->rig->seq, slice_str(name), flags };

	const union ipc_any *m;

	rig_send(s, IPC_mbox_open, &q);
	m = rig_answer(s, IPC_mbox_opened);
	return m != NULL ? m->mbox_opened : (struct ipc_mbox_opened){ .status = IPC_ST_TRYLATER };
}

static struct buf scan_sets = { .max = SIZE_MAX };

struct slice rig_sets(void)
{
	return buf_slice(&scan_sets);
}

/* Each answer has sets of its own: together they are one list. */
static void sets_join(uint8_t *row, size_t n, struct slice sets)
{
	for (size_t i = 0; i < n; i++, row += IPC_ROW_BYTES) {
		uint64_t word = wire_load_u64(row + 8);

		if (word & KEYSET_LISTED)
			wire_store_u64(row + 8, word + scan_sets.n);
	}
	buf_put(&scan_sets, sets);
}

int rig_scan(
    struct rig_client *s, uint32_t mbox, uint32_t from, uint8_t *out, size_t max, size_t *ret_n)
{
	size_t n = 0;

	buf_reset(&scan_sets);
	for (;;) {
		struct ipc_mbox_scan q = { .seq = ++s->rig->seq, .mbox = mbox, .from_uid = from };
		const struct ipc_mbox_rows *a;
		const union ipc_any *m;

		rig_send(s, IPC_mbox_scan, &q);
		m = rig_answer(s, IPC_mbox_rows);
		if (m == NULL)
			return IPC_ST_TRYLATER;
		a = &m->mbox_rows;
		if (a->status != IPC_ST_OK)
			return (int)a->status;
		assert_int_equal(a->seq, q.seq);
		assert_true(n + a->rows.n / IPC_ROW_BYTES <= max);
		if (a->rows.n > 0)
			memcpy(out + IPC_ROW_BYTES * n, a->rows.p, a->rows.n);
		sets_join(out + IPC_ROW_BYTES * n, a->rows.n / IPC_ROW_BYTES, a->sets);
		n += a->rows.n / IPC_ROW_BYTES;
		*ret_n = n;
		if (!a->more)
			return IPC_ST_OK;
		from = a->next_uid;
	}
}

int rig_body(struct rig_client *s, uint32_t mbox, uint32_t uid, uint8_t **ret_p, size_t *ret_n)
{
	struct ipc_body_get q = { ++s->rig->seq, mbox, uid, 0, 0 };
	struct buf b = BUF_INIT(SIZE_MAX);

	rig_send(s, IPC_body_get, &q);
	for (;;) {
		const union ipc_any *m = rig_answer(s, IPC_body_data);
		const struct ipc_body_data *d = m != NULL ? &m->body_data : NULL;
		struct ipc_session_credit c;
		bool last;
		int status;

		if (d == NULL) {
			*ret_p = b.p;
			*ret_n = 0;
			return IPC_ST_TRYLATER;
		}
		c = (struct ipc_session_credit){ (uint32_t)d->data.n };
		last = d->last;
		status = (int)d->status;

		assert_int_equal(d->seq, q.seq);
		assert_true(status == IPC_ST_OK || last);
		buf_put(&b, d->data);
		rig_send(s, IPC_session_credit, &c);
		if (!last)
			continue;
		*ret_p = b.p;
		*ret_n = b.n;
		return status;
	}
}

static int facts_get(struct rig_client *s, uint32_t mbox, uint32_t uid, enum ipc_facts_what what,
    struct slice *ret_facts)
{
	uint8_t pair[8];
	struct ipc_facts_get q = { ++s->rig->seq, mbox, slice_of(pair, 8), (uint32_t)what };
	const struct ipc_facts_are *a;

	wire_store_u32(pair, uid);
	wire_store_u32(pair + 4, uid);
	rig_send(s, IPC_facts_get, &q);
	a = &rig_wait(s, IPC_facts_are)->facts_are;
	assert_int_equal(a->last, 1);
	rig_send(s, IPC_session_credit, &(struct ipc_session_credit){ (uint32_t)a->facts.n });
	if (a->status != IPC_ST_OK || a->facts.n == 0)
		return a->status != IPC_ST_OK ? (int)a->status : -1;
	assert_int_equal(wire_load_u32(a->facts.p), uid);
	*ret_facts = slice_from(a->facts, 12);
	assert_int_equal(wire_load_u32(a->facts.p + 8), ret_facts->n);
	return (int)wire_load_u32(a->facts.p + 4);
}

int rig_facts(struct rig_client *s, uint32_t mbox, uint32_t uid, struct slice *ret_facts)
{
	return facts_get(s, mbox, uid, IPC_FACTS_ALL, ret_facts);
}

int rig_header(struct rig_client *s, uint32_t mbox, uint32_t uid, struct slice *ret_header)
{
	return facts_get(s, mbox, uid, IPC_FACTS_HEADER, ret_header);
}

int rig_expunge(struct rig_client *s, uint32_t mbox, uint32_t first, uint32_t last)
{
	uint8_t pair[8];
	struct ipc_msg_expunge q = { ++s->rig->seq, mbox, 0, slice_of(pair, 8) };

	wire_store_u32(pair, first);
	wire_store_u32(pair + 4, last);
	rig_send(s, IPC_msg_expunge, &q);
	return rig_done(s);
}

int rig_flags(
    struct rig_client *s, uint32_t mbox, uint32_t first, uint32_t last, uint32_t op, uint32_t flags)
{
	uint8_t pair[8];
	struct ipc_flags_store q = { .seq = ++s->rig->seq,
		.mbox = mbox,
		.op = op,
		.flags = flags,
		.unchanged_since = UINT64_MAX,
		.uids = slice_of(pair, 8) };

	wire_store_u32(pair, first);
	wire_store_u32(pair + 4, last);
	rig_send(s, IPC_flags_store, &q);
	return rig_done(s);
}

struct rig_client *rig_admin(struct rig *r, uint64_t rights, uint64_t account)
{
	int fds[2];

	assert_int_equal(ipc_pair(fds), 0);
	ipc_send(r->authd->chan, IPC_store_open,
	    &(struct ipc_store_open){ 77, SLICE("postmaster"), rights, account }, &fds[1]);
	return rig_adopt(r, fds[0], IPC_CH_ADMIN_STORE);
}
