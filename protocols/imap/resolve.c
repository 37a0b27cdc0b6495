/*
 * resolve - what the set of a command means in the selected mailbox.
 */
#include "protocols/imap/imap-private.h"

static bool by_number(const struct imap *s, const struct set *set, struct set *ret)
{
	const struct view *v = &s->view;

	for (size_t i = 0; i < set->n; i++) {
		uint32_t first = set->r[i].first, last = set->r[i].last;

		first = first == UINT32_MAX ? v->count : first;
		last = last == UINT32_MAX ? v->count : last;
		if (first > last) {
			uint32_t t = first;

			first = last;
			last = t;
		}
		if (first == 0 || last > v->count)
			return false;
		set_add(ret, view_uid(v, first), view_uid(v, last));
	}
	return true;
}

/* RFC 3501 6.4.8: uids that do not exist are no error; "*" is the last message's. */
static void by_uid(const struct imap *s, const struct set *set, struct set *ret)
{
	const struct view *v = &s->view;
	uint32_t top = view_uid(v, v->count);

	for (size_t i = 0; i < set->n; i++) {
		uint32_t first = set->r[i].first, last = set->r[i].last, seq;

		/* "700:*" has the last message even if its uid is below 700. */
		if (last == UINT32_MAX && first > top)
			first = top;
		last = last == UINT32_MAX ? top : last;
		seq = view_seq_from(v, first);
		if (first == 0 || seq > v->count)
			continue;
		first = view_uid(v, seq);
		/* The last message that is not above `last`. */
		seq = view_seq_from(v, last);
		last = view_seq(v, last) != 0 ? last : view_uid(v, seq - 1);
		if (first <= last)
			set_add(ret, first, last);
	}
}

int imap_resolve(struct imap *s, struct set *set, bool saved, struct set *ret_uids)
{
	uint32_t top = view_uid(&s->view, s->view.count);

	if (saved) {
		if (top > 0)
			set_clip(&s->saved, 1, top, ret_uids);
	} else if (s->uid) {
		by_uid(s, set, ret_uids);
	} else if (!by_number(s, set, ret_uids)) {
		imap_done(s, IMAP_BAD, NULL, "no message has that number");
		return 1;
	}
	set_norm(ret_uids);
	set_subtract(ret_uids, &s->view.ghosts);
	if (!ret_uids->failed)
		return 0;
	imap_done(s, IMAP_NO, "LIMIT", "the set is too large");
	return 1;
}
