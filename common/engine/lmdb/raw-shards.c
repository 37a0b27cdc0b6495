/*
 * The other shards of a store that is read raw: each is a struct raw of its own; a row, a body and
 * a finding say whose they are. One that is not there is a finding, and the others are read.
 */
#include "common/engine/lmdb/raw-private.h"

#include "common/base/io.h"
#include "common/engine/identity.h"

#include <fcntl.h>
#include <unistd.h>

static void away(struct raw *r, unsigned shard, const char *why)
{
	struct raw_finding f = { .what = RAW_SHARD, .shard = shard, .why = why };

	if (r->conf.found != NULL)
		r->conf.found(r->conf.arg, &f);
}

static int take(struct raw *r, unsigned shard, int dir_fd, const struct tail_end *until)
{
	struct raw_conf conf = r->conf;
	int rc;

	conf.until = until;
	rc = raw_open_one(dir_fd, &conf, shard, &r->part[shard]);
	if (rc == 0 && r->n_parts <= shard)
		r->n_parts = shard + 1;
	if (rc == 0 || rc < 0 || rc == ENGINE_BUSY)
		return rc;
	away(r, shard, engine_rc_name(rc));
	return 0;
}

/* By its name alone. */
static int take_named(struct raw *r, unsigned shard)
{
	char name[SHARD_NAME_MAX];
	int fd, rc;

	shard_dir_name(shard, name);
	fd = openat(r->dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return 0;
	rc = take(r, shard, fd, NULL);
	fd_close(&fd);
	return rc;
}

static int take_counted(struct raw *r, const struct identity *id, unsigned shard)
{
	int fd = -1, rc;
	const char *why = shard_dir_open(r->dir_fd, id, shard, true, &fd);

	if (why == NULL) {
		rc = take(r, shard, fd, NULL);
		fd_close(&fd);
		return rc;
	}
	away(r, shard, why);
	/* Reasons for the server to keep off; the mail in it is no less readable. */
	if (strcmp(why, "identity") == 0 || strcmp(why, "newer-version") == 0 ||
	    strcmp(why, "owner") == 0)
		return take_named(r, shard);
	return 0;
}

int raw_shards_open(struct raw *r)
{
	struct identity id = { .shards = 1 };
	int rc = 0;

	if (r->conf.until != NULL) {
		for (unsigned i = 0; i < r->conf.n_shards && rc == 0; i++)
			rc = take(r, i + 1, r->conf.shards[i].dir_fd, &r->conf.shards[i].until);
		return rc;
	}
	rc = identity_read(r->dir_fd, &id);
	if (rc == ENGINE_NOTFOUND)
		return 0;
	if (rc != 0 || id.shard != 0) {
		/* Nobody knows how many there are: whatever has such a name. */
		away(r, 0, rc != 0 ? "identity" : "other-shard");
		rc = 0;
		for (unsigned i = 1; i < ENGINE_SHARDS_MAX && rc == 0; i++)
			rc = take_named(r, i);
		return rc;
	}
	for (unsigned i = 1; i < id.shards && rc == 0; i++)
		rc = take_counted(r, &id, i);
	return rc;
}
