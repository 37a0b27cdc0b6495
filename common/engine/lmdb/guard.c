#include "common/engine/lmdb/guard.h"

#include "common/base/clock.h"
#include "common/base/io.h"
#include "common/base/log.h"
#include "common/base/wire.h"
#include "common/engine/lmdb/lmdb-private.h"
#include "common/engine/lmdb/look.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <xxhash.h>

enum {
	/* How long a start waits for the look at its index: after a stop in order; after another
	 * one; after a death that an index may have been the cause of. */
	CLEAN_MS = 1000,
	UNCLEAN_MS = 20000,
	SUSPECT_MS = 600000,
	SUSPECT_ENOUGH = 2, /* deaths in a row: then it goes, whole or not */
	REBUILDS_MAX = 3,   /* within */
	REBUILDS_S = 3600,
	RUN_BYTES = GUARD_RUN_BYTES,
	RUN_VERSION = 1,
	RUN_SUMMED = RUN_BYTES - 8,
	RUN_DAMAGED = 1,
	RUN_BLAMED = 2,
	RUN_MAKING = 4,
};

static const char run_name[] = "running", aside_prefix[] = "data.mdb.damaged-";
static const uint8_t run_magic[8] = "GHSRUN1\n";

/* ---- the file `running` ---- */

static void run_encode(const struct guard *g, uint32_t flags, uint8_t p[RUN_BYTES])
{
	memset(p, 0, RUN_BYTES);
	memcpy(p, run_magic, sizeof(run_magic));
	wire_store_u32(p + 8, RUN_VERSION);
	wire_store_u32(p + 12, flags);
	wire_store_u64(p + 16, g->rebuilds);
	wire_store_u64(p + 24, g->first_s);
	wire_store_u64(p + RUN_SUMMED, XXH3_64bits(p, RUN_SUMMED));
}

static int run_write(struct store *s)
{
	struct guard *g = &s->guard;
	uint32_t flags = (g->marked ? RUN_DAMAGED : 0) | (g->blamed ? RUN_BLAMED : 0) |
			 (g->making ? RUN_MAKING : 0);
	uint8_t p[RUN_BYTES];

	run_encode(g, flags, p);
	run_encode(g, flags | RUN_BLAMED, g->blame);
	if (io_pwrite_all(g->fd, slice_of(p, sizeof(p)), 0) != 0 || fdatasync(g->fd) != 0)
		return store_rc("running", errno);
	return 0;
}

/* A file that cannot be read says that something was running, and nothing more. */
static int run_read(struct store *s)
{
	struct guard *g = &s->guard;
	uint8_t p[RUN_BYTES];

	if (io_pread_all(g->fd, p, sizeof(p), 0) != 0 ||
	    memcmp(p, run_magic, sizeof(run_magic)) != 0 ||
	    wire_load_u64(p + RUN_SUMMED) != XXH3_64bits(p, RUN_SUMMED))
		return 0;
	if (wire_load_u32(p + 8) != RUN_VERSION)
		return ENGINE_VERSION;
	g->marked = (wire_load_u32(p + 12) & RUN_DAMAGED) != 0;
	g->blamed = (wire_load_u32(p + 12) & RUN_BLAMED) != 0;
	g->making = (wire_load_u32(p + 12) & RUN_MAKING) != 0;
	g->rebuilds = wire_load_u64(p + 16);
	g->first_s = wire_load_u64(p + 24);
	return 0;
}

static int run_open(struct store *s)
{
	struct guard *g = &s->guard;

	g->fd = openat(s->dir_fd, run_name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	g->was_there = g->fd >= 0;
	if (g->was_there) {
		int r = run_read(s);

		/* Who wrote it may have died before it was synced. */
		return r != 0 ? r : run_write(s);
	}
	if (errno == ENOENT)
		g->fd =
		    openat(s->dir_fd, run_name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	return g->fd < 0 ? store_rc("running", errno) : run_write(s);
}

bool guard_is_blamed(int dir_fd)
{
	struct store s = { .guard.fd = openat(
			       dir_fd, run_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK) };
	bool is = s.guard.fd >= 0 && run_read(&s) == 0 && s.guard.blamed;

	fd_close(&s.guard.fd);
	return is;
}

/* ---- a newer version keeps its store to itself ---- */

static bool is_newer(struct store *s, enum loc_kind kind, uint64_t no)
{
	uint8_t head[SEG_HEAD];
	struct seg_head h;
	char name[32];
	bool is;
	int fd;

	log_name_of(kind, no, name);
	fd = openat(s->dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	is = fd >= 0 && io_pread_all(fd, head, sizeof(head), 0) == 0 &&
	     seg_head_decode(head, &h) == SEG_NEWER;
	fd_close(&fd);
	return is;
}

/* Every segment; of the bodies' files, of which there may be many, the last one made. */
static int versions_look(struct store *s)
{
	int fd = openat(s->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	uint64_t no, last_body = 0;
	bool newer = false, bodies = false;
	struct dirent *de;

	if (d == NULL) {
		fd_close(&fd);
		return store_rc("versions", errno);
	}
	while (!newer && (de = readdir(d)) != NULL) {
		if (log_name_number(de->d_name, LOC_SEGMENT, &no))
			newer = is_newer(s, LOC_SEGMENT, no);
		if (!log_name_number(de->d_name, LOC_FILE, &no))
			continue;
		last_body = !bodies || no > last_body ? no : last_body;
		bodies = true;
	}
	closedir(d);
	if (!newer && bodies)
		newer = is_newer(s, LOC_FILE, last_body);
	return newer ? ENGINE_VERSION : 0;
}

/* ---- aside ---- */

/* One that was set aside before has served its purpose. */
static void aside_forget(struct store *s)
{
	int fd = openat(s->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *de;

	if (d == NULL) {
		fd_close(&fd);
		return;
	}
	while ((de = readdir(d)) != NULL)
		if (strncmp(de->d_name, aside_prefix, sizeof(aside_prefix) - 1) == 0 &&
		    strcmp(de->d_name, s->guard.aside) != 0)
			(void)unlinkat(s->dir_fd, de->d_name, 0);
	closedir(d);
}

int guard_set_aside(struct store *s, const char *why)
{
	struct guard *g = &s->guard;
	uint64_t now_s = (uint64_t)clock_wall_s();
	int r;

	if (g->rebuilds == 0 || now_s < g->first_s || now_s - g->first_s > REBUILDS_S) {
		g->rebuilds = 0;
		g->first_s = now_s;
	}
	if (g->rebuilds >= REBUILDS_MAX) {
		log_ev(LOG_ERR, "engine.refused", kv_s("why", why), kv_u("count", g->rebuilds));
		return ENGINE_CORRUPT;
	}
	g->rebuilds++;
	g->marked = g->blamed = false;
	g->making = true;
	g->rebuild_from_ms = clock_mono_ms();
	snprintf(g->aside, sizeof(g->aside), "%s%llu", aside_prefix, (unsigned long long)now_s);
	if ((r = run_write(s)) != 0)
		return r;
	if (renameat(s->dir_fd, "data.mdb", s->dir_fd, g->aside) != 0) {
		g->aside[0] = '\0';
		return errno == ENOENT ? 0 : store_rc("aside", errno);
	}
	(void)unlinkat(s->dir_fd, "lock.mdb", 0);
	log_ev(LOG_WARNING, "engine.aside", kv_s("what", g->aside), kv_s("why", why));
	return 0;
}

/* ---- before, behind ---- */

static void on_tick(void *arg)
{
	store_works(arg);
}

static bool is_beside(const struct store *s)
{
	return s->conf.how == ENGINE_BESIDE || s->conf.how == ENGINE_UNSEEN;
}

/* Whoever makes it anew finds this there. */
static int put_off(struct store *s)
{
	int r;

	s->guard.marked |= !s->guard.blamed;
	r = run_write(s);
	return r == 0 ? ENGINE_REBUILD : r;
}

static int look(struct store *s, bool unclean)
{
	/* Of whom others wait for: a death by its fault would have left a word. */
	bool suspect = s->conf.crashes > 0 && !is_beside(s);
	int budget_ms = suspect ? SUSPECT_MS : unclean ? UNCLEAN_MS : CLEAN_MS;
	int64_t from_ms = clock_mono_ms();
	struct look_answer a;
	int r = look_at_index(s->dir_fd, budget_ms, on_tick, s, &a);

	if (r != 0)
		return store_rc("look", -r);
	if (a.rc == LOOK_DAMAGED)
		return is_beside(s) ? put_off(s) : guard_set_aside(s, a.why);
	if (a.rc == LOOK_TIME_UP)
		log_ev(LOG_NOTICE, "engine.unchecked", kv_u("bytes", a.bytes),
		    kv_i("ms", clock_mono_ms() - from_ms));
	else if (a.rc == LOOK_WHOLE && unclean)
		log_ev(LOG_NOTICE, "engine.checked", kv_u("bytes", a.bytes), kv_u("rows", a.rows),
		    kv_i("ms", clock_mono_ms() - from_ms));
	return 0;
}

/* Who asks has looked at what is wrong: it is none of those that are bounded. */
static int set_aside_asked(struct store *s)
{
	struct guard *g = &s->guard;

	g->was_marked = g->marked;
	g->was_blamed = g->blamed;
	g->was_making = g->making;
	g->was_rebuilds = g->rebuilds;
	g->was_first_s = g->first_s;
	g->rebuilds = 0;
	return guard_set_aside(s, "an operator asked for a new one");
}

/* It is not to be used, and why; NULL: so much is not known. */
static const char *what_is_known(const struct store *s)
{
	const struct guard *g = &s->guard;

	if (g->marked)
		return "damage was found while it was in use";
	/* Where everybody would have to wait for a new one, a look says whether one is needed. */
	if (g->blamed && s->conf.how != ENGINE_USUAL)
		return "a process died while it read it";
	if (s->conf.crashes == SUSPECT_ENOUGH)
		return "the process that used it died more than once";
	return NULL;
}

int guard_begin(struct store *s)
{
	struct guard *g = &s->guard;
	const char *why;
	int r;

	if ((r = versions_look(s)) != 0 || (r = run_open(s)) != 0)
		return r;
	if (s->conf.fresh_index)
		return set_aside_asked(s);
	why = what_is_known(s);
	if (is_beside(s) && why != NULL)
		return put_off(s);
	if (is_beside(s) && g->making)
		return ENGINE_REBUILD;
	if (why != NULL)
		return guard_set_aside(s, why);
	if (s->conf.how == ENGINE_UNSEEN || s->conf.how == ENGINE_ANEW)
		return 0;
	return look(s, g->was_there || s->conf.crashes > 0);
}

void guard_opened(struct store *s)
{
	struct guard *g = &s->guard;

	if (g->blamed || g->making) {
		g->blamed = g->making = false;
		(void)run_write(s);
	}
	if (g->aside[0] == '\0')
		return;
	log_ev(LOG_WARNING, "engine.rebuilt", kv_u("frames", s->n_replayed),
	    kv_i("ms", clock_mono_ms() - g->rebuild_from_ms));
	aside_forget(s);
}

/* The index stays that was there before the operator asked. */
static void undo_asked(struct store *s)
{
	struct guard *g = &s->guard;

	if (g->aside[0] != '\0')
		(void)renameat(s->dir_fd, g->aside, s->dir_fd, "data.mdb");
	g->marked = g->was_marked;
	g->blamed = g->was_blamed;
	g->making = g->was_making;
	g->rebuilds = g->was_rebuilds;
	g->first_s = g->was_first_s;
	if (g->was_there)
		(void)run_write(s);
	else
		(void)unlinkat(s->dir_fd, run_name, 0);
}

void guard_undo(struct store *s)
{
	struct guard *g = &s->guard;

	if (g->fd < 0)
		return; /* the file `running`, if there is one, is somebody else's */
	if (s->conf.fresh_index)
		undo_asked(s);
	else if (g->aside[0] != '\0' && renameat(s->dir_fd, g->aside, s->dir_fd, "data.mdb") == 0) {
		g->marked = true;
		g->making = false;
		g->rebuilds--; /* it was none: a full disk must not use them up */
		(void)run_write(s);
	} else if (!g->was_there && !g->marked) {
		(void)unlinkat(s->dir_fd, run_name, 0);
	}
	g->aside[0] = '\0';
}

void guard_end(struct store *s)
{
	/* Who opens it next is the same process to those that count the new indexes. */
	if (s->guard.fd >= 0 && !s->guard.marked && s->conf.how != ENGINE_ANEW)
		(void)unlinkat(s->dir_fd, run_name, 0);
}

void index_damaged(struct store *s, const char *what, struct slice key)
{
	struct guard *g = &s->guard;
	struct slice group = key.n > 0 ? slice_part(key, 1, key.p[0]) : SLICE_NONE;

	g->bad_rows++;
	if (atomic_exchange(&g->marked, true))
		return;
	log_ev(LOG_ERR, "engine.index", kv_s("what", what), kv_str("group", group));
	if (g->fd >= 0)
		(void)run_write(s);
	s->health = ENGINE_BROKEN;
	store_wake(s);
}

int index_row(const MDB_val *k, const MDB_val *v, struct store *s, struct slice *ret_stored)
{
	struct slice key = slice_of(k->mv_data, k->mv_size);

	if (row_unseal(key, slice_of(v->mv_data, v->mv_size), s->log.store_id, ret_stored))
		return 0;
	index_damaged(s, "a row does not fit its sum", key);
	return ENGINE_CORRUPT;
}

int index_rc(struct store *s, const char *what, int err)
{
	int rc = err == 0 ? 0 : store_rc(what, err);

	if (rc == ENGINE_CORRUPT)
		index_damaged(s, mdb_strerror(err), SLICE_NONE);
	return rc;
}
