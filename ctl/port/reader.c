#include "ctl/port/reader.h"

#include "common/base/log.h"
#include "common/mail/facts.h"
#include "common/mail/header.h"
#include "common/mail/threadid.h"
#include "common/sandbox/sandbox.h"
#include "ctl/port/reach.h"
#include "ctl/port/source.h"
#include "ctl/port/state.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include <openssl/rand.h>

enum { CHAN_FD = 3, ROOT_FD = 4, FIRST_FD = 5, PIECE = 61440, KEYWORDS_BYTES = 32000 };

/* What a status says: as in schema.def. */
enum { DONE, NOT_THIS, NOTHING_MORE };

struct reader {
	struct source source;
	struct state known;
	struct source_box *box; /* that is open */
	struct item item;       /* the one that came last */
	bool has_item;
};

/* ---- behind the walls ---- */

static void shut_item(struct reader *r)
{
	if (r->has_item)
		item_fini(&r->item);
	r->has_item = false;
}

static void shut_box(struct reader *r)
{
	shut_item(r);
	if (r->box != NULL)
		r->source.ops->shut(&r->source, r->box);
	r->box = NULL;
}

static void on_known(struct reader *r, struct slice hashes)
{
	uint64_t h[2];

	for (; hashes.n >= sizeof(h); hashes = slice_from(hashes, sizeof(h))) {
		memcpy(h, hashes.p, sizeof(h));
		state_know(&r->known, h);
	}
}

static void on_open(struct reader *r, uint32_t box)
{
	struct ipc_port_opened m = { .status = NOTHING_MORE };
	int n;

	shut_box(r);
	if (box >= r->source.n_box)
		_exit(1);
	r->box = &r->source.box[box];
	n = r->source.ops->open(&r->source, r->box);
	if (n >= 0)
		m = (struct ipc_port_opened){ .status = n == 0 ? DONE : NOT_THIS,
			.uidvalidity = r->box->uidvalidity,
			.uidnext = r->box->uidnext,
			.count = r->box->n };
	reach_send(IPC_port_opened, &m);
}

static void on_next(struct reader *r, uint64_t skip)
{
	struct ipc_port_item m = { 0 };
	int n;

	if (r->box == NULL)
		_exit(1);
	do {
		shut_item(r);
		n = r->source.ops->next(&r->source, r->box, &r->item);
		r->has_item = n == 0;
	} while (n == 0 && skip-- > 0);
	m.status = n == 0 ? DONE : n > 0 ? NOT_THIS : NOTHING_MORE;
	if (n == 0) {
		m.key = r->item.key;
		m.uid = r->item.uid;
		m.flags = r->item.flags;
		m.keywords = slice_part(r->item.keywords, 0, KEYWORDS_BYTES);
		m.date = r->item.date_s;
		m.size = r->item.size;
		m.thread = r->item.thread;
	}
	reach_send(IPC_port_item, &m);
}

/* `facts`: of the bytes; NULL: they were told before. */
static void send_bytes(struct reader *r, struct facts_maker *facts)
{
	static uint8_t piece[PIECE];
	struct unpack u = r->item.unpack;
	size_t n;

	unpack_rewind(&u);
	do {
		struct ipc_port_data m = { 0 };

		n = unpack_next(&u, piece, PIECE);
		m.data = slice_of(piece, n);
		m.last = n == 0;
		if (facts != NULL)
			facts_maker_feed(facts, m.data);
		reach_send(IPC_port_data, &m);
	} while (n > 0);
}

/* With what its thread is found by: the facts themselves are made by parsed. */
static void send_with_thread(struct reader *r)
{
	struct facts_maker *maker = facts_maker_new();
	struct buf facts = BUF_INIT(FACTS_MAX);
	struct ipc_port_thread m = { 0 };
	uint8_t thread[THREADID_BYTES_MAX];

	send_bytes(r, maker);
	if (maker != NULL && facts_maker_finish(maker, &facts) == 0)
		m.thread = slice_of(thread, threadid_pack(buf_slice(&facts), thread));
	reach_send(IPC_port_thread, &m);
	buf_fini(&facts);
	facts_maker_free(&maker);
}

static struct slice without_brackets(struct slice s)
{
	s = slice_trim(s);
	return s.n > 2 && s.p[0] == '<' && s.p[s.n - 1] == '>' ? slice_part(s, 1, s.n - 2) : s;
}

/* --message-id: only this one, with its angle brackets or without. */
static bool wanted(const struct reader *r)
{
	const char *id = ctl_opt(r->source.port->ctl, "message-id");
	struct slice want = slice_str(id != NULL ? id : ""), value;

	if (id == NULL)
		return true;
	if (!header_find(r->item.unpack.in, SLICE("Message-ID"), &value))
		return false;
	value = without_brackets(value);
	return value.n > 0 && slice_eq(value, without_brackets(want));
}

static void on_load(struct reader *r, bool bytes)
{
	struct ipc_port_loaded m = { .status = NOTHING_MORE };
	int n;

	if (!r->has_item)
		_exit(1);
	n = r->source.ops->load(&r->source, r->box, &r->item);
	if (n == 0 && !wanted(r))
		n = 1;
	if (n >= 0)
		m = (struct ipc_port_loaded){ .status = n == 0 ? DONE : NOT_THIS,
			.flags = r->item.flags,
			.date = r->item.date_s,
			.size = r->item.size };
	reach_send(IPC_port_loaded, &m);
	if (n == 0 && bytes)
		send_with_thread(r);
}

static void serve(struct reader *r)
{
	for (;;) {
		const union ipc_any *m;

		switch (reach_next(&m)) {
		case IPC_port_known:
			on_known(r, m->port_known.hashes);
			break;
		case IPC_port_open:
			on_open(r, m->port_open.box);
			break;
		case IPC_port_next:
			on_next(r, m->port_next.skip);
			break;
		case IPC_port_load:
			on_load(r, m->port_load.bytes != 0);
			break;
		case IPC_port_again:
			if (!r->has_item)
				_exit(1);
			send_bytes(r, NULL);
			break;
		case IPC_port_shut:
			shut_box(r);
			break;
		default:
			_exit(1);
		}
	}
}

/* All mailboxes, or that there is nothing. */
static void tell_all(struct reader *r, bool opened)
{
	struct ipc_port_opened m = { .status = opened ? DONE : NOTHING_MORE };

	for (size_t i = 0; opened && i < r->source.n_box; i++) {
		struct ipc_port_box b = { r->source.box[i].name, r->source.box[i].path };

		reach_send(IPC_port_box, &b);
	}
	for (size_t i = 0; opened && i < r->source.n_sub; i++)
		reach_send(IPC_port_sub, &(struct ipc_port_sub){ r->source.sub[i] });
	reach_send(IPC_port_opened, &m);
}

/* ---- before ---- */

/* Nothing but the channel and, as root, the empty directory; standard error until the walls are up.
 */
static int keep_fds(int chan, int root)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0)
		return -errno;
	/* Out of the way of each other first. */
	chan = fcntl(chan, F_DUPFD_CLOEXEC, FIRST_FD);
	if (root >= 0)
		root = fcntl(root, F_DUPFD_CLOEXEC, FIRST_FD);
	if (chan < 0 || dup2(chan, CHAN_FD) < 0 || (root >= 0 && dup2(root, ROOT_FD) < 0) ||
	    close_range(root >= 0 ? FIRST_FD : ROOT_FD, ~0u, 0) != 0)
		return -errno;
	return 0;
}

/* What libraries would read from files later. */
static void warm_up(void)
{
	/* Without the variable mktime() looks at the zone's file each time. */
	if (getenv("TZ") == NULL)
		setenv("TZ", ":/etc/localtime", 1);
	tzset();
	RAND_poll();
}

static void walls(struct port *p, int root)
{
	struct sandbox_env env = { .root_fd = root >= 0 ? ROOT_FD : -1 };
	int r;

	/* What an ordinary user's walls lack is no news to him (docs/port.md). */
	log_init(2, false, LOG_ERR);
	r = sandbox_enter(&sandbox_rows[PROC_READER], &env);
	if (r != 0 || dup2(0, 2) < 0) {
		(void)port_refuse(p, "the reader's walls cannot be put up: %s%s", strerror(-r),
		    r == -ENOENT ? " (is there a user gatehouse-reader? systemd-sysusers makes it)"
				 : "");
		_exit(1);
	}
}

void reader_run(struct port *p, const struct reader_job *job, int take_fd)
{
	static struct reader r;
	int status;

	ipc_child_init();
	p->reader = true;
	prctl(PR_SET_NAME, "gh-ctl-reader");
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* until it has its own user; then the channel tells */
	signal(SIGINT, SIG_IGN); /* a terminal sends it to both; the end of the channel ends us */
	if (keep_fds(take_fd, job->root_fd) != 0)
		_exit(1);
	reach_begin(CHAN_FD);
	warm_up();
	r.known.fd = -1;
	status = job->url != NULL ? imap_connect(p, job->url, &r.source) : 0;
	if (status == 0) {
		walls(p, job->root_fd);
		status = job->url != NULL ? imap_open(&r.source, job->password)
					  : tree_open(p, job->file, &r.source);
	}
	r.source.known = &r.known;
	tell_all(&r, status == 0);
	serve(&r);
	_exit(0);
}
