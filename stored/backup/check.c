/*
 * A generation read back.
 *
 * What does not fit may have been damaged on the way, or in the server before: then the copy is as
 * good as it can be, and the message is named. So a bad body of the copy is read where it came
 * from, too; no other damage is let through.
 */
#include "stored/backup/backup.h"

#include "common/base/io.h"
#include "common/engine/raw.h"
#include "stored/salvage/model.h"
#include "stored/salvage/open.h"
#include "stored/salvage/walk.h"

#include <fcntl.h>

struct checking {
	struct source *src;
	bool last_try;
	unsigned db;
	struct raw *was; /* the server's; opened when it is needed */
	uint64_t rotten; /* bodies */
	struct report *rep;
};

static int drop(void *arg, struct slice s)
{
	return 0;
}

static bool server_open(struct checking *c)
{
	struct report mute = { .quiet = true, .held = true };

	if (c->was != NULL)
		return true;
	if (c->db == 0)
		return source_raw(c->src, NULL, &mute, &c->was) == 0;
	return open_raw(c->src->pin_fd[c->db], db_names[c->db], &c->src->end[c->db], NULL, &mute,
		   &c->was) == 0;
}

/* The server's is no better. One that is not there at all may have gone while the files were
 * linked: another instant tells. */
static bool was_rotten(struct checking *c, const struct engine_loc *loc, int rc)
{
	if (rc != ENGINE_CORRUPT && (rc != ENGINE_NOTFOUND || !c->last_try))
		return false;
	return server_open(c) && raw_body(c->was, loc, drop, NULL) == rc;
}

static int bodies(struct checking *c, struct raw *r)
{
	struct report *rep = c->rep;
	struct raw_row row;

	for (bool any = raw_seek(r, SLICE_NONE, SLICE_NONE, &row); any;
	     any = raw_next(r, &row, &row)) {
		int rc = row.has_loc ? raw_body(r, &row.loc, drop, NULL) : 0;

		if (rc != 0 && !was_rotten(c, &row.loc, rc))
			return rc;
		c->rotten += rc != 0;
		rep->messages += row.has_loc && rc == 0;
		rep->bytes += row.has_loc && rc == 0 ? engine_loc_bytes(&row.loc) : 0;
		report_progress(rep, "checked bodies", rep->messages, 0);
	}
	return 0;
}

/* Each log ends with the last frame of the instant. */
static bool ends_fit(const struct checking *c, const struct raw *r)
{
	unsigned shards = c->db == 0 ? c->src->n - DBS + 1 : 1;
	struct raw_stats s;

	for (unsigned i = 0; i < shards; i++) {
		unsigned part = c->db == 0 ? part_of_shard(i) : c->db;

		if (!raw_shard_stats(r, i, &s) || s.last_frame + 1 != c->src->end[part].frame)
			return false;
	}
	return raw_shards(r) == shards;
}

static int check_one(int gen_fd, struct checking *c)
{
	const char *name = db_names[c->db];
	int fd = openat(gen_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;
	uint64_t before = c->rep->notes;
	struct raw *r;
	bool fits;

	rc = open_raw(fd, name, NULL, c->db == 0 ? model_keeps : NULL, c->rep, &r);
	fd_close(&fd);
	if (rc != 0)
		return report_fail(c->rep, "the copy of %s cannot be read", name);
	fits = ends_fit(c, r);
	rc = bodies(c, r);
	raw_close(&r);
	raw_close(&c->was);
	if (rc != 0)
		return report_fail(c->rep, "a message in the copy of %s is damaged", name);
	if (c->rep->notes > before || !fits)
		return report_fail(c->rep, "the copy of %s is not what it should be", name);
	return 0;
}

/* ---- whose it is ---- */

static void put_field(struct buf *b, struct slice s, char end)
{
	for (size_t i = 0; i < s.n; i++)
		buf_putc(b, s.p[i] < ' ' ? '?' : (char)s.p[i]);
	buf_putc(b, end);
}

static void on_told(void *arg, enum verdict v, const struct place *at, const char *why)
{
	struct buf *lost = arg;

	if (v != VERDICT_LOST)
		return;
	buf_printf(lost, "lost %u %llu ", at->uid, (unsigned long long)at->mailbox_id);
	put_field(lost, at->account, '\t');
	put_field(lost, at->mailbox, '\t');
	put_field(lost, slice_str(why), '\n');
}

/* All messages once more, as verify does it. */
static int name_them(int gen_fd, struct checking *c)
{
	const struct sink s = { .expunged = true };
	struct names names = { 0 };
	struct model m = { 0 };
	struct raw *r = NULL;
	int fd = openat(gen_fd, db_names[0], O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;

	rc = open_raw(fd, db_names[0], NULL, model_keeps, c->rep, &r);
	if (rc == 0)
		rc = names_load_until(&names, &c->src->pin_fd[1], &c->src->end[1], c->rep);
	if (rc == 0)
		rc = model_load(&m, r, &names, c->rep);
	if (rc == 0)
		rc = walk_messages(&m, &s, c->rep);
	model_fini(&m);
	names_fini(&names);
	raw_close(&r);
	fd_close(&fd);
	return rc;
}

static int tell_rotten(int gen_fd, struct checking *c, struct buf *ret_lost)
{
	struct report *rep = c->rep;
	uint64_t messages = rep->messages, bytes = rep->bytes;
	bool held = rep->held;
	int rc;

	rep->held = false;
	rep->told = on_told;
	rep->told_arg = ret_lost;
	rc = name_them(gen_fd, c);
	if (rc == 0 && ret_lost->n == 0)
		report_item(rep, VERDICT_LOST, &(struct place){ 0 },
		    "%llu bodies that no mailbox has are damaged", (unsigned long long)c->rotten);
	rep->told = NULL;
	rep->held = held;
	rep->messages = messages;
	rep->bytes = bytes;
	return rc == 0 ? 0 : report_fail(rep, "what is damaged cannot be named");
}

int gen_check(
    int gen_fd, struct source *src, bool last_try, struct buf *ret_lost, struct report *rep)
{
	struct checking c = { .src = src, .last_try = last_try, .rep = rep };
	int rc = 0;

	rep->messages = rep->bytes = 0;
	for (; c.db < DBS && rc == 0; c.db++)
		rc = check_one(gen_fd, &c);
	return rc == 0 && c.rotten > 0 ? tell_rotten(gen_fd, &c, ret_lost) : rc;
}
