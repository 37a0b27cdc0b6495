#include "authd/secrets.h"

#include "authd/limits.h"
#include "common/base/secret.h"
#include "common/base/wire.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

enum { VALUE_VERSION = 1, KEY_ID = 8 };

struct waiting {
	bool answered;
	int rc;
	struct engine_group *group;
};

static void on_group(void *arg, int rc, struct engine_group *take_group)
{
	*(struct waiting *)arg = (struct waiting){ true, rc, take_group };
}

int secrets_open(struct secrets *s, struct engine *e)
{
	struct waiting w = { 0 };

	*s = (struct secrets){ .engine = e };
	engine_group_open(e, SLICE("secrets"), 0, ENGINE_CREATE, on_group, &w);
	while (!w.answered) {
		struct pollfd pfd = { .fd = engine_fd(e), .events = POLLIN };

		if (engine_dispatch(e, 0) == 0)
			poll(&pfd, 1, 1000);
	}
	s->group = w.group;
	return w.rc;
}

void secrets_close(struct secrets *s)
{
	engine_group_close(&s->group);
}

struct getting {
	secrets_fn *done;
	void *arg;
};

static void on_rows(void *arg, int rc, const struct engine_row *rows, size_t n, bool more)
{
	struct getting *g = arg;
	struct buf tagged = BUF_INIT(SECRETS_TAGGED_BYTES);
	struct slice stored = SLICE_NONE;

	if (rc == ENGINE_NOTFOUND)
		rc = 0;
	for (size_t i = 0; rc == 0 && i < n; i++) {
		struct slice form = slice_from(rows[i].val, 1),
			     tag = slice_from(rows[i].key, KEY_ID);

		if (rows[i].val.n == 0 || rows[i].val.p[0] != VALUE_VERSION) {
			rc = -EUCLEAN;
		} else if (tag.n == 0) {
			stored = form;
		} else {
			wire_put_bytes(&tagged, tag);
			wire_put_bytes(&tagged, form);
		}
	}
	if (tagged.overflow)
		rc = -EUCLEAN;
	g->done(g->arg, rc, stored, rc == 0 ? buf_slice(&tagged) : SLICE_NONE);
	if (tagged.p != NULL)
		secret_wipe(tagged.p, tagged.cap);
	buf_fini(&tagged);
	free(g);
}

/* All rows of the account: from its id to the next one's. Ids are far from their end. */
static size_t key_range(uint64_t account, uint8_t *ret_from, uint8_t *ret_to)
{
	wire_store_u64be(ret_from, account);
	wire_store_u64be(ret_to, account + 1);
	return KEY_ID;
}

void secrets_get(struct secrets *s, uint64_t account, secrets_fn *done, void *arg)
{
	struct getting *g = s->refused ? NULL : malloc(sizeof(*g));
	uint8_t from[KEY_ID], to[KEY_ID];

	if (g == NULL) {
		done(arg, s->refused ? ENGINE_CORRUPT : -ENOMEM, SLICE_NONE, SLICE_NONE);
		return;
	}
	*g = (struct getting){ done, arg };
	engine_scan(s->group, slice_of(from, key_range(account, from, to)), slice_of(to, KEY_ID),
	    1 + SECRETS_TAGS_MAX, on_rows, g);
}

/* The tagged ones: their keys lie behind the account's own, which ends before them. */
static int del_tagged(struct engine_batch *b, uint64_t account)
{
	uint8_t from[KEY_ID + 1] = { 0 }, to[KEY_ID];

	(void)key_range(account, from, to);
	return engine_del_range(b, slice_of(from, sizeof(from)), slice_of(to, sizeof(to)));
}

/* `alone`: nothing else of the account is left. */
static int put(struct secrets *s, uint64_t account, struct slice tag, struct slice stored,
    bool alone, engine_done_fn *done, void *arg)
{
	struct engine_batch *b = s->refused ? NULL : engine_batch_new(s->group);
	struct buf val = BUF_INIT(1 + SECRET_STORED_MAX),
		   key = BUF_INIT(KEY_ID + SECRETS_TAG_BYTES);
	uint8_t from[KEY_ID], to[KEY_ID];
	int rc;

	if (b == NULL)
		return s->refused ? ENGINE_CORRUPT : -ENOMEM;
	buf_put(&key, slice_of(from, key_range(account, from, to)));
	buf_put(&key, tag);
	buf_putc(&val, VALUE_VERSION);
	buf_put(&val, stored);
	if (val.overflow || key.overflow)
		rc = -EMSGSIZE;
	else if (stored.n > 0)
		rc = engine_put(b, buf_slice(&key), buf_slice(&val));
	else
		rc = tag.n > 0 ? engine_del(b, buf_slice(&key))
			       : engine_del_range(b, buf_slice(&key), slice_of(to, KEY_ID));
	if (rc == 0 && alone)
		rc = del_tagged(b, account);
	buf_fini(&key);
	secret_wipe(val.p, val.n);
	buf_fini(&val);
	if (rc != 0)
		engine_batch_free(&b);
	else
		engine_commit(s->engine, &b, 1, done, arg);
	return rc;
}

int secrets_put(struct secrets *s, uint64_t account, struct slice tag, struct slice stored,
    engine_done_fn *done, void *arg)
{
	return put(s, account, tag, stored, false, done, arg);
}

int secrets_put_alone(
    struct secrets *s, uint64_t account, struct slice stored, engine_done_fn *done, void *arg)
{
	return put(s, account, SLICE_NONE, stored, true, done, arg);
}

bool secrets_form_known(struct slice stored)
{
	return slice_istarts(stored, SLICE("{PLAIN}")) || slice_istarts(stored, SLICE("{CRYPT}")) ||
	       slice_istarts(stored, SLICE("{SCRAM-SHA-256}"));
}

bool secrets_tag_right(struct slice tag)
{
	for (size_t i = 0; i < tag.n; i++) {
		uint8_t c = ascii_lower(tag.p[i]);

		if ((c < 'a' || c > 'z') && !ascii_digit(c) && c != '-' && c != '_' && c != '.')
			return false;
	}
	return tag.n > 0 && tag.n <= SECRETS_TAG_BYTES;
}

bool secrets_tag_find(struct slice tagged, struct slice tag, size_t *ret_n)
{
	struct wire_reader r = wire_reader(tagged);
	bool found = false;

	for (*ret_n = 0; wire_left(&r) > 0 && !r.bad; ++*ret_n) {
		found |= slice_eq(wire_get_bytes(&r, SECRETS_TAG_BYTES), tag);
		wire_get_bytes(&r, SECRET_STORED_MAX);
	}
	return found;
}
