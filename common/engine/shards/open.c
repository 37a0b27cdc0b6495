/*
 * Directories of shards: those that are counted are looked at and opened, or named as away; those
 * that the configuration wants besides are made. All before the sandbox.
 */
#include "common/engine/shards/shards.h"

#include "common/base/io.h"
#include "common/base/log.h"
#include "common/engine/identity.h"
#include "common/engine/lmdb/guard.h"
#include "common/engine/lmdb/reopen.h"
#include "common/engine/shards/mend.h"
#include "common/engine/tail.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- in the name of the store's owner, who will use what we make ---- */

static int owner_take(int dir_fd)
{
	struct stat st;

	if (geteuid() != 0)
		return 0;
	if (fstat(dir_fd, &st) != 0 || setegid(st.st_gid) != 0 || seteuid(st.st_uid) != 0)
		return -errno;
	return 0;
}

static void owner_leave(void)
{
	if (getuid() == 0 && (seteuid(0) != 0 || setegid(0) != 0))
		abort(); /* half a root is nobody's idea of a start */
}

/* ---- one ---- */

const char *shards_open_word(int r)
{
	switch (r) {
	case ENGINE_CORRUPT:
		return "damaged";
	case ENGINE_VERSION:
		return "newer-version";
	case ENGINE_BUSY:
		return "busy";
	case ENGINE_FULL:
		return "full";
	case ENGINE_REBUILD:
		return "rebuilding";
	default:
		return "io";
	}
}

/* Two things are not one shard's affair: whoever has it open is about to let go of it (a tool, or
 * who was mending it for the process before; that process has the first shard open until it has let
 * go of all), and a version that was taken back is to be installed again. */
static int add(
    struct shards *w, int fd, const char *child, const struct engine_conf *conf, const char *away)
{
	struct engine_conf own = *conf;
	struct engine *e = NULL;
	int r = 0;

	own.shard = w->e.n_parts;
	own.how = conf->mend ? ENGINE_BESIDE : ENGINE_USUAL;
	if (away == NULL && (r = engine_open(child, fd, &own, &e)) == ENGINE_BUSY && !conf->mend)
		return r;
	if (r != 0)
		away = shards_open_word(r);
	if (away != NULL)
		log_ev(LOG_ERR, "engine.away", kv_u("shard", own.shard), kv_s("why", away));
	if (away != NULL && strcmp(away, shards_open_word(ENGINE_VERSION)) == 0)
		return ENGINE_VERSION;
	if (away != NULL && conf->mend && (r = engine_lmdb_out_new(&own, &e)) != 0)
		return r;
	r = shards_add(w, e, away);
	if (r != 0 && e != NULL)
		engine_close(&e);
	return r;
}

static int add_counted(struct shards *w, const struct identity *store, const char *child,
    int dir_fd, const struct engine_conf *conf)
{
	int fd = -1, r = owner_take(dir_fd);
	const char *away;

	if (r != 0)
		return r;
	away = shard_dir_open(dir_fd, store, w->e.n_parts, true, &fd);
	owner_leave();
	r = add(w, fd, child, conf, away);
	fd_close(&fd);
	return r;
}

/* ---- new ones ---- */

/* Something is there already that is not a file system's own. */
static bool is_used(int fd)
{
	int again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = again < 0 ? NULL : fdopendir(again);
	struct dirent *de;
	bool used = false;

	if (d == NULL) {
		fd_close(&again);
		return true;
	}
	while (!used && (de = readdir(d)) != NULL)
		used = strcmp(de->d_name, ".") != 0 && strcmp(de->d_name, "..") != 0 &&
		       strcmp(de->d_name, "lost+found") != 0 &&
		       strcmp(de->d_name, "identity.new") != 0;
	closedir(d);
	return used;
}

/* A disk's own root directory is root's, until the operator gives it away. */
static bool is_owners(int store_fd, int fd)
{
	struct stat store, st;

	return fstat(store_fd, &store) == 0 && fstat(fd, &st) == 0 && store.st_uid == st.st_uid;
}

static int dir_make(int store_fd, unsigned shard, int *ret_fd)
{
	char name[SHARD_NAME_MAX];

	shard_dir_name(shard, name);
	if (mkdirat(store_fd, name, 0700) != 0 && errno != EEXIST)
		return -errno;
	*ret_fd = openat(store_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (*ret_fd < 0 || fsync(store_fd) != 0)
		return -errno;
	return 0;
}

/* NULL: it is ours, empty, and durable; *ret_fd is open. A crash may have left one half made. */
static const char *make_in(int store_fd, const struct identity *store, unsigned shard, int *ret_fd)
{
	struct identity id, own = { .store = store->store, .shard = shard };
	int r = dir_make(store_fd, shard, ret_fd);

	if (r != 0)
		return r == -ENOSPC ? "full" : "io";
	r = identity_read(*ret_fd, &id);
	if (r == 0)
		return id.store == store->store && id.shard == shard ? NULL : "other-store";
	if (r != ENGINE_NOTFOUND)
		return "identity";
	if (is_used(*ret_fd))
		return "not-empty";
	if (!is_owners(store_fd, *ret_fd))
		return "owner";
	r = identity_write(*ret_fd, &own);
	return r == 0 ? NULL : shards_open_word(r);
}

static const char *make_dir(int store_fd, const struct identity *store, unsigned shard, int *ret_fd)
{
	const char *why;

	if (owner_take(store_fd) != 0)
		return "owner";
	why = make_in(store_fd, store, shard, ret_fd);
	owner_leave();
	return why;
}

/*
 * NULL, or why the store stays as it is for now; then the others are not made either. An engine
 * that has opened has synced its directory, for its log's sake; nothing else in it has a name.
 */
static const char *make_one(struct shards *w, const struct identity *store, const char *child,
    int dir_fd, const struct engine_conf *conf)
{
	struct engine_conf own = *conf;
	struct engine *e;
	const char *why;
	int fd = -1, r;

	own.shard = w->e.n_parts;
	why = make_dir(dir_fd, store, own.shard, &fd);
	if (why == NULL && (r = engine_open(child, fd, &own, &e)) != 0)
		why = shards_open_word(r);
	fd_close(&fd);
	if (why == NULL && shards_add(w, e, NULL) != 0) {
		engine_close(&e);
		why = "io";
	}
	return why;
}

/* In the first shard: whose store it is, and how many it has. */
static int count_them(int dir_fd, const struct identity *store)
{
	int r = owner_take(dir_fd);

	if (r != 0)
		return r;
	r = identity_write(dir_fd, store);
	owner_leave();
	return r;
}

static int grow(struct shards *w, unsigned n, struct identity *store, const char *child, int dir_fd,
    const struct engine_conf *conf)
{
	unsigned had = w->e.n_parts;
	const char *why = NULL;

	while (why == NULL && w->e.n_parts < n)
		why = make_one(w, store, child, dir_fd, conf);
	if (why != NULL)
		log_ev(LOG_ERR, "engine.no_shard", kv_u("shard", w->e.n_parts), kv_s("why", why));
	if (w->e.n_parts == had)
		return 0;
	store->shards = w->e.n_parts;
	log_ev(LOG_NOTICE, "engine.shards", kv_u("count", store->shards));
	return count_them(dir_fd, store);
}

/*
 * The number of a store that had no other shards. Durable before any other directory has it: of one
 * that a crash leaves half made the next start knows whose it is.
 */
static int first_identity(int dir_fd, struct identity *store)
{
	if (getrandom(&store->store, sizeof(store->store), 0) != sizeof(store->store))
		return -EIO;
	return count_them(dir_fd, store);
}

bool shards_are_blamed(int dir_fd)
{
	char name[SHARD_NAME_MAX];
	bool are = false;
	int fd;

	for (unsigned k = 1; k < ENGINE_SHARDS_MAX && !are; k++) {
		shard_dir_name(k, name);
		fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		are = fd >= 0 && guard_is_blamed(fd);
		fd_close(&fd);
	}
	return are;
}

int engine_shard_rebuild(
    int dir_fd, unsigned shard, void (*progress)(void *, uint64_t, uint64_t), void *arg)
{
	const struct engine_conf conf = { .hold_threads = true,
		.shard = shard,
		.how = ENGINE_ANEW,
		.progress = progress,
		.progress_arg = arg };
	struct identity store;
	struct engine *e;
	int fd = -1, r = identity_read(dir_fd, &store);

	if (r != 0)
		return r;
	if (shard_dir_open(dir_fd, &store, shard, true, &fd) != NULL)
		return ENGINE_NOTFOUND;
	r = engine_lmdb_open(fd, &conf, &e);
	fd_close(&fd);
	if (r == 0)
		engine_close(&e);
	return r;
}

int shards_open_dirs(
    struct shards *w, unsigned n, const char *child, int dir_fd, const struct engine_conf *conf)
{
	struct identity store = { .shards = 1 };
	int r = identity_read(dir_fd, &store);

	if (r == ENGINE_NOTFOUND && (r = first_identity(dir_fd, &store)) > 0) {
		log_ev(
		    LOG_ERR, "engine.no_shard", kv_u("shard", 1), kv_s("why", shards_open_word(r)));
		return 0;
	}
	if (r == 0 && store.shard != 0)
		r = ENGINE_CORRUPT; /* the disk of another shard is mounted here */
	while (r == 0 && w->e.n_parts < store.shards)
		r = add_counted(w, &store, child, dir_fd, conf);
	if (r == 0 && n > store.shards)
		r = grow(w, n, &store, child, dir_fd, conf);
	else if (r == 0 && n < store.shards)
		log_ev(LOG_NOTICE, "engine.shards", kv_u("count", store.shards));
	if (r == 0 && conf->mend && w->e.n_parts > 1)
		r = mend_new(w, dir_fd, &store, conf);
	if (r == 0 && !conf->hold_threads)
		r = mend_start(w);
	return r;
}
