#include "routerd/alerts.h"

#include <errno.h>
#include <stdlib.h>

static void make_key(uint8_t key[9], enum alert_scope scope, uint64_t id)
{
	key[0] = (uint8_t)scope;
	wire_store_u64be(key + 1, id);
}

struct alerts *alerts_find(struct alerts *all, enum alert_scope scope, uint64_t id)
{
	uint8_t key[9];
	struct alerts *a = NULL;

	make_key(key, scope, id);
	HASH_FIND(hh, all, key, sizeof(key), a);
	return a;
}

struct alerts *alerts_make(struct alerts **all, enum alert_scope scope, uint64_t id)
{
	struct alerts *a = alerts_find(*all, scope, id);

	if (a != NULL)
		return a;
	a = calloc(1, sizeof(*a));
	if (a == NULL)
		return NULL;
	make_key(a->key, scope, id);
	HASH_ADD(hh, *all, key, sizeof(a->key), a);
	return a;
}

static bool text_right(struct slice text)
{
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] < ' ' || text.p[i] == 0x7f)
			return false;
	return text.n > 0 && text.n <= ALERT_TEXT_MAX;
}

static bool has_time(const struct alerts *a, int64_t time_s)
{
	for (size_t i = 0; i < a->n; i++)
		if (a->v[i].time_s == time_s)
			return true;
	return false;
}

int alerts_add(struct alerts *a, int64_t time_s, struct slice text)
{
	char *copy;

	if (!text_right(text))
		return 2;
	if (a->n == ALERTS_MAX)
		return 1;
	copy = strndup((const char *)text.p, text.n);
	if (copy == NULL)
		return -ENOMEM;
	while (has_time(a, time_s))
		time_s++;
	a->v[a->n++] = (struct alert){ time_s, copy };
	return 0;
}

bool alerts_remove(struct alerts *a, struct slice text, int64_t time_s)
{
	for (size_t i = 0; i < a->n; i++) {
		if (time_s != 0 ? a->v[i].time_s != time_s
				: !slice_eq(slice_str(a->v[i].text), text))
			continue;
		free(a->v[i].text);
		memmove(&a->v[i], &a->v[i + 1], (a->n - i - 1) * sizeof(a->v[0]));
		a->n--;
		return true;
	}
	return false;
}

void alerts_clear(struct alerts *a)
{
	while (a->n > 0)
		free(a->v[--a->n].text);
}

int alerts_copy(struct alerts *to, const struct alerts *from)
{
	int rc = 0;

	alerts_clear(to);
	for (size_t i = 0; rc == 0 && i < from->n; i++)
		rc = alerts_add(to, from->v[i].time_s, slice_str(from->v[i].text));
	return rc;
}

void alerts_free_all(struct alerts **all)
{
	struct alerts *a, *tmp;

	HASH_ITER(hh, *all, a, tmp)
	{
		HASH_DEL(*all, a);
		alerts_clear(a);
		free(a);
	}
}

void alerts_put(const struct alerts *a, struct buf *value)
{
	for (size_t i = 0; i < a->n; i++) {
		wire_put_u64(value, (uint64_t)a->v[i].time_s);
		wire_put_bytes(value, slice_str(a->v[i].text));
	}
}

bool alerts_get(struct alerts *a, struct wire_reader *value)
{
	while (wire_left(value) > 0) {
		int64_t time_s = (int64_t)wire_get_u64(value);
		struct slice text = wire_get_bytes(value, ALERT_TEXT_MAX);

		if (value->bad || alerts_add(a, time_s, text) != 0)
			return false;
	}
	return true;
}

int64_t alerts_newest(const struct alerts *a)
{
	int64_t newest = 0;

	for (size_t i = 0; i < a->n; i++)
		if (a->v[i].time_s > newest)
			newest = a->v[i].time_s;
	return newest;
}

int64_t alerts_time_of(const struct alerts *a, struct slice text)
{
	for (size_t i = 0; i < a->n; i++)
		if (slice_eq(slice_str(a->v[i].text), text))
			return a->v[i].time_s;
	return 0;
}

/* ---- what accounts were shown ---- */

struct shown *shown_find(struct shown *all, uint64_t account)
{
	struct shown *s = NULL;

	HASH_FIND(hh, all, &account, sizeof(account), s);
	return s;
}

struct shown *shown_make(struct shown **all, uint64_t account)
{
	struct shown *s = shown_find(*all, account);

	if (s != NULL)
		return s;
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return NULL;
	s->account = account;
	HASH_ADD(hh, *all, account, sizeof(s->account), s);
	return s;
}

void shown_forget(struct shown **all, uint64_t account)
{
	struct shown *s = shown_find(*all, account);

	if (s == NULL)
		return;
	HASH_DEL(*all, s);
	free(s);
}

void shown_free_all(struct shown **all)
{
	while (*all != NULL)
		shown_forget(all, (*all)->account);
}
