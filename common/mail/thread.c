#include "common/mail/facts-private.h"
#include "common/mail/limits.h"
#include "common/mail/thread.h"

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\0';
}

/* The inside of the next <...> that holds an '@' and is no longer than THREAD_ID_MAX. */
static bool next_raw(struct slice *value, struct slice *ret)
{
	while (value->n > 0) {
		const uint8_t *start = memchr(value->p, '<', value->n);
		struct slice in;
		size_t n = 0;

		if (start == NULL)
			break;
		in = slice_from(*value, (size_t)(start - value->p) + 1);
		while (n < in.n && in.p[n] != '>' && in.p[n] != '<')
			n++;
		*value = slice_from(in, n);
		in.n = n;
		if (value->n == 0 || value->p[0] != '>')
			continue;
		if (in.n <= THREAD_ID_MAX && slice_find(in, '@') > 0) {
			*ret = in;
			return true;
		}
	}
	*value = slice_from(*value, value->n);
	return false;
}

static void put_id(struct slice in, struct buf *out)
{
	for (size_t i = 0; i < in.n; i++) {
		uint8_t c = in.p[i];

		if (is_blank(c) || c == '"')
			continue;
		if (c == '\\' && i + 1 < in.n)
			c = in.p[++i];
		buf_putc(out, c);
	}
}

bool thread_next_id(struct slice *value, struct buf *out)
{
	struct slice in;

	if (!next_raw(value, &in))
		return false;
	put_id(in, out);
	return true;
}

static void pack_one(struct slice in, struct buf *out)
{
	struct buf id = BUF_INIT(THREAD_ID_MAX);

	put_id(in, &id);
	facts_put_text(out, buf_slice(&id));
	buf_fini(&id);
}

bool thread_pack(
    struct slice message_id, struct slice references, struct slice in_reply_to, struct buf *out)
{
	struct slice in = SLICE_NONE, first = SLICE_NONE, last[FACTS_REF_COUNT_MAX];
	size_t count = 0, take, room;

	next_raw(&message_id, &in);
	pack_one(in, out);
	while (next_raw(&references, &in)) {
		if (count == 0)
			first = in;
		last[count++ % FACTS_REF_COUNT_MAX] = in;
	}
	if (count == 0 && next_raw(&in_reply_to, &in)) {
		pack_one(in, out);
		return false;
	}
	if (count == 0)
		return false;
	/* The newest ones that leave room for the oldest, which names the thread. */
	room = FACTS_REFS_MAX - out->n - (first.n + 2);
	for (take = 0; take < count - 1 && take < FACTS_REF_COUNT_MAX - 1; take++) {
		size_t need = last[(count - 1 - take) % FACTS_REF_COUNT_MAX].n + 2;

		if (need > room)
			break;
		room -= need;
	}
	pack_one(first, out);
	for (size_t i = count - take; i < count; i++)
		pack_one(last[i % FACTS_REF_COUNT_MAX], out);
	return take < count - 1;
}
