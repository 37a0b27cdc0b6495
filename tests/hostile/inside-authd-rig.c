#include "tests/hostile/inside-authd-rig.h"

#include <poll.h>

struct inside inside = { .source = { .fd = -1 } };

void inside_spin(int turns)
{
	for (int i = 0; i < turns; i++) {
		event_base_loop(inside.a.base, EVLOOP_NONBLOCK);
		engine_dispatch(inside.engine, 0);
	}
}

void inside_spin_ms(int ms)
{
	for (int64_t until = clock_mono_ms() + ms; clock_mono_ms() < until; poll(NULL, 0, 1))
		inside_spin(2);
}

/* ---- the others, played by us ---- */

/* An honest worker: ann with any password. */
static void worker_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	struct end *w = arg;
	struct ipc_work_name name = { .authcid = SLICE("ann") };
	struct ipc_work_done done = { .status = IPC_AUTH_OK };

	end_msg(arg, c, type, m, fds);
	if (type == IPC_work_secret && m->work_secret.known) {
		inside.secrets_lent++;
		inside.wrong_secret += !slice_eq(m->work_secret.stored, SLICE("{PLAIN}ann's"));
	}
	if (inside.worker_honest && type == IPC_work_start)
		end_send(w, IPC_work_name, &name);
	else if (inside.worker_honest && type == IPC_work_secret)
		end_send(w, IPC_work_done, &done);
}

static const struct ipc_ops worker_ops = { worker_msg, end_gone, NULL };

static void pool_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	struct end *w = &inside.workers[inside.n_workers];

	if (type != IPC_work_new || inside.n_workers == WORKERS)
		return;
	inside.n_workers++;
	*w = (struct end){ .fd = -1 };
	w->chan = ipc_chan_new(inside.a.base, fds[0], IPC_CH_WORK, false, &worker_ops, w);
	fds[0] = -1;
}

void inside_route_answer(uint32_t seq, uint64_t account)
{
	struct ipc_route_login_reply r = { .seq = seq,
		.account = account,
		.name = SLICE("somebody@example.test"),
		.flags = inside.login_flags };

	if (inside.route_unknown)
		r.status = IPC_ROUTE_UNKNOWN;

	end_send(&inside.routerd, IPC_route_login_reply, &r);
}

static void routerd_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	end_msg(arg, c, type, m, fds);
	if (type == IPC_route_login && !inside.route_silent)
		inside_route_answer(
		    m->route_login.seq, slice_eq(m->route_login.name, SLICE("ann")) ? ANN : CID);
}

static void stored_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	struct ipc_session_opened r;
	int one[1];

	end_msg(arg, c, type, m, fds);
	if (type != IPC_session_open)
		return;
	inside.opened[m->session_open.account % 16]++;
	r = (struct ipc_session_opened){ m->session_open.seq };
	one[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	(void)ipc_send(c, IPC_session_opened, &r, one);
}

/* What authd's program does with its peers' messages. */
static void to_authd(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	if (type == IPC_route_login_reply)
		dialogue_on_route(&inside.a, &m->route_login_reply);
	else if (type == IPC_secret_drop)
		admin_on_secret_drop(&inside.a, &m->secret_drop);
	else if (type == IPC_secret_take)
		admin_on_secret_take(&inside.a, &m->secret_take);
	else if (type == IPC_source_answer) {
		dialogue_on_source(&inside.a, &m->source_answer);
		make_on_source(&inside.a, &m->source_answer);
	} else if (type == IPC_session_opened)
		dialogue_on_session(&inside.a, m->session_opened.seq, &fds[0], IPC_ST_OK);
	else if (type == IPC_session_failed)
		dialogue_on_session(
		    &inside.a, m->session_failed.seq, NULL, m->session_failed.status);
}

static void peer_gone(void *arg, struct ipc_chan *c, enum ipc_gone why)
{
	struct ipc_chan **at = c == inside.a.routerd  ? &inside.a.routerd
			       : c == inside.a.stored ? &inside.a.stored
						      : &inside.a.pool;

	ipc_chan_free(at);
	dialogue_on_peer_gone(&inside.a);
}

static const struct ipc_ops pool_ops = { pool_msg, end_gone, NULL },
			    routerd_ops = { routerd_msg, end_gone, NULL },
			    stored_ops = { stored_msg, end_gone, NULL },
			    peer_ops = { to_authd, peer_gone, NULL };

struct ipc_chan *inside_peer(
    enum ipc_ch kind, bool upper, struct end *far, const struct ipc_ops *far_ops)
{
	int sv[2];

	assert_int_equal(ipc_pair(sv), 0);
	end_close(far);
	*far = (struct end){ .fd = -1 };
	far->chan = ipc_chan_new(inside.a.base, sv[1], kind, !upper, far_ops, far);
	return ipc_chan_new(inside.a.base, sv[0], kind, upper, &peer_ops, NULL);
}

static void on_put(void *arg, int rc)
{
	++*(int *)arg;
}

static int setup_with(const char *spec)
{
	int puts = 0;

	memset(&inside.a, 0, sizeof(inside.a));
	memset(inside.opened, 0, sizeof(inside.opened));
	inside.n_workers = inside.secrets_lent = inside.wrong_secret = 0;
	inside.login_flags = 0;
	inside.route_unknown = false;
	inside.route_silent = false;
	inside.worker_honest = true;
	inside.a.base = event_base_new();
	inside.a.host = "mail.example.test";
	inside.a.scheme = "plain";
	inside.a.mechs = "PLAIN LOGIN";
	authd_init(&inside.a);
	quiet();
	assert_int_equal(engine_open(spec, -1, NULL, &inside.engine), 0);
	assert_int_equal(secrets_open(&inside.a.secrets, inside.engine), 0);
	assert_int_equal(
	    secrets_put(&inside.a.secrets, ANN, SLICE_NONE, SLICE("{PLAIN}ann's"), on_put, &puts),
	    0);
	assert_int_equal(
	    secrets_put(&inside.a.secrets, CID, SLICE_NONE, SLICE("{PLAIN}cid's"), on_put, &puts),
	    0);
	while (puts < 2)
		inside_spin(1);
	inside.pool.fd = inside.routerd.fd = inside.stored.fd = -1;
	for (size_t i = 0; i < 3; i++)
		inside.doors[i] = (struct end){ .fd = -1 };
	inside.a.pool = inside_peer(IPC_CH_WORK_POOL, true, &inside.pool, &pool_ops);
	inside.a.routerd = inside_peer(IPC_CH_AUTH_ROUTE, true, &inside.routerd, &routerd_ops);
	inside.a.stored = inside_peer(IPC_CH_AUTH_STORE, false, &inside.stored, &stored_ops);
	return 0;
}

int inside_setup(void **state)
{
	return setup_with("mem");
}

int inside_setup_slow(void **state)
{
	return setup_with("mem:delay_ms=40,again=1");
}

int inside_teardown(void **state)
{
	int fd = log_fd();

	for (size_t i = 0; i < 3; i++)
		end_close(&inside.doors[i]);
	for (size_t i = 0; i < inside.n_workers; i++)
		end_close(&inside.workers[i]);
	inside_spin_ms(60);
	assert_int_equal(inside.a.workers, 0);
	ipc_chan_free(&inside.a.pool);
	ipc_chan_free(&inside.a.routerd);
	ipc_chan_free(&inside.a.stored);
	end_close(&inside.pool);
	end_close(&inside.routerd);
	end_close(&inside.stored);
	make_fini(&inside.a);
	secrets_close(&inside.a.secrets);
	engine_close(&inside.engine);
	event_base_free(inside.a.base);
	log_init(STDERR_FILENO, false, LOG_INFO);
	fd_close(&fd);
	return 0;
}

void inside_knock_as(
    struct end *door, struct ipc_chan *acceptor, enum ipc_role role, struct ipc_conn_new m)
{
	int sv[2];

	end_close(door);
	assert_int_equal(ipc_pair(sv), 0);
	dialogue_open(&inside.a, acceptor, role, &m, &sv[0]);
	fd_close(&sv[0]);
	end_open(inside.a.base, door, sv[1], IPC_CH_DIALOGUE, false);
}

void inside_knock(struct end *door)
{
	inside_knock_as(door, inside.a.pool, IPC_ROLE_POP3,
	    (struct ipc_conn_new){
		.sid = 5, .service = SLICE("pop3"), .flags = IPC_CONN_TLS, .uid = UINT32_MAX });
}

void inside_start(struct end *door)
{
	struct ipc_auth_start m = { .mech = SLICE("PLAIN"), .tls = 1 };

	end_send(door, IPC_auth_start, &m);
}

void inside_answers(struct end *door, enum ipc_type want)
{
	unsigned before = door->of[want];

	for (int i = 0; i < 2000 && door->of[want] == before && !door->gone; i++) {
		inside_spin(2);
		poll(NULL, 0, i > 20);
	}
	assert_int_equal(door->of[want], before + 1);
}

void inside_others_log_in(void)
{
	struct end *door = &inside.doors[2];

	inside.worker_honest = true;
	inside_knock(door);
	inside_start(door);
	inside_answers(door, IPC_auth_granted);
	assert_int_equal(door->fds, 1);
	end_close(door);
}

/* ---- others who know passwords ---- */

void inside_source_open(void)
{
	inside.a.source = inside_peer(IPC_CH_SOURCE, true, &inside.source, &end_ops);
	inside.a.helpers = 1u << IPC_SOURCE_EXT;
}

void inside_source_close(void)
{
	ipc_chan_free(&inside.a.source);
	end_close(&inside.source);
	make_on_peer_gone(&inside.a);
	inside.a.helpers = 0;
}
