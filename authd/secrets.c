#include "authd/secrets.h"

#include "authd/limits.h"
#include "common/base/secret.h"
#include "common/base/wire.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

enum { VALUE_VERSION = 1 };

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
	struct slice stored = SLICE_NONE;

	if (rc == ENGINE_NOTFOUND)
		rc = 0;
	else if (rc == 0 && n == 1 && rows[0].val.n > 0 && rows[0].val.p[0] == VALUE_VERSION)
		stored = slice_from(rows[0].val, 1);
	else if (rc == 0 && n > 0)
		rc = -EUCLEAN;
	g->done(g->arg, rc, stored);
	free(g);
}

void secrets_get(struct secrets *s, uint64_t account, secrets_fn *done, void *arg)
{
	struct getting *g = malloc(sizeof(*g));
	uint8_t key[8];

	if (g == NULL) {
		done(arg, -ENOMEM, SLICE_NONE);
		return;
	}
	*g = (struct getting){ done, arg };
	wire_store_u64be(key, account);
	engine_get(s->group, slice_of(key, sizeof(key)), on_rows, g);
}

int secrets_put(
    struct secrets *s, uint64_t account, struct slice stored, engine_done_fn *done, void *arg)
{
	struct engine_batch *b = engine_batch_new(s->group);
	struct buf val = BUF_INIT(1 + SECRET_STORED_MAX);
	uint8_t key[8];
	int rc;

	if (b == NULL)
		return -ENOMEM;
	wire_store_u64be(key, account);
	buf_putc(&val, VALUE_VERSION);
	buf_put(&val, stored);
	if (stored.n == 0)
		rc = engine_del(b, slice_of(key, sizeof(key)));
	else
		rc = val.overflow ? -EMSGSIZE
				  : engine_put(b, slice_of(key, sizeof(key)), buf_slice(&val));
	secret_wipe(val.p, val.n);
	buf_fini(&val);
	if (rc != 0)
		engine_batch_free(&b);
	else
		engine_commit(s->engine, &b, 1, done, arg);
	return rc;
}

bool secrets_form_known(struct slice stored)
{
	return slice_istarts(stored, SLICE("{PLAIN}")) || slice_istarts(stored, SLICE("{CRYPT}")) ||
	       slice_istarts(stored, SLICE("{SCRAM-SHA-256}"));
}
