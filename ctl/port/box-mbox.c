/* box-mbox - one mbox; a message is known by what it says, since nothing else of it stays. */
#include "ctl/port/tree-private.h"

#include "common/mail/date.h"
#include "common/mail/header.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <xxhash.h>

/* How often each text was seen in this file: the same message twice is two messages. */
struct seen {
	size_t n, cap;
	struct {
		uint64_t hash[2];
		uint32_t times;
	} slot[];
};

static struct seen *seen_new(size_t cap)
{
	struct seen *v = calloc(1, sizeof(*v) + cap * sizeof(v->slot[0]));

	if (v == NULL)
		abort();
	v->cap = cap;
	return v;
}

static uint32_t *seen_slot(struct seen *v, const uint64_t h[2])
{
	size_t i = h[0] & (v->cap - 1);

	while (v->slot[i].times != 0 && (v->slot[i].hash[0] != h[0] || v->slot[i].hash[1] != h[1]))
		i = (i + 1) & (v->cap - 1);
	v->slot[i].hash[0] = h[0];
	v->slot[i].hash[1] = h[1];
	return &v->slot[i].times;
}

static uint32_t seen_count(struct tree *t, const uint64_t h[2])
{
	struct seen *v = t->seen;

	if (v == NULL)
		t->seen = v = seen_new(1024);
	if (v->n * 2 >= v->cap) {
		struct seen *more = seen_new(v->cap * 2);

		for (size_t i = 0; i < v->cap; i++)
			if (v->slot[i].times != 0)
				*seen_slot(more, v->slot[i].hash) = v->slot[i].times;
		more->n = v->n;
		free(v);
		t->seen = v = more;
	}
	v->n++;
	return ++*seen_slot(v, h);
}

int mboxfile_open(struct source *s, struct source_box *b)
{
	struct tree *t = tree_of(s);
	int64_t mtime;
	int error;

	t->dir = port_dup(SLICE_NONE);
	error = tree_map(t->dir, b->path, &t->map, &t->map_n, &mtime);
	if (error != 0) {
		port_left_errno(s->port, b->path, SLICE_NONE, error);
		return 1;
	}
	if (mbox_begin(slice_of(t->map, t->map_n), t->variant, &t->mbox) != 0) {
		port_left(s->port, b->path, SLICE_NONE, "it does not begin with a \"From \" line");
		return 1;
	}
	/* What holds for the whole file stands in its first message. */
	if (t->map_n > 0) {
		struct mbox_reader first = t->mbox;
		struct mbox_message m;

		if (mbox_next(&first, &m) == 0 && first.uidlast < UINT32_MAX) {
			b->uidvalidity = first.uidvalidity;
			b->uidnext = first.uidvalidity != 0 ? first.uidlast + 1 : 0;
		}
	}
	return 0;
}

static int64_t date_of(const struct tree *t, const struct mbox_message *m)
{
	struct mail_date d;
	struct slice value;

	if (m->has_date && !m->has_zone && t->local_time) {
		time_t utc = (time_t)m->date_s;
		struct tm tm;

		gmtime_r(&utc, &tm);
		tm.tm_isdst = -1;
		return mktime(&tm);
	}
	if (m->has_date)
		return m->date_s;
	if (header_find(m->text, SLICE("Date"), &value) && mail_date_parse(value, &d) == 0)
		return d.unix_s;
	return INT64_MIN;
}

static struct slice keywords_of(struct slice raw)
{
	uint8_t *p = malloc(raw.n + 1);
	size_t n = 0;

	if (p == NULL)
		abort();
	for (size_t i = 0; i < raw.n; i++) {
		bool blank = raw.p[i] <= ' ' || raw.p[i] == 0x7f;

		if (!blank)
			p[n++] = raw.p[i];
		else if (n > 0 && p[n - 1] != ' ')
			p[n++] = ' ';
	}
	while (n > 0 && p[n - 1] == ' ')
		n--;
	return slice_of(p, n);
}

/* Uids hold where they grow and the file says what they are valid with. */
static uint32_t uid_of(const struct source_box *b, const struct mbox_message *m)
{
	return b->uidvalidity != 0 && m->uid < b->uidnext ? m->uid : 0;
}

/* Without the fields that a mail program changes from time to time. */
static void text_hash(struct unpack u, uint64_t h[2])
{
	static uint8_t space[64 << 10];
	XXH3_state_t *state = XXH3_createState();
	XXH128_hash_t x;
	size_t n;

	if (state == NULL)
		abort();
	XXH3_128bits_reset(state);
	while ((n = unpack_next(&u, space, sizeof(space))) > 0)
		XXH3_128bits_update(state, space, n);
	x = XXH3_128bits_digest(state);
	XXH3_freeState(state);
	h[0] = x.low64;
	h[1] = x.high64;
}

int mboxfile_next(struct source *s, struct source_box *b, struct item *ret)
{
	struct tree *t = tree_of(s);
	struct mbox_message m;
	struct tree_entry *e;
	uint64_t h[2];
	char tail[100];

	do {
		if (mbox_next(&t->mbox, &m) != 0)
			return 1;
		if (m.text.n == 0 && !m.internal)
			port_left(
			    s->port, b->path, SLICE("a message without a text"), "it is empty");
	} while (m.internal || m.text.n == 0);
	text_hash(m.unpack, h);
	snprintf(tail, sizeof(tail), "%016llx%016llx.%u", (unsigned long long)h[1],
	    (unsigned long long)h[0], seen_count(t, h));
	e = tree_entry_add(t);
	e->key = port_join(b->path, "#", slice_str(tail));
	*ret = (struct item){ .key = e->key,
		.uid = uid_of(b, &m),
		.flags = m.flags,
		.keywords = keywords_of(m.keywords),
		.date_s = date_of(t, &m),
		.size = m.text.n,
		.unpack = m.unpack };
	return 0;
}
