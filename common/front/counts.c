#include "common/front/counts.h"

#include <errno.h>
#include <stdlib.h>

enum { BUCKETS = 1024 };

struct entry {
	struct entry *next_key, *next_addr;
	uint64_t key, addr;
	unsigned tag;
};

/* Both chains are short: a connection limit of thousands over a thousand buckets. */
struct counts {
	unsigned total, tagged[COUNTS_TAGS];
	struct entry *by_key[BUCKETS], *by_addr[BUCKETS];
};

static uint64_t addr_key(const struct addr *a)
{
	uint64_t v = 0;

	/* 4 octets of IPv4, 8 of IPv6. */
	for (int i = 0; i < (a->family == 4 ? 4 : 8); i++)
		v = v << 8 | a->ip[i];
	return v ^ (uint64_t)a->family << 56;
}

static size_t bucket(uint64_t v)
{
	v *= 0x9e3779b97f4a7c15ull;
	return v >> 54;
}

struct counts *counts_new(void)
{
	return calloc(1, sizeof(struct counts));
}

void counts_free(struct counts **cp)
{
	struct counts *c = *cp;

	*cp = NULL;
	for (size_t i = 0; c != NULL && i < BUCKETS; i++)
		while (c->by_key[i] != NULL)
			counts_remove(c, c->by_key[i]->key);
	free(c);
}

unsigned counts_total(const struct counts *c)
{
	return c->total;
}

unsigned counts_of(const struct counts *c, const struct addr *a)
{
	uint64_t k = addr_key(a);
	unsigned n = 0;

	for (const struct entry *e = c->by_addr[bucket(k)]; e != NULL; e = e->next_addr)
		n += e->addr == k;
	return n;
}

int counts_add(struct counts *c, uint64_t key, const struct addr *a)
{
	return counts_add_tagged(c, key, a, 0);
}

unsigned counts_tagged(const struct counts *c, unsigned tag)
{
	return tag < COUNTS_TAGS ? c->tagged[tag] : 0;
}

int counts_add_tagged(struct counts *c, uint64_t key, const struct addr *a, unsigned tag)
{
	struct entry *e = malloc(sizeof(*e));
	struct entry **by_key = &c->by_key[bucket(key)];
	struct entry **by_addr = &c->by_addr[bucket(addr_key(a))];

	if (e == NULL)
		return -ENOMEM;
	*e = (struct entry){ *by_key, *by_addr, key, addr_key(a), tag < COUNTS_TAGS ? tag : 0 };
	*by_key = *by_addr = e;
	c->total++;
	c->tagged[e->tag]++;
	return 0;
}

bool counts_remove(struct counts *c, uint64_t key)
{
	struct entry **at = &c->by_key[bucket(key)], *e;

	while (*at != NULL && (*at)->key != key)
		at = &(*at)->next_key;
	e = *at;
	if (e == NULL)
		return false;
	*at = e->next_key;
	at = &c->by_addr[bucket(e->addr)];
	while (*at != e)
		at = &(*at)->next_addr;
	*at = e->next_addr;
	c->tagged[e->tag]--;
	free(e);
	c->total--;
	return true;
}

void counts_each(const struct counts *c, void (*each)(void *arg, uint64_t key), void *arg)
{
	for (size_t i = 0; i < BUCKETS; i++)
		for (const struct entry *e = c->by_key[i]; e != NULL; e = e->next_key)
			each(arg, e->key);
}
