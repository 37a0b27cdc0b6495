/* box-imap - the mailboxes of an account on another server, by IMAP. */
#include "ctl/port/imap-net.h"
#include "ctl/port/reach.h"
#include "ctl/port/source.h"
#include "ctl/port/state.h"

#include "common/base/io.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* What is asked for at once: a round trip for each message would be most of the time. */
enum { AHEAD_MSGS = 100, AHEAD_BYTES = 4 << 20, PIECE = 4 << 20 };

struct entry {
	uint32_t uid, flags;
	struct slice keywords, key; /* owned */
	uint64_t size;
	int64_t date_s;
	void *map; /* its text, once it has come */
	size_t map_n;
};

struct imap {
	struct imap_net net;
	struct entry *entry;
	size_t n_entry, at;
	uint32_t uidvalidity;
};

static struct imap *imap_of(struct source *s)
{
	return s->impl;
}

static void shut(struct source *s, struct source_box *b)
{
	struct imap *m = imap_of(s);

	for (size_t i = 0; i < m->n_entry; i++) {
		if (m->entry[i].map != NULL)
			munmap(m->entry[i].map, m->entry[i].map_n);
		free((void *)m->entry[i].keywords.p);
		free((void *)m->entry[i].key.p);
	}
	free(m->entry);
	m->entry = NULL;
	m->n_entry = m->at = 0;
}

static void close_imap(struct source *s)
{
	shut(s, NULL);
	imap_net_close(&imap_of(s)->net);
	free(s->impl);
}

/* What the server says to a NO, as the reason. */
static void left_no(struct source *s, struct slice box, struct slice what)
{
	char why[400];
	struct slice rest = slice_part(imap_of(s)->net.r.rest, 0, 300);

	snprintf(why, sizeof(why), "the server says: %.*s", (int)rest.n,
	    rest.n > 0 ? (const char *)rest.p : "");
	port_left(s->port, box, what, why);
}

/* ---- a mailbox ---- */

static void entry_add(
    struct source *s, const struct source_box *b, const struct imap_fetch *f, struct slice keywords)
{
	struct imap *m = imap_of(s);
	char tail[40];
	struct entry *e;

	if ((m->n_entry & (m->n_entry - 1)) == 0)
		m->entry = reallocarray(m->entry, m->n_entry > 0 ? m->n_entry * 2 : 1, sizeof(*e));
	if (m->entry == NULL)
		abort();
	snprintf(tail, sizeof(tail), "%u;%u", m->uidvalidity, f->uid);
	m->entry[m->n_entry++] = (struct entry){ .uid = f->uid,
		.flags = f->flags,
		.keywords = port_dup(keywords),
		.key = port_join(b->path, ";", slice_str(tail)),
		.size = f->size,
		.date_s = f->has_date ? f->date_s : INT64_MIN };
}

static int by_uid(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return x->uid < y->uid ? -1 : x->uid > y->uid;
}

/* Servers may send flags of a message twice. */
static void entries_once(struct imap *m)
{
	size_t kept = 0;

	if (m->n_entry > 0)
		qsort(m->entry, m->n_entry, sizeof(*m->entry), by_uid);
	for (size_t i = 0; i < m->n_entry; i++) {
		if (kept > 0 && m->entry[kept - 1].uid == m->entry[i].uid) {
			free((void *)m->entry[i].keywords.p);
			free((void *)m->entry[i].key.p);
		} else {
			m->entry[kept++] = m->entry[i];
		}
	}
	m->n_entry = kept;
}

static int examine(struct source *s, struct source_box *b, uint32_t *ret_exists)
{
	struct imap_net *n = &imap_of(s)->net;
	struct buf line = BUF_INIT(16 << 10);
	int r;

	*ret_exists = 0;
	buf_puts(&line, "EXAMINE ");
	(void)imap_quote(b->path, &line);
	r = imap_net_send(n, buf_slice(&line));
	buf_fini(&line);
	while (r == 0 && (r = imap_net_next(n)) == 0) {
		if (slice_ieq(n->r.name, SLICE("EXISTS")))
			*ret_exists = n->r.number;
		(void)imap_code_number(n->r.rest, SLICE("UIDVALIDITY"), &b->uidvalidity);
		(void)imap_code_number(n->r.rest, SLICE("UIDNEXT"), &b->uidnext);
	}
	if (r == 2)
		left_no(s, b->name, SLICE_NONE);
	return r == 1 ? 0 : r == 2 ? 1 : -1;
}

static int open_box(struct source *s, struct source_box *b)
{
	struct imap *m = imap_of(s);
	struct buf keywords = BUF_INIT(64 << 10);
	struct imap_fetch f;
	uint32_t exists;
	int r = examine(s, b, &exists);

	m->uidvalidity = b->uidvalidity;
	if (r != 0 || exists == 0)
		return r;
	r = imap_net_send(&m->net, SLICE("UID FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE)"));
	while (r == 0 && (r = imap_net_next(&m->net)) == 0) {
		buf_reset(&keywords);
		if (slice_ieq(m->net.r.name, SLICE("FETCH")) &&
		    imap_fetch_parse(m->net.r.rest, &f, &keywords) == 0 && f.uid != 0 && f.has_size)
			entry_add(s, b, &f, buf_slice(&keywords));
	}
	buf_fini(&keywords);
	if (r == 2)
		left_no(s, b->name, SLICE_NONE);
	entries_once(m);
	b->n = m->n_entry;
	if (m->n_entry > 0 && b->uidnext <= m->entry[m->n_entry - 1].uid)
		b->uidnext = m->entry[m->n_entry - 1].uid + 1;
	return r == 1 ? 0 : r == 2 ? 1 : -1;
}

static int next(struct source *s, struct source_box *b, struct item *ret)
{
	struct imap *m = imap_of(s);
	const struct entry *e;

	if (m->at >= m->n_entry)
		return 1;
	e = &m->entry[m->at];
	*ret = (struct item){ .index = m->at++,
		.key = e->key,
		.uid = e->uid,
		.flags = e->flags,
		.keywords = port_dup(e->keywords),
		.date_s = e->date_s,
		.size = e->size };
	return 0;
}

/* ---- texts ---- */

static void take_text(struct imap *m, const struct imap_fetch *f)
{
	struct entry key = { .uid = f->uid };
	struct entry *e =
	    m->n_entry > 0 ? bsearch(&key, m->entry, m->n_entry, sizeof(key), by_uid) : NULL;

	if (e == NULL || e->map != NULL || !f->has_body || f->body.n == 0)
		return;
	e->map = mmap(NULL, f->body.n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (e->map == MAP_FAILED)
		abort();
	memcpy(e->map, f->body.p, f->body.n);
	e->map_n = f->body.n;
}

/* This message, and those behind it that will be asked for next. */
static int fetch_ahead(struct source *s, size_t at)
{
	struct imap *m = imap_of(s);
	struct buf line = BUF_INIT(16 << 10), keywords = BUF_INIT(64 << 10);
	uint64_t bytes = 0;
	size_t n = 0;
	struct imap_fetch f;
	int r;

	buf_puts(&line, "UID FETCH ");
	for (size_t i = at; i < m->n_entry && n < AHEAD_MSGS && bytes < AHEAD_BYTES; i++) {
		const struct entry *e = &m->entry[i];

		if (e->size > PIECE || e->map != NULL || state_has(s->known, e->key))
			continue;
		buf_printf(&line, n > 0 ? ",%u" : "%u", e->uid);
		bytes += e->size;
		n++;
	}
	buf_puts(&line, " (UID BODY.PEEK[])");
	r = imap_net_send(&m->net, buf_slice(&line));
	while (r == 0 && (r = imap_net_next(&m->net)) == 0) {
		buf_reset(&keywords);
		if (slice_ieq(m->net.r.name, SLICE("FETCH")) &&
		    imap_fetch_parse(m->net.r.rest, &f, &keywords) == 0)
			take_text(m, &f);
	}
	buf_fini(&line);
	buf_fini(&keywords);
	return r;
}

/* One piece of a large message into a file; *ret_n: its octets. */
static int fetch_piece(struct imap *m, const struct entry *e, uint64_t at, int file, size_t *ret_n)
{
	struct buf line = BUF_INIT(200), keywords = BUF_INIT(64 << 10);
	struct imap_fetch f;
	int r, error = 0;

	*ret_n = 0;
	buf_printf(&line, "UID FETCH %u (UID BODY.PEEK[]<%llu.%d>)", e->uid, (unsigned long long)at,
	    PIECE);
	r = imap_net_send(&m->net, buf_slice(&line));
	while (r == 0 && (r = imap_net_next(&m->net)) == 0) {
		buf_reset(&keywords);
		if (!slice_ieq(m->net.r.name, SLICE("FETCH")) ||
		    imap_fetch_parse(m->net.r.rest, &f, &keywords) != 0 || f.uid != e->uid ||
		    !f.has_body)
			continue;
		*ret_n = f.body.n;
		error = io_write_all(file, f.body);
	}
	buf_fini(&line);
	buf_fini(&keywords);
	if (error != 0)
		(void)port_refuse(m->net.port,
		    "a large message has no room in a temporary file: %s", strerror(-error));
	return error != 0 ? -1 : r;
}

static int fetch_large(struct imap *m, struct entry *e)
{
	uint64_t at = 0;
	size_t n = PIECE;
	int fd = reach_temp(), r = 1;

	if (fd < 0) {
		(void)port_refuse(m->net.port, "no temporary file: %s", strerror(errno));
		return -1;
	}
	while (r == 1 && n == PIECE) {
		r = fetch_piece(m, e, at, fd, &n);
		at += n;
	}
	if (r == 1 && at > 0) {
		e->map = mmap(NULL, at, PROT_READ, MAP_PRIVATE, fd, 0);
		e->map_n = at;
		if (e->map == MAP_FAILED)
			abort();
	}
	fd_close(&fd);
	return r;
}

static int load(struct source *s, struct source_box *b, struct item *i)
{
	struct entry *e = &imap_of(s)->entry[i->index];
	char what[40];
	int r = 1;

	snprintf(what, sizeof(what), "uid %u", e->uid);
	if (e->map == NULL)
		r = e->size > PIECE ? fetch_large(imap_of(s), e) : fetch_ahead(s, i->index);
	if (r < 0)
		return -1;
	if (r == 2) {
		left_no(s, b->name, slice_str(what));
		return 1;
	}
	if (e->map == NULL) {
		port_left(s->port, b->name, slice_str(what),
		    "the server does not send it, or it is empty");
		return 1;
	}
	i->map = e->map;
	i->map_n = e->map_n;
	e->map = NULL;
	i->unpack = unpack_lines(slice_of(i->map, i->map_n));
	return 0;
}

/* ---- which mailboxes ---- */

static int list(struct source *s, const char *command, bool subscribed)
{
	struct imap_net *n = &imap_of(s)->net;
	struct buf raw = BUF_INIT(16 << 10), name = BUF_INIT(16 << 10);
	bool noselect;
	int r = imap_net_send(n, slice_str(command));

	while (r == 0 && (r = imap_net_next(n)) == 0) {
		if (!slice_ieq(n->r.name, subscribed ? SLICE("LSUB") : SLICE("LIST")))
			continue;
		buf_reset(&raw);
		buf_reset(&name);
		if (imap_list_parse(n->r.rest, &raw, &name, &noselect) != 0) {
			port_left(s->port, subscribed ? SLICE("subscription") : SLICE("mailbox"),
			    raw.n > 0 ? buf_slice(&raw) : n->r.rest,
			    "its name is no name of a mailbox here");
		} else if (subscribed) {
			source_subscribe(s, buf_slice(&name));
		} else if (!noselect) {
			source_add(s, &(struct source_box){ .path = port_dup(buf_slice(&raw)),
					  .name = port_name(s->port, buf_slice(&name)) });
		}
	}
	buf_fini(&raw);
	buf_fini(&name);
	return r < 0 ? -1 : 0;
}

int imap_connect(struct port *p, const char *url, struct source *ret)
{
	static const struct source_ops ops = { open_box, next, load, shut, close_imap };
	struct imap *m = calloc(1, sizeof(*m));

	*ret = (struct source){ .ops = &ops, .port = p, .impl = m };
	if (m == NULL)
		abort();
	return imap_net_connect(&m->net, p, url, ctl_opt(p->ctl, "ca")) != 0;
}

int imap_open(struct source *s, struct slice password)
{
	return imap_net_login(&imap_of(s)->net, password) != 0 ||
	       list(s, "LIST \"\" \"*\"", false) != 0 || list(s, "LSUB \"\" \"*\"", true) != 0;
}
