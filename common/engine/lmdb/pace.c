/* How fast the compactor goes: as fast as it is told to while nobody else commits, and then so that
 * hardly a commit meets one of its jobs. */
#include "common/engine/lmdb/lmdb-private.h"

#include "common/base/clock.h"

#include <errno.h>
#include <time.h>

enum {
	REST_MIN_NS = 2000000,
	BUSY_MS = 1000,       /* since the last commit of a user */
	FRAMES_PER_JOB = 200, /* of users, under load: the slowest one in 100 is none of ours */
	GIVE_WAY_MS = 100,    /* and yet it gets on */
	LOOK_NS = 5000000,
	ROOM_SHARE = 20,      /* of the disk, one part is the users' */
	ROOM_MAX = 256 << 20, /* or so much */
};

/* Until then, or until the store closes; a scrub also until there is other work. */
static void sleep_until(struct compactor *k, int64_t due_ns, bool scrub)
{
	struct timespec t = { due_ns / 1000000000, due_ns % 1000000000 };
	int r = 0;

	pthread_mutex_lock(&k->lock);
	while (!k->stop && r != ETIMEDOUT && !(scrub && compactor_others(k)))
		r = pthread_cond_timedwait(&k->wake, &k->lock, &t);
	pthread_mutex_unlock(&k->lock);
}

static bool rest(struct compactor *k, uint64_t bytes, uint64_t bytes_s, bool scrub)
{
	int64_t debt;

	k->debt_ns += (int64_t)((double)bytes * 1e9 / (double)bytes_s);
	debt = k->debt_ns;
	if (debt >= REST_MIN_NS) {
		k->debt_ns = 0;
		sleep_until(k, clock_mono_ns() + debt, scrub);
	}
	return !k->stop;
}

bool compact_rest(struct store *s, uint64_t bytes)
{
	return rest(&s->compactor, bytes, s->compactor.bytes_s, false);
}

bool scrub_rest(struct store *s, uint64_t bytes)
{
	return rest(&s->compactor, bytes, s->compactor.scrub_bytes_s, true);
}

bool compact_give_way(struct store *s, uint64_t bytes)
{
	struct compactor *k = &s->compactor;
	uint64_t after = s->n_user_frames;
	int64_t now_ms = clock_mono_ms(), until_ms = now_ms + GIVE_WAY_MS / k->haste;

	if (after != k->seen_frames)
		k->busy_ms = now_ms;
	k->seen_frames = after;
	after += FRAMES_PER_JOB / k->haste;
	if (!compact_rest(s, bytes))
		return false;
	if (k->busy_ms == 0 || now_ms - k->busy_ms > BUSY_MS)
		return true;
	while (!k->stop && s->n_user_frames < after && clock_mono_ms() < until_ms)
		sleep_until(k, clock_mono_ns() + LOOK_NS, false);
	return !k->stop;
}

uint64_t compact_room(const struct store *s)
{
	struct statfs st;
	uint64_t free_bytes, users;

	if (engine_sys.fstatfs(s->dir_fd, &st) != 0)
		return UINT64_MAX; /* writing will say it */
	free_bytes = (uint64_t)st.f_bavail * (uint64_t)st.f_bsize;
	users = (uint64_t)st.f_blocks * (uint64_t)st.f_bsize / ROOM_SHARE;
	users = users < ROOM_MAX ? users : ROOM_MAX;
	return free_bytes < users ? 0 : free_bytes - users;
}
