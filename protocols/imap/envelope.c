#include "protocols/imap/envelope.h"

/*
 * One address: (name route mailbox host). A missing host is "" and not NIL, which would make a
 * group of it.
 */
static void put_address(struct writer *w, const struct address *a)
{
	write_open(w);
	if (a->kind == ADDRESS_MAILBOX) {
		write_string(w, a->name.n > 0 ? a->name : SLICE_NONE);
		write_string(w, a->route.n > 0 ? a->route : SLICE_NONE);
		write_string(w, a->local.n > 0 ? a->local : SLICE(""));
		write_string(w, a->domain.n > 0 ? a->domain : SLICE(""));
	} else {
		bool start = a->kind == ADDRESS_GROUP;

		write_nil(w);
		write_nil(w);
		write_string(w, !start ? SLICE_NONE : a->name.n > 0 ? a->name : SLICE(""));
		write_nil(w);
	}
	write_close(w);
}

/* A list of addresses, or NIL for none. True when there was one. */
static bool put_addresses(struct writer *w, struct slice value, struct address_iter *it)
{
	struct address a;
	bool any = false;

	if (value.p != NULL)
		address_init(it, value);
	while (value.p != NULL && address_next(it, &a) == 0) {
		if (!any)
			write_open(w);
		else
			w->gap = WRITE_NO_GAP; /* RFC 3501 9: "(" 1*address ")" */
		any = true;
		put_address(w, &a);
	}
	if (any)
		write_close(w);
	else
		write_nil(w);
	return any;
}

/* Sender and Reply-To: what From said when they say nothing (RFC 3501 7.4.2). */
static void put_defaulted(
    struct writer *w, struct slice value, size_t from_at, size_t from_n, struct address_iter *it)
{
	size_t before = write_place(w);

	if (!put_addresses(w, value, it))
		write_repeat(w, before, from_at, from_n);
}

void envelope_write(
    struct writer *w, const struct slice field[FACTS_FIELD_COUNT], struct address_iter *it)
{
	size_t from_at, from_n;

	write_open(w);
	write_string(w, field[FACTS_DATE]);
	write_string(w, field[FACTS_SUBJECT]);
	from_at = write_place(w);
	put_addresses(w, field[FACTS_FROM], it);
	from_n = write_place(w) - from_at;
	put_defaulted(w, field[FACTS_SENDER], from_at, from_n, it);
	put_defaulted(w, field[FACTS_REPLY_TO], from_at, from_n, it);
	put_addresses(w, field[FACTS_TO], it);
	put_addresses(w, field[FACTS_CC], it);
	put_addresses(w, field[FACTS_BCC], it);
	write_string(w, field[FACTS_IN_REPLY_TO]);
	write_string(w, field[FACTS_MESSAGE_ID]);
	write_close(w);
}
