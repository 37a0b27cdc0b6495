#include "stored/salvage/maildir.h"

#include "common/base/io.h"
#include "common/mail/maildir-text.h"
#include "stored/salvage/maildir-name.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WRITE_BYTES = 256 << 10, NAME_BYTES = 256 };

struct maildir {
	struct out *out;
	struct report *rep;
	struct model *model;
	const struct sv_account *account;
	int account_fd, box_fd, cur_fd, tmp_fd, damaged_fd;
	FILE *uids;
	char folder[NAME_BYTES]; /* "" for INBOX */
	/* the message under way */
	int file;
	char base[NAME_BYTES], name[NAME_BYTES + 40];
	bool there; /* a run before this one wrote it */
	struct buf pending;
	EVP_MD_CTX *sha;
};

struct maildir *maildir_new(struct out *o, struct model *m, struct report *rep)
{
	struct maildir *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return NULL;
	*d = (struct maildir){ .out = o,
		.rep = rep,
		.model = m,
		.account_fd = -1,
		.box_fd = -1,
		.cur_fd = -1,
		.tmp_fd = -1,
		.damaged_fd = -1,
		.file = -1,
		.pending = BUF_INIT(WRITE_BYTES + (64 << 10)),
		.sha = EVP_MD_CTX_new() };
	if (d->sha == NULL)
		maildir_free(&d);
	return d;
}

static void box_close(struct maildir *d)
{
	if (d->uids != NULL)
		fclose(d->uids);
	d->uids = NULL;
	fd_close(&d->cur_fd);
	fd_close(&d->tmp_fd);
	fd_close(&d->box_fd);
}

void maildir_free(struct maildir **d)
{
	if (*d == NULL)
		return;
	box_close(*d);
	fd_close(&(*d)->file);
	fd_close(&(*d)->account_fd);
	fd_close(&(*d)->damaged_fd);
	buf_fini(&(*d)->pending);
	EVP_MD_CTX_free((*d)->sha);
	free(*d);
	*d = NULL;
}

/* ---- accounts ---- */

struct subscriptions {
	FILE *f;
};

static int subscription(void *arg, uint64_t id, struct slice name)
{
	struct subscriptions *s = arg;
	char folder[NAME_BYTES];

	maildir_folder(name, id, folder, sizeof(folder));
	fprintf(s->f, "%s\n", folder[0] == '\0' ? "INBOX" : folder + 1);
	return 0;
}

static int subscriptions_write(struct maildir *d, const struct sv_account *a)
{
	struct subscriptions s = { out_file(d->account_fd, "subscriptions", 0600) };

	if (s.f == NULL)
		return -errno;
	(void)model_each_name(d->model, a->id, REC_SUB, subscription, &s);
	return fclose(s.f) != 0 ? -errno : 0;
}

static int account_enter(struct maildir *d, const struct sv_account *a)
{
	char name[NAME_BYTES];

	if (d->account == a)
		return 0;
	d->account = a;
	fd_close(&d->account_fd);
	maildir_account(a->name, name, sizeof(name));
	d->account_fd = out_dir(d->out->fd, name);
	return d->account_fd < 0 ? d->account_fd : subscriptions_write(d, a);
}

/* ---- mailboxes ---- */

static int keywords_write(struct maildir *d, const struct sv_mbox *b)
{
	FILE *f = b->keywords.n > 0 ? out_file(d->box_fd, "dovecot-keywords", 0600) : NULL;

	if (b->keywords.n == 0)
		return 0;
	if (f == NULL)
		return -errno;
	for (unsigned i = 0; i < b->keywords.n; i++)
		fprintf(f, "%u %.*s\n", i, SLICE_FMT(keywords_at(&b->keywords, i)));
	return fclose(f) != 0 ? -errno : 0;
}

static int box_dirs(struct maildir *d)
{
	int new_fd = out_dir(d->box_fd, "new");

	if (new_fd < 0)
		return new_fd;
	close(new_fd);
	d->cur_fd = out_dir(d->box_fd, "cur");
	if (d->cur_fd < 0)
		return d->cur_fd;
	d->tmp_fd = out_dir(d->box_fd, "tmp");
	return d->tmp_fd < 0 ? d->tmp_fd : 0;
}

static int on_mbox_begin(void *arg, struct sv_mbox *b)
{
	struct maildir *d = arg;
	int rc = account_enter(d, b->account);

	if (rc != 0)
		return rc;
	maildir_folder(b->name, b->id, d->folder, sizeof(d->folder));
	d->box_fd = d->folder[0] == '\0' ? fcntl(d->account_fd, F_DUPFD_CLOEXEC, 3)
					 : out_dir(d->account_fd, d->folder);
	if (d->box_fd < 0)
		return d->folder[0] == '\0' ? -errno : d->box_fd;
	rc = box_dirs(d);
	if (rc == 0)
		rc = keywords_write(d, b);
	if (rc == 0 && d->folder[0] != '\0') {
		FILE *f = out_file(d->box_fd, "maildirfolder", 0600);

		rc = f == NULL || fclose(f) != 0 ? -errno : 0;
	}
	if (rc != 0)
		return rc;
	d->uids = out_file(d->box_fd, "dovecot-uidlist", 0600);
	return d->uids == NULL ? -errno : 0;
}

/* Its first line needs numbers that are known at the end, and has a fixed width. */
static void uidlist_head(struct maildir *d, const struct sv_mbox *b)
{
	uint32_t next = b->has_head ? b->head.uidnext : 1;

	if (next <= b->uid_max)
		next = b->uid_max + 1;
	fprintf(d->uids, "3 V%u N%010u G%032llx\n", sv_mbox_validity(b), next,
	    (unsigned long long)b->id);
}

static int on_mbox_end(void *arg, struct sv_mbox *b)
{
	struct maildir *d = arg;
	int rc = 0;

	rewind(d->uids);
	uidlist_head(d, b);
	if (fclose(d->uids) != 0)
		rc = -errno;
	d->uids = NULL;
	box_close(d);
	return rc;
}

/* ---- messages ---- */

static int flush(struct maildir *d)
{
	int rc = d->file >= 0 ? io_write_all(d->file, buf_slice(&d->pending)) : 0;

	buf_reset(&d->pending);
	return rc;
}

/* As store export gives them: store import takes such files byte for byte. */
static void names_make(struct maildir *d, const struct sv_msg *m)
{
	const struct maildir_made made = { .date_s = m->rec.date,
		.size = m->rec.size,
		.uid = m->uid,
		.uidvalidity = sv_mbox_validity(m->mbox),
		.flags = m->flags,
		.letters = (uint32_t)m->keywords.bits & ((1u << MAILDIR_LETTERS) - 1) };
	struct buf b = BUF_INIT(sizeof(d->name) - 1);
	struct maildir_name parsed;

	maildir_name_put(&b, &made);
	maildir_name_parse(buf_slice(&b), &parsed);
	snprintf(d->name, sizeof(d->name), "%.*s", SLICE_FMT(buf_slice(&b)));
	snprintf(d->base, sizeof(d->base), "%.*s", SLICE_FMT(parsed.base));
	buf_fini(&b);
}

static int on_begin(void *arg, const struct sv_msg *m)
{
	struct maildir *d = arg;
	struct stat st;

	if (ftello(d->uids) == 0)
		uidlist_head(d, m->mbox);
	names_make(d, m);
	EVP_DigestInit_ex(d->sha, EVP_sha256(), NULL);
	buf_reset(&d->pending);
	d->there = d->out->again && fstatat(d->cur_fd, d->name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		   (uint64_t)st.st_size == m->rec.size;
	if (d->there)
		return 0;
	d->file =
	    openat(d->tmp_fd, d->base, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	return d->file < 0 ? -errno : 0;
}

static int on_bytes(void *arg, struct slice s)
{
	struct maildir *d = arg;

	EVP_DigestUpdate(d->sha, s.p, s.n);
	if (d->file < 0)
		return 0;
	buf_put(&d->pending, s);
	return d->pending.n >= WRITE_BYTES ? flush(d) : 0;
}

static void manifest_flags(FILE *f, const struct sv_msg *m)
{
	static const char *const names[] = { "\\\\Seen", "\\\\Answered", "\\\\Flagged",
		"\\\\Deleted", "\\\\Draft" };
	const char *sep = "";

	fputs(", \"flags\": [", f);
	for (unsigned i = 0; i < 5; i++)
		if ((m->flags & 1u << i) != 0) {
			fprintf(f, "%s\"%s\"", sep, names[i]);
			sep = ", ";
		}
	for (unsigned i = 0; i < m->mbox->keywords.n; i++)
		if (keyset_has(m->keywords, i)) {
			fputs(sep, f);
			json_string(f, keywords_at(&m->mbox->keywords, i));
			sep = ", ";
		}
	fputs("]", f);
}

static void manifest_line(struct maildir *d, const struct sv_msg *m)
{
	FILE *f = d->out->manifest;
	uint8_t sum[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	EVP_DigestFinal_ex(d->sha, sum, &n);
	fputc('{', f);
	json_member(f, "account", m->mbox->account->name);
	fputs(", ", f);
	json_member(f, "mailbox", m->mbox->name);
	fprintf(f, ", \"uidvalidity\": %u, \"uid\": %u", sv_mbox_validity(m->mbox), m->uid);
	manifest_flags(f, m);
	fprintf(f, ", \"date\": %lld, \"saved\": %lld, \"size\": %llu, \"sha256\": \"",
	    (long long)m->rec.date, (long long)m->rec.saved, (unsigned long long)m->rec.size);
	for (unsigned i = 0; i < n; i++)
		fprintf(f, "%02x", sum[i]);
	fputs("\", ", f);
	json_member(f, "folder", slice_str(d->folder));
	fputs(", ", f);
	json_member(f, "file", slice_str(d->name));
	fprintf(f, "%s}\n", m->doubt ? ", \"doubt\": true" : "");
}

/* Damaged bytes are better than none, and nobody takes them for mail here. */
static int put_damaged(struct maildir *d, const struct sv_msg *m)
{
	char name[64];

	if (d->damaged_fd < 0)
		d->damaged_fd = out_dir(d->out->fd, "damaged");
	if (d->damaged_fd < 0)
		return d->damaged_fd;
	snprintf(
	    name, sizeof(name), "mailbox-%llu-uid-%u", (unsigned long long)m->mbox->id, m->uid);
	return renameat(d->tmp_fd, d->base, d->damaged_fd, name) != 0 ? -errno : 0;
}

static void uid_line(struct maildir *d, const struct sv_msg *m)
{
	struct buf b = BUF_INIT(2 * NAME_BYTES);

	uidlist_put(&b, &(struct uidlist_line){ slice_str(d->base), m->uid, m->rec.thread });
	fprintf(d->uids, "%.*s", SLICE_FMT(buf_slice(&b)));
	buf_fini(&b);
}

static int on_end(void *arg, const struct sv_msg *m, bool whole)
{
	struct maildir *d = arg;
	struct timespec times[2] = { { .tv_sec = m->rec.date }, { .tv_sec = m->rec.date } };
	bool any = d->pending.n > 0;
	int rc = flush(d);

	if (d->file >= 0) {
		struct stat st;

		any |= fstat(d->file, &st) == 0 && st.st_size > 0;
		if (rc == 0 && futimens(d->file, times) != 0 && errno != EINVAL)
			rc = -errno;
		if (close(d->file) != 0 && rc == 0)
			rc = -errno;
		d->file = -1;
		if (rc == 0 && !whole)
			rc = any ? put_damaged(d, m) : unlinkat(d->tmp_fd, d->base, 0);
		else if (rc == 0 && renameat(d->tmp_fd, d->base, d->cur_fd, d->name) != 0)
			rc = -errno;
	}
	if (rc == 0 && whole) {
		uid_line(d, m);
		manifest_line(d, m);
		if (ferror(d->uids) || ferror(d->out->manifest))
			rc = -ENOSPC;
	}
	return rc;
}

struct sink maildir_sink(struct maildir *d)
{
	return (struct sink){ .arg = d,
		.mbox_begin = on_mbox_begin,
		.begin = on_begin,
		.bytes = on_bytes,
		.end = on_end,
		.mbox_end = on_mbox_end };
}

int maildir_accounts(struct out *o, const struct names *names)
{
	FILE *f = out_file(o->fd, "accounts.import", 0600);

	if (f == NULL)
		return -errno;
	fputs("# gatehousectl account import FILE makes these, with the passwords they have.\n", f);
	for (size_t i = 0; i < names->n; i++)
		fprintf(f, "%s%s%s\n", names->v[i]->full, names->v[i]->secret != NULL ? ":" : "",
		    names->v[i]->secret != NULL ? names->v[i]->secret : "");
	return fclose(f) != 0 ? -errno : 0;
}
