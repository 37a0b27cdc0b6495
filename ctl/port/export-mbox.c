/* export-mbox - a mailbox as one file, made anew each time and named when it is whole. */
#include "ctl/port/export.h"
#include "common/mail/maildir-text.h"

#include "common/base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { OUT_FLUSH = 256 << 10 };

static const char part[] = ".export.mbox";

/* The levels above are directories; the file is called after the last one. */
static int begin(struct export *e)
{
	struct buf path = BUF_INIT(8192);
	struct slice name = e->name, level = slice_take(&name, '/');
	bool left;

	while (name.n > 0) {
		if (path.n > 0)
			buf_putc(&path, '/');
		maildir_folder_encode(level, &path);
		level = slice_take(&name, '/');
	}
	buf_reset(&e->list);
	maildir_folder_encode(level, &e->list);
	buf_puts(&e->list, ".mbox");
	left = export_too_long(e, buf_slice(&path)) || export_too_long(e, buf_slice(&e->list));
	if (!left)
		e->dir = export_mkdir(e->top, buf_slice(&path));
	buf_fini(&path);
	if (left)
		return 1;
	if (e->dir < 0)
		return export_failed("the mailbox's directory");
	e->file = openat(e->dir, part, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	e->at = 0;
	e->began = 0;
	e->first = true;
	return e->file >= 0 ? 0 : export_failed("an mbox");
}

static bool has(struct export *e, const struct export_row *row)
{
	return false;
}

static int flush(struct export *e)
{
	int r = e->out.overflow ? -ENOSPC : io_write_all(e->file, buf_slice(&e->out));

	e->at += e->out.n;
	buf_reset(&e->out);
	if (r == 0)
		return 0;
	errno = -r;
	return export_failed("an mbox");
}

static int open_message(struct export *e, const struct export_row *row)
{
	struct buf names = BUF_INIT(64 << 10);
	struct keyset set = row->keywords;
	int k;
	struct mbox_put m = { .date_s = row->date_s, .flags = row->flags, .uid = row->uid };
	size_t length;

	while ((k = keyset_take(&set)) >= 0) {
		if ((size_t)k >= e->n_keywords)
			continue;
		if (names.n > 0)
			buf_putc(&names, ' ');
		buf_put(&names, e->keywords[k]);
	}
	m.keywords = buf_slice(&names);
	if (e->first) {
		m.uidvalidity = e->uidvalidity;
		m.uidlast = e->uidnext - 1;
	}
	mbox_put_begin(&e->out, e->variant, &m, &length);
	e->length_at = length > 0 ? e->at + length : 0;
	buf_fini(&names);
	e->pack = mbox_pack(e->variant);
	return 0;
}

static int data(struct export *e, struct slice in)
{
	while (in.n > 0) {
		struct slice some = slice_part(in, 0, OUT_FLUSH);

		mbox_pack_feed(&e->pack, some, &e->out);
		in = slice_from(in, some.n);
		if (e->out.n >= OUT_FLUSH && flush(e) != 0)
			return -1;
	}
	return 0;
}

/* What was written of a message that cannot be read is taken back. */
static int take_back(struct export *e, off_t began)
{
	buf_reset(&e->out);
	e->at = (uint64_t)began;
	if (ftruncate(e->file, began) != 0 || lseek(e->file, began, SEEK_SET) < 0)
		return export_failed("an mbox");
	return 0;
}

static int close_message(struct export *e, const struct export_row *row, bool good)
{
	char digits[MBOX_LENGTH_DIGITS + 1];
	int r;

	if (!good)
		return take_back(e, e->began);
	mbox_pack_end(&e->pack, &e->out);
	mbox_put_end(&e->pack, &e->out);
	r = flush(e);
	if (r == 0 && e->length_at > 0 && e->pack.body > 0) {
		snprintf(digits, sizeof(digits), "%*llu", MBOX_LENGTH_DIGITS,
		    (unsigned long long)mbox_pack_body(&e->pack));
		if (io_pwrite_all(
			e->file, slice_of(digits, MBOX_LENGTH_DIGITS), (off_t)e->length_at) != 0)
			r = export_failed("an mbox");
	}
	e->first = false;
	e->began = (off_t)e->at;
	return r;
}

static int end(struct export *e)
{
	int r = flush(e);
	const char *name = buf_cstr(&e->list);

	if (r == 0 && (name == NULL || fsync(e->file) != 0 ||
			  renameat(e->dir, part, e->dir, name) != 0 || fsync(e->dir) != 0))
		r = export_failed("an mbox");
	fd_close(&e->file);
	return r;
}

const struct export_ops export_mbox = { begin, has, open_message, data, close_message, end };
