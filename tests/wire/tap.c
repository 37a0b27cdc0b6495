#include "tests/wire/tap.h"

static bool tap_open(struct fake_store *s, unsigned user)
{
	struct fake_store *real = ((struct tap *)s)->real;

	return real->open(real, user);
}

static void tap_send(struct fake_store *s, enum ipc_type type, const void *msg)
{
	struct tap *t = (struct tap *)s;

	t->sent[type]++;
	if (t->on_send == NULL || !t->on_send(t, type, msg))
		t->real->send(t->real, type, msg);
}

static const union ipc_any *tap_next(
    struct fake_store *s, bool wait, enum ipc_type *ret_type, bool *ret_gone)
{
	struct tap *t = (struct tap *)s;
	const union ipc_any *m = t->on_next != NULL ? t->on_next(t, ret_type) : NULL;

	*ret_gone = false;
	return m != NULL ? m : t->real->next(t->real, wait && !t->held, ret_type, ret_gone);
}

struct fake_store *tap_init(struct tap *t, struct fake_store *real)
{
	*t = (struct tap){ .store = { tap_open, tap_send, tap_next }, .real = real };
	return &t->store;
}
