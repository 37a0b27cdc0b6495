#include "stored/salvage/open.h"

#include "stored/record.h"

#include <string.h>

struct told {
	struct report *rep;
	const char *what;
	bool (*keep)(void *arg, struct slice group, struct slice key);
};

static bool keep(void *arg, struct slice group, struct slice key)
{
	const struct told *t = arg;

	return t->keep == NULL || t->keep(NULL, group, key);
}

/* As engine_shard_away() has it. */
static const char *shard_why(const char *why)
{
	static const struct {
		const char *word, *text;
	} words[] = {
		{ "missing", "it is not there; what lies in it is missing here" },
		{ "not-mounted", "there is a directory, and no shard in it: is its disk mounted?" },
		{ "other-store", "it is of another store, and was left out" },
		{ "other-shard", "it is another shard's: two disks are exchanged" },
		{ "empty", "its log is gone" },
		{ "owner", "it is somebody else's; the server refuses it" },
		{ "identity", "its identity is damaged; the server refuses it" },
		{ "newer-version", "a newer version wrote it; the server refuses it" },
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(words[i].word, why) == 0)
			return words[i].text;
	return "it cannot be read";
}

static void found(void *arg, const struct raw_finding *f)
{
	static const struct place nowhere;
	const struct told *of = arg;
	unsigned long long seg = f->segment, off = f->off, bytes = f->bytes;
	char what[40];
	struct told named = { of->rep, what, of->keep };
	const struct told *t = &named;

	if (f->shard == 0)
		snprintf(what, sizeof(what), "%s", of->what);
	else
		snprintf(what, sizeof(what), "%s/shard-%u", of->what, f->shard);
	switch (f->what) {
	case RAW_GAP:
		report_item(t->rep, VERDICT_NOTE, &nowhere,
		    "%s: segment log-%08llx: %llu bytes at %llu are damaged", t->what, seg, bytes,
		    off);
		return;
	case RAW_TAIL:
		report_item(t->rep, VERDICT_NOTE, &nowhere,
		    "%s: segment log-%08llx: the last %llu bytes, at %llu, are cut off or damaged",
		    t->what, seg, bytes, off);
		return;
	case RAW_FRAMES:
		report_item(t->rep, VERDICT_NOTE, &nowhere,
		    "%s: %llu changes are lost from the log, the first is number %llu", t->what,
		    (unsigned long long)f->count, (unsigned long long)f->first);
		return;
	case RAW_SEGMENT:
		report_item(t->rep, VERDICT_NOTE, &nowhere, "%s: segment log-%08llx: %s", t->what,
		    seg, f->why);
		return;
	case RAW_HEADER:
		report_item(t->rep, VERDICT_NOTE, &nowhere,
		    "%s: segment log-%08llx: its header is damaged", t->what, seg);
		return;
	case RAW_FOREIGN:
		report_item(t->rep, VERDICT_NOTE, &nowhere,
		    "%s: segment log-%08llx is of another store and was left out", t->what, seg);
		return;
	case RAW_INDEX:
		report_item(
		    t->rep, VERDICT_NOTE, &nowhere, "%s: the index cannot be read", t->what);
		return;
	case RAW_INDEX_ROW:
		report_item(t->rep, VERDICT_NOTE, &nowhere, "%s: the index: %s", t->what, f->why);
		return;
	case RAW_INDEX_ROWS:
		report_item(t->rep, VERDICT_NOTE, &nowhere,
		    "%s: the index: %llu rows are not what the log says", t->what,
		    (unsigned long long)f->count);
		return;
	case RAW_SHARD:
		report_item(t->rep, VERDICT_NOTE, &nowhere, "%s: %s", t->what, shard_why(f->why));
		return;
	}
}

static void progress(void *arg, uint64_t bytes, uint64_t of_bytes)
{
	const struct told *t = arg;

	report_progress(t->rep, "reads the log", bytes >> 20, of_bytes >> 20);
}

/* A message's row never changes, and flags grow by their modseq. */
static bool newer(void *arg, struct slice key, struct slice of_log, struct slice of_index)
{
	struct flags_rec a, b;

	if (key.p[0] == REC_MSG && key.n == 5)
		return false;
	if (key.p[0] != REC_FLAGS || key.n != 5)
		return true;
	return flags_unpack(of_log, &a) != 0 ||
	       (flags_unpack(of_index, &b) == 0 && b.modseq > a.modseq);
}

static int open_any(int dir_fd, const char *what, struct raw_conf conf,
    bool (*keep_rows)(void *arg, struct slice group, struct slice key), struct report *rep,
    struct raw **ret_r)
{
	static const struct place nowhere;
	struct told t = { rep, what, keep_rows };
	int rc;

	conf.keep = keep;
	conf.found = found;
	conf.progress = progress;
	conf.newer = newer;
	conf.arg = &t;
	conf.check_index = true;
	rc = raw_open(dir_fd, &conf, ret_r);

	if (rc == ENGINE_BUSY)
		report_item(rep, VERDICT_NOTE, &nowhere,
		    "%s: a running server has it open; stop that first", what);
	else if (rc == ENGINE_NOTFOUND)
		report_item(rep, VERDICT_NOTE, &nowhere, "%s: there is no database here", what);
	else if (rc == ENGINE_VERSION)
		report_item(rep, VERDICT_NOTE, &nowhere, "%s: a newer version wrote it", what);
	else if (rc != 0)
		report_item(rep, VERDICT_NOTE, &nowhere, "%s: it cannot be read (%s)", what,
		    rc < 0 ? strerror(-rc) : engine_rc_name(rc));
	return rc;
}

int open_raw(int dir_fd, const char *what, const struct tail_end *until,
    bool (*keep_rows)(void *arg, struct slice group, struct slice key), struct report *rep,
    struct raw **ret_r)
{
	return open_any(dir_fd, what, (struct raw_conf){ .until = until }, keep_rows, rep, ret_r);
}

int open_raw_shards(int dir_fd, const struct tail_end *until, const struct raw_shard *shards,
    unsigned n, bool (*keep_rows)(void *arg, struct slice group, struct slice key),
    struct report *rep, struct raw **ret_r)
{
	const struct raw_conf conf = { .until = until, .shards = shards, .n_shards = n };

	return open_any(dir_fd, "store", conf, keep_rows, rep, ret_r);
}
