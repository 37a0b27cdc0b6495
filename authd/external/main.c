/*
 * authd-external - asks those who know passwords that authd does not: the system's (a helper that
 * speaks PAM), and whatever an operator has.
 *
 * Holds:    3 control channel, 4 log, a channel to authd, a connection to each helper.
 * May:      read, write, poll, receive connections from master, map anonymous memory.
 * May not:  open a path, make a socket, connect, fork, exec.
 * Trusts:   authd, master.  Distrusts: every byte of a helper.
 * If taken: the intruder reads the passwords that are sent to helpers from then on, and may say yes
 *           for any account whose settings ask a helper; no other account.
 */
#include "authd/external/helper.h"
#include "common/proc/proc.h"

#include <errno.h>

enum { SOURCES = 2 };

struct source {
	struct program *g;
	const char *option; /* the file that master is asked for */
	struct helper *helper;
};

struct program {
	struct proc *proc;
	struct ipc_chan *authd;
	struct source sources[SOURCES];
};

static void on_answer(void *arg, uint32_t seq, const struct line_answer *a)
{
	static const uint32_t status[] = { [LINE_OK] = IPC_SOURCE_YES,
		[LINE_NO] = IPC_SOURCE_NO,
		[LINE_UNKNOWN] = IPC_SOURCE_UNKNOWN,
		[LINE_LATER] = IPC_SOURCE_LATER };
	const struct source *s = arg;
	struct ipc_source_answer m = { .seq = seq,
		.status = status[a->status],
		.keep = a->keep,
		.quota = a->quota_bytes,
		.real_name = slice_of(a->real_name, a->real_name_n) };

	if (s->g->authd != NULL)
		ipc_send(s->g->authd, IPC_source_answer, &m, NULL);
}

static void on_want(void *arg)
{
	const struct source *s = arg;

	proc_ask_file(s->g->proc, s->option);
}

static const struct helper_ops helper_ops = { .on_answer = on_answer, .on_want = on_want };

static void on_file(struct proc *p, void *arg, const char *name, int *fd)
{
	struct program *g = arg;

	for (int i = 0; i < SOURCES; i++) {
		if (g->sources[i].helper == NULL || strcmp(g->sources[i].option, name) != 0)
			continue;
		helper_take(g->sources[i].helper, *fd);
		*fd = -1;
	}
}

static void ask(struct program *g, const struct ipc_source_ask *m)
{
	const struct line_answer nobody = { .status = LINE_UNKNOWN };
	int i = m->source == IPC_SOURCE_SYS ? 0 : 1;
	struct helper_ask q = { .seq = m->seq,
		.create = m->create != 0,
		.name = m->name,
		.service = m->service,
		.peer = m->peer,
		.password = m->password };

	if (g->sources[i].helper != NULL)
		helper_ask(g->sources[i].helper, &q);
	else
		on_answer(&g->sources[i], m->seq, &nobody);
}

static void on_msg(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	if (type == IPC_source_ask)
		ask(arg, &m->source_ask);
}

static void on_gone(void *arg, struct ipc_chan *c, enum ipc_gone why)
{
	struct program *g = arg;

	ipc_chan_free(&g->authd);
	for (int i = 0; i < SOURCES; i++)
		if (g->sources[i].helper != NULL)
			helper_forget(g->sources[i].helper);
}

static void on_peer(struct proc *p, void *arg, struct proc_peer *peer)
{
	static const struct ipc_ops ops = { .on_msg = on_msg, .on_gone = on_gone };
	struct program *g = arg;

	if (peer->kind != IPC_CH_SOURCE)
		return;
	if (g->authd != NULL)
		on_gone(g, NULL, IPC_GONE_EOF);
	g->authd = proc_peer_open(p, peer, &ops, g);
}

static int start(struct proc *p, void *arg)
{
	static const struct {
		enum conf_key key;
		const char *option;
	} rows[SOURCES] = { { CONF_pam_helper, "pam_helper" },
		{ CONF_external_helper, "external_helper" } };
	struct program *g = arg;

	g->proc = p;
	for (int i = 0; i < SOURCES; i++) {
		struct source *s = &g->sources[i];

		*s = (struct source){ .g = g, .option = rows[i].option };
		if (*conf_get_str(proc_conf(p), rows[i].key) == '\0')
			continue;
		s->helper = helper_new(proc_base(p), s->option, &helper_ops, s);
		if (s->helper == NULL)
			return -ENOMEM;
	}
	return 0;
}

int main(int argc, char **argv)
{
	static const struct proc_ops ops = { .role = IPC_ROLE_SOURCE,
		.row = PROC_SOURCE,
		.start = start,
		.on_peer = on_peer,
		.on_file = on_file };
	static struct program program;

	return proc_main(argc, argv, &ops, &program);
}
