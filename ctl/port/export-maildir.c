/*
 * export-maildir - a mailbox as a folder of a Maildir++ with Dovecot's files, and as .eml files:
 * one file for each message, byte for byte as it is in the store.
 */
#include "ctl/port/export.h"
#include "common/mail/maildir-text.h"

#include "common/base/io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the directories ---- */

static int open_dirs(struct export *e)
{
	struct buf path = BUF_INIT(8192);
	struct buf none = BUF_INIT(1);
	bool inbox = slice_eq(e->name, SLICE("INBOX"));
	int fd = -1, fresh = -1;

	if (!inbox) {
		buf_putc(&path, '.');
		maildir_folder_encode(e->name, &path);
	}
	if (export_too_long(e, buf_slice(&path))) {
		buf_fini(&path);
		return 1;
	}
	e->dir = export_mkdir(e->top, buf_slice(&path));
	if (e->dir >= 0) {
		e->cur = export_mkdir(e->dir, SLICE("cur"));
		e->tmp = export_mkdir(e->dir, SLICE("tmp"));
		fresh = export_mkdir(e->dir, SLICE("new"));
	}
	buf_fini(&path);
	if (e->cur < 0 || e->tmp < 0 || fresh < 0)
		return export_failed("the mailbox's directory");
	fd_close(&fresh);
	/* Maildir++ knows its folders by this file. */
	if (!inbox && (fd = openat(e->dir, "maildirfolder", O_RDONLY | O_CLOEXEC)) < 0)
		return export_write(e->dir, "maildirfolder", &none);
	fd_close(&fd);
	return 0;
}

/* Files that an earlier run made of this mailbox. */
static int list_have(
    struct export *e, int dir, bool (*is)(struct export *e, struct slice name, uint32_t *uid))
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *f;
	uint32_t uid;

	if (d == NULL) {
		fd_close(&fd);
		return export_failed("the mailbox's directory");
	}
	while ((f = readdir(d)) != NULL)
		if (is(e, slice_str(f->d_name), &uid))
			export_have_add(e, uid, f->d_name);
	closedir(d);
	export_have_sort(e);
	return 0;
}

static bool maildir_is(struct export *e, struct slice name, uint32_t *uid)
{
	struct maildir_name m;

	maildir_name_parse(name, &m);
	*uid = m.uid;
	return m.uid != 0 && m.uidvalidity == e->uidvalidity;
}

/* ---- keywords: the first 26 that are used have letters ---- */

static void letters_give(struct export *e)
{
	struct keyset_map used = { 0 };
	int next = 0;

	for (size_t i = 0; i < e->n_row; i++)
		keyset_map_add(&used, e->row[i].keywords);
	for (size_t k = 0; k < e->n_keywords; k++) {
		e->letter[k] = -1;
		if ((used.v[k / 64] >> (k % 64) & 1) == 0)
			continue;
		if (next < MAILDIR_LETTERS)
			e->letter[k] = next++;
		else
			port_note(&e->port,
			    "%.*s: a Maildir has room for %d keywords; %.*s is left out",
			    SLICE_FMT(e->name), MAILDIR_LETTERS, SLICE_FMT(e->keywords[k]));
	}
}

static uint32_t letters_of(const struct export *e, struct keyset keywords)
{
	uint32_t letters = 0;
	int k;

	while ((k = keyset_take(&keywords)) >= 0)
		if ((size_t)k < e->n_keywords && e->letter[k] >= 0)
			letters |= 1u << e->letter[k];
	return letters;
}

/* ---- Maildir ---- */

static const char *maildir_name(struct export *e, const struct export_row *row)
{
	buf_reset(&e->out);
	maildir_name_put(&e->out, &(struct maildir_made){ row->date_s, row->size, row->uid,
				      e->uidvalidity, row->flags, letters_of(e, row->keywords) });
	return buf_cstr(&e->out);
}

static int maildir_begin(struct export *e)
{
	int r = open_dirs(e);

	if (r == 0)
		r = list_have(e, e->cur, maildir_is);
	if (r != 0)
		return r;
	letters_give(e);
	uidlist_put_head(&e->list, e->uidvalidity, e->uidnext);
	return 0;
}

static void maildir_listed(struct export *e, const struct export_row *row)
{
	struct maildir_name m;

	maildir_name(e, row);
	maildir_name_parse(buf_slice(&e->out), &m);
	uidlist_put(&e->list, &(struct uidlist_line){ m.base, row->uid, row->thread });
}

/* What is there may have other flags by now: its name tells them. */
static bool maildir_has(struct export *e, const struct export_row *row)
{
	const struct export_have *have = export_have_find(e, row->uid);
	const char *name;

	if (have == NULL)
		return false;
	name = maildir_name(e, row);
	if (strcmp(name, have->name) != 0)
		(void)renameat(e->cur, have->name, e->cur, name);
	maildir_listed(e, row);
	return true;
}

static int file_open(struct export *e, int dir, const char *name)
{
	e->file = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	return e->file >= 0 ? 0 : export_failed(name);
}

static const char *part_name(const struct export_row *row, char name[40])
{
	snprintf(name, 40, ".export.%u", row->uid);
	return name;
}

static int file_data(struct export *e, struct slice data)
{
	return io_write_all(e->file, data) == 0 ? 0 : export_failed("a message");
}

/* With the internal date for its time. */
static int file_close(
    struct export *e, int dir, const char *part, const struct export_row *row, bool good)
{
	struct timespec times[2] = { { .tv_sec = row->date_s }, { .tv_sec = row->date_s } };
	int r = e->file < 0 ? -1 : 0;

	if (good && r == 0 && futimens(e->file, times) != 0)
		r = export_failed("a message");
	fd_close(&e->file);
	if (!good || r != 0)
		unlinkat(dir, part, 0);
	return good ? r : 0;
}

static int maildir_open(struct export *e, const struct export_row *row)
{
	char part[40];

	return file_open(e, e->tmp, part_name(row, part));
}

static int maildir_close(struct export *e, const struct export_row *row, bool good)
{
	char part[40];
	int r = file_close(e, e->tmp, part_name(row, part), row, good);

	if (!good || r != 0)
		return r;
	export_wait_for(e, part, maildir_name(e, row), row->size);
	maildir_listed(e, row);
	return export_full(e) ? export_settle(e, e->tmp, e->cur) : 0;
}

static int maildir_end(struct export *e)
{
	struct buf keywords = BUF_INIT(64 << 10);
	int r = export_settle(e, e->tmp, e->cur);

	for (int letter = 0; letter < MAILDIR_LETTERS; letter++)
		for (size_t k = 0; k < e->n_keywords; k++)
			if (e->letter[k] == letter)
				buf_printf(
				    &keywords, "%d %.*s\n", letter, SLICE_FMT(e->keywords[k]));
	if (r == 0)
		r = export_write(e->dir, "dovecot-uidlist", &e->list);
	if (r == 0)
		r = export_write(e->dir, "dovecot-keywords", &keywords);
	buf_fini(&keywords);
	return r;
}

const struct export_ops export_maildir = { maildir_begin, maildir_has, maildir_open, file_data,
	maildir_close, maildir_end };

/* ---- .eml: "1700000000.U12V345.FS.eml" ---- */

static const char *eml_name(struct export *e, const struct export_row *row)
{
	struct buf full = BUF_INIT(1000);
	struct maildir_name m;

	buf_reset(&e->out);
	maildir_name_put(&full, &(struct maildir_made){ row->date_s, row->size, row->uid,
				    e->uidvalidity, row->flags, 0 });
	maildir_name_parse(buf_slice(&full), &m);
	buf_printf(&e->out, "%lld.U%uV%u.", (long long)(row->date_s > 0 ? row->date_s : 0),
	    row->uid, e->uidvalidity);
	buf_put(&e->out, slice_from(buf_slice(&full), m.base.n + 3));
	buf_puts(&e->out, ".eml");
	buf_fini(&full);
	return buf_cstr(&e->out);
}

/* Up to the flags a name is that of a Maildir. */
static bool eml_is_ours(struct export *e, struct slice name, uint32_t *uid)
{
	struct buf b = BUF_INIT(1000);
	ptrdiff_t dot = slice_find(name, '.'), next;
	bool is = false;

	if (dot >= 0 && (next = slice_find(slice_from(name, (size_t)dot + 1), '.')) >= 0) {
		buf_put(&b, slice_part(name, 0, (size_t)(dot + 1 + next)));
		buf_puts(&b, ".gatehouse,S=0:2,");
		is = maildir_is(e, buf_slice(&b), uid);
	}
	buf_fini(&b);
	return is;
}

static int eml_begin(struct export *e)
{
	struct buf path = BUF_INIT(8192);
	struct slice name = e->name;

	while (name.n > 0) {
		maildir_folder_encode(slice_take(&name, '/'), &path);
		if (name.n > 0)
			buf_putc(&path, '/');
	}
	if (export_too_long(e, buf_slice(&path))) {
		buf_fini(&path);
		return 1;
	}
	e->dir = export_mkdir(e->top, buf_slice(&path));
	buf_fini(&path);
	return e->dir < 0 ? export_failed("the mailbox's directory")
			  : list_have(e, e->dir, eml_is_ours);
}

static bool eml_has(struct export *e, const struct export_row *row)
{
	const struct export_have *have = export_have_find(e, row->uid);
	const char *name = eml_name(e, row);

	if (have != NULL && strcmp(name, have->name) != 0)
		(void)renameat(e->dir, have->name, e->dir, name);
	return have != NULL;
}

static int eml_open(struct export *e, const struct export_row *row)
{
	char part[40];

	return file_open(e, e->dir, part_name(row, part));
}

static int eml_close(struct export *e, const struct export_row *row, bool good)
{
	char part[40];
	int r = file_close(e, e->dir, part_name(row, part), row, good);

	if (!good || r != 0)
		return r;
	export_wait_for(e, part, eml_name(e, row), row->size);
	return export_full(e) ? export_settle(e, e->dir, e->dir) : 0;
}

static int eml_end(struct export *e)
{
	return export_settle(e, e->dir, e->dir);
}

const struct export_ops export_eml = { eml_begin, eml_has, eml_open, file_data, eml_close,
	eml_end };
