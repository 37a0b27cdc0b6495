/*
 * What gatehousectl reads of other mail stores: any bytes. The first byte says as what; then each
 * reader must end, stay within what it was given, and give the same however it is read.
 */
#include "ctl/port/imap-text.h"
#include "common/mail/maildir-text.h"
#include "ctl/port/mbox-text.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct buf unpacked(struct unpack u, size_t room)
{
	struct buf b = BUF_INIT(64 << 20);
	uint8_t space[4096];
	size_t n;

	unpack_rewind(&u);
	while ((n = unpack_next(&u, space, room)) > 0) {
		assert(n <= room);
		buf_put(&b, slice_of(space, n));
	}
	assert(b.n <= 2 * u.in.n + 1);
	return b;
}

static void same_in_pieces(struct unpack u)
{
	struct buf whole = unpacked(u, 4096), pieces = unpacked(u, 3);

	assert(slice_eq(buf_slice(&whole), buf_slice(&pieces)));
	buf_fini(&whole);
	buf_fini(&pieces);
}

static void one_mbox(struct slice in, enum mbox_variant v)
{
	struct mbox_reader r;
	struct mbox_message m;
	size_t last = 0;
	bool first = true;

	if (mbox_begin(in, v, &r) != 0)
		return;
	while (mbox_next(&r, &m) == 0) {
		assert(first || m.offset > last);
		assert(m.text.n == 0 || (m.text.p >= in.p && m.text.p + m.text.n <= in.p + in.n));
		same_in_pieces(m.unpack);
		last = m.offset;
		first = false;
	}
}

/* Any text as a message: what is written as mboxrd holds no line that begins another. */
static void one_pack(struct slice in)
{
	struct mbox_pack p = mbox_pack(MBOX_RD), q = mbox_pack(MBOX_RD);
	struct buf b = BUF_INIT(64 << 20), c = BUF_INIT(64 << 20);

	mbox_pack_feed(&p, in, &b);
	mbox_pack_end(&p, &b);
	for (size_t i = 0; i < in.n; i++)
		mbox_pack_feed(&q, slice_part(in, i, 1), &c);
	mbox_pack_end(&q, &c);
	assert(slice_eq(buf_slice(&b), buf_slice(&c)));
	assert(!slice_starts(buf_slice(&b), SLICE("From ")));
	assert(b.n == 0 || memmem(b.p, b.n, "\nFrom ", 6) == NULL);
	buf_fini(&b);
	buf_fini(&c);
}

static void one_uidlist(struct slice in)
{
	struct uidlist l;
	struct uidlist_line line;
	struct slice words[MAILDIR_LETTERS];

	maildir_keywords_parse(in, words);
	if (uidlist_begin(in, &l) == 0)
		while (uidlist_next(&l, &line) == 0)
			assert(line.uid > 0 && line.base.p >= in.p &&
			       line.base.p + line.base.n <= in.p + in.n);
}

static void one_folder(struct slice in, uint8_t sep)
{
	struct buf a = BUF_INIT(1 << 20), b = BUF_INIT(1 << 20), c = BUF_INIT(1 << 20);
	struct maildir_name m;
	struct slice raw;
	struct subs s;

	maildir_name_parse(in, &m);
	assert(m.base.n <= in.n);
	if (maildir_folder_decode(in, sep, &a) == 0 && in.n < 1000) {
		maildir_folder_encode(buf_slice(&a), &b);
		assert(maildir_folder_decode(buf_slice(&b), '.', &c) == 0);
		assert(slice_eq(buf_slice(&a), buf_slice(&c)));
	}
	buf_reset(&a);
	subs_begin(in, sep, &s);
	while (subs_next(&s, &a, &raw) != MAILDIR_END)
		buf_reset(&a);
	buf_fini(&a);
	buf_fini(&b);
	buf_fini(&c);
}

static void one_imap(struct slice in)
{
	struct imap_response r;
	struct buf a = BUF_INIT(1 << 20), b = BUF_INIT(1 << 20);
	bool noselect;
	uint32_t n;

	while (in.n > 0) {
		struct imap_scan scan = { 0 };
		struct imap_fetch f;
		size_t size;

		if (imap_scan(&scan, in, 1 << 20, &size) != 0 || size > in.n)
			break;
		assert(size > 0);
		if (imap_response_parse(slice_part(in, 0, size), &r) == 0) {
			(void)imap_code_number(r.rest, SLICE("UIDNEXT"), &n);
			(void)imap_fetch_parse(r.rest, &f, &a);
			buf_reset(&a);
			(void)imap_list_parse(r.rest, &a, &b, &noselect);
			buf_reset(&a);
			buf_reset(&b);
		}
		in = slice_from(in, size);
	}
	(void)imap_quote(in, &a);
	buf_fini(&a);
	buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_of(data, size);

	if (size == 0 || size > 64 << 10)
		return 0;
	in = slice_from(in, 1);
	switch (data[0] & 7) {
	case 0:
	case 1:
		one_mbox(in, (enum mbox_variant)((data[0] >> 4) % MBOX_VARIANTS));
		break;
	case 2:
		one_pack(in);
		break;
	case 3:
		one_uidlist(in);
		break;
	case 4:
		one_folder(in, (data[0] & 16) != 0 ? '.' : '/');
		break;
	case 5:
		same_in_pieces(unpack_lines(in));
		break;
	default:
		one_imap(in);
		break;
	}
	return 0;
}
