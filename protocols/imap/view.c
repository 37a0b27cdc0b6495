#include "protocols/imap/view.h"

#include "common/base/wire.h"
#include "common/ipc/types.h"
#include "protocols/imap/limits.h"

#include <stdlib.h>

/* Nothing is remembered of the changes that wait. */
static void changes_forget(struct view *v)
{
	for (size_t i = 0; i < v->n_changes; i++)
		free((void *)v->changes[i].keywords.more.p);
	v->n_changes = v->change_at = 0;
}

static void changes_lose(struct view *v)
{
	v->changes_lost = true;
	changes_forget(v);
}

void view_changes_told(struct view *v)
{
	changes_forget(v);
}

void view_fini(struct view *v)
{
	changes_forget(v);
	free(v->runs);
	free(v->changes);
	set_fini(&v->recent);
	set_fini(&v->fresh);
	set_fini(&v->gone);
	set_fini(&v->ghosts);
	*v = (struct view){ 0 };
}

/* ---- numbers -------------------------------------------------------------------------------- */

static bool run_add(struct view *v, uint32_t first, uint32_t last)
{
	struct view_run *end = v->n_runs > 0 ? &v->runs[v->n_runs - 1] : NULL;
	uint32_t n = last - first + 1;

	if (last < first || first <= v->last_uid || n > UINT32_MAX - v->count)
		return false;
	if (end == NULL || end->uid + (v->count - end->at) != first) {
		if (v->n_runs == v->cap_runs) {
			size_t cap = v->cap_runs != 0 ? v->cap_runs * 2 : 4;
			struct view_run *r =
			    v->n_runs < IMAP_RUNS_MAX ? realloc(v->runs, cap * sizeof(*r)) : NULL;

			if (r == NULL)
				return false;
			v->runs = r;
			v->cap_runs = cap;
		}
		v->runs[v->n_runs++] = (struct view_run){ first, v->count };
	}
	v->count += n;
	v->last_uid = last;
	return true;
}

bool view_load(struct view *v, struct slice pairs)
{
	struct wire_reader r = wire_reader(pairs);

	while (wire_left(&r) > 0) {
		uint32_t first = wire_get_u32(&r), last = wire_get_u32(&r);

		if (r.bad || first == 0 || !run_add(v, first, last))
			return false;
	}
	return true;
}

static uint32_t run_count(const struct view *v, size_t i)
{
	return (i + 1 < v->n_runs ? v->runs[i + 1].at : v->count) - v->runs[i].at;
}

uint32_t view_uid(const struct view *v, uint32_t seq)
{
	size_t low = 0, high = v->n_runs;

	if (seq == 0 || seq > v->count)
		return 0;
	while (high - low > 1) {
		size_t mid = low + (high - low) / 2;

		if (v->runs[mid].at < seq)
			low = mid;
		else
			high = mid;
	}
	return v->runs[low].uid + (seq - 1 - v->runs[low].at);
}

uint32_t view_seq_from(const struct view *v, uint32_t uid)
{
	size_t low = 0, high = v->n_runs;
	uint32_t n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (v->runs[mid].uid <= uid)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == 0)
		return 1;
	n = run_count(v, low - 1);
	return v->runs[low - 1].at + 1 +
	       (uid - v->runs[low - 1].uid < n ? uid - v->runs[low - 1].uid : n);
}

uint32_t view_seq(const struct view *v, uint32_t uid)
{
	uint32_t seq = view_seq_from(v, uid);

	return seq <= v->count && view_uid(v, seq) == uid ? seq : 0;
}

bool view_loaded(struct view *v, uint32_t recent_from, uint32_t recent_to)
{
	struct set gone = v->gone;

	v->loading = false;
	v->gone = (struct set){ 0 };
	for (size_t i = 0; i < gone.n; i++)
		for (uint32_t uid = gone.r[i].first; uid <= gone.r[i].last; uid++) {
			set_remove(&v->fresh, uid, uid);
			if (view_seq(v, uid) != 0)
				set_add(&v->gone, uid, uid);
		}
	set_fini(&gone);
	set_remove(&v->fresh, 1, v->last_uid);
	for (size_t i = 0; i < v->n_runs; i++) {
		uint32_t first = v->runs[i].uid, last = first + run_count(v, i) - 1;

		if (last >= recent_to)
			last = recent_to - 1;
		if (first < recent_from)
			first = recent_from;
		if (first <= last)
			set_add(&v->recent, first, last);
	}
	set_norm(&v->recent);
	if (v->uidnext <= v->last_uid)
		v->uidnext = v->last_uid + 1;
	return !v->gone.failed && !v->recent.failed && !v->fresh.failed;
}

bool view_is_gone(const struct view *v, uint32_t uid)
{
	return set_has(&v->gone, uid);
}

bool view_is_recent(const struct view *v, uint32_t uid)
{
	return set_has(&v->recent, uid);
}

int view_keyword(const struct view *v, struct slice name)
{
	for (unsigned i = 0; i < v->n_keywords; i++)
		if (slice_ieq(v->keywords[i], name))
			return (int)i;
	return -1;
}

/* ---- events --------------------------------------------------------------------------------- */

static void on_new(struct view *v, uint32_t uid, uint32_t flags)
{
	uint32_t above = v->fresh.n > 0 ? v->fresh.r[v->fresh.n - 1].last : v->last_uid;

	if ((flags & IPC_FLAG_RECENT) != 0) {
		bool behind = v->recent.n == 0 || uid > v->recent.r[v->recent.n - 1].last;

		set_add(&v->recent, uid, uid);
		if (!behind)
			set_norm(&v->recent);
	}
	if (uid <= above)
		return; /* it came with the list of uids */
	set_add(&v->fresh, uid, uid);
	if (uid >= v->uidnext)
		v->uidnext = uid + 1;
}

static void on_gone(struct view *v, uint32_t uid, uint64_t modseq)
{
	if (modseq > v->gone_modseq)
		v->gone_modseq = modseq;
	if (uid > v->last_uid && !v->loading) {
		/* Never told of, so nothing to take back; but stored keeps it until it hears of us.
		 */
		set_remove(&v->fresh, uid, uid);
		set_remove(&v->recent, uid, uid);
		set_add(&v->ghosts, uid, uid);
	} else {
		set_add(&v->gone, uid, uid);
	}
}

/* The pending change of this message. Events come in the order of uids: the next is often next. */
static struct view_change *change_find(struct view *v, uint32_t uid)
{
	size_t n = v->n_changes - v->change_at, hint = v->change_hint;

	for (size_t i = 0; i < n; i++) {
		size_t at = v->change_at + (hint + i) % n;

		if (v->changes[at].uid == uid) {
			v->change_hint = at + 1 - v->change_at;
			return &v->changes[at];
		}
	}
	return NULL;
}

/* The list of a set becomes the change's own. */
static void set_keep(struct view *v, struct keyset *k)
{
	uint8_t *p = k->more.n > 0 ? malloc(k->more.n) : NULL;

	if (k->more.n > 0 && p == NULL) {
		k->more = SLICE_NONE;
		changes_lose(v);
		return;
	}
	if (p != NULL)
		memcpy(p, k->more.p, k->more.n);
	k->more.p = p;
}

/*
 * One row a message, the latest. When somebody else changed it, too, it stays to be told even
 * though the last change is the session's own: the client does not know what both came to.
 */
static void on_flags(struct view *v, const struct view_change *c)
{
	struct view_change *old = v->changes_lost ? NULL : change_find(v, c->uid);

	if (v->changes_lost)
		return;
	if (old != NULL) {
		uint32_t seq = old->seq == c->seq ? c->seq : 0;

		free((void *)old->keywords.more.p);
		*old = *c;
		old->seq = seq;
		set_keep(v, &old->keywords);
		return;
	}
	if (c->seq != 0 && c->seq == v->own_seq)
		return;
	if (v->n_changes == IMAP_CHANGES_MAX) {
		changes_lose(v);
		return;
	}
	if (v->n_changes == v->cap_changes) {
		size_t cap = v->cap_changes != 0 ? v->cap_changes * 2 : 8;
		struct view_change *p = realloc(v->changes, cap * sizeof(*p));

		if (p == NULL) {
			changes_lose(v);
			return;
		}
		v->changes = p;
		v->cap_changes = cap;
	}
	v->changes[v->n_changes] = *c;
	set_keep(v, &v->changes[v->n_changes++].keywords);
}

bool view_events(struct view *v, struct slice rows, struct slice sets)
{
	struct wire_reader r = wire_reader(rows);

	if (rows.n % IPC_EVENT_BYTES != 0)
		return false;
	while (wire_left(&r) > 0) {
		uint32_t what = wire_get_u32(&r);
		struct view_change c = { .uid = wire_get_u32(&r) };

		c.flags = wire_get_u32(&r);
		c.seq = wire_get_u32(&r);
		c.keywords = keyset_of(wire_get_u64(&r), sets);
		c.modseq = wire_get_u64(&r);
		if (c.uid == 0)
			return false;
		if (c.modseq > v->modseq)
			v->modseq = c.modseq;
		if (what == IPC_EV_NEW)
			on_new(v, c.uid, c.flags);
		else if (what == IPC_EV_EXPUNGED)
			on_gone(v, c.uid, c.modseq);
		else if (what == IPC_EV_FLAGS)
			on_flags(v, &c);
	}
	set_norm(&v->gone);
	set_norm(&v->ghosts);
	return !v->fresh.failed && !v->gone.failed && !v->recent.failed && !v->ghosts.failed;
}

/* Room for one more name; what it takes is bounded by twice what it must. */
static bool keywords_grow(struct view *v, struct arena *a)
{
	unsigned cap = v->cap_keywords == 0 ? 16 : v->cap_keywords * 2;
	struct slice *names;

	if (v->n_keywords < v->cap_keywords)
		return true;
	names = arena_alloc(a, cap * sizeof(*names));
	if (names == NULL)
		return false;
	if (v->n_keywords > 0)
		memcpy(names, v->keywords, v->n_keywords * sizeof(*names));
	v->keywords = names;
	v->cap_keywords = cap;
	return true;
}

bool view_keywords_add(struct view *v, struct arena *a, unsigned first, struct slice names)
{
	struct wire_reader r = wire_reader(names);

	if (first != v->n_keywords)
		return false;
	while (wire_left(&r) > 0 && v->n_keywords < IPC_KEYWORDS_MAX) {
		struct slice name = arena_copy(a, wire_get_bytes(&r, names.n));

		if (r.bad || name.p == NULL || !keywords_grow(v, a))
			return false;
		v->keywords[v->n_keywords++] = name;
		v->keywords_new = true;
	}
	return true;
}

bool view_pending(const struct view *v, bool gone)
{
	return v->fresh.n > 0 || v->n_changes > 0 || v->changes_lost || v->keywords_new ||
	       (gone && v->gone.n > 0);
}

void view_forget_own(struct view *v, uint32_t seq)
{
	size_t n = 0;

	for (size_t i = 0; i < v->n_changes; i++)
		if (i >= v->change_at && v->changes[i].seq != seq)
			v->changes[n++] = v->changes[i];
		else
			free((void *)v->changes[i].keywords.more.p);
	v->n_changes = n;
	v->change_at = 0;
}

/* ---- telling -------------------------------------------------------------------------------- */

/* One pass over runs and ranges, into `to`, which has room for all that can be left. */
static void runs_remove(
    struct view *v, const struct set *gone, struct view_run *take_to, size_t cap)
{
	struct view_run *old = v->runs;
	size_t n_old = v->n_runs, at = 0;
	uint32_t total = v->count;

	v->runs = take_to;
	v->cap_runs = cap;
	v->n_runs = 0;
	v->count = v->last_uid = 0;
	for (size_t i = 0; i < n_old; i++) {
		uint32_t first = old[i].uid,
			 last = first + ((i + 1 < n_old ? old[i + 1].at : total) - old[i].at) - 1;
		bool over = false;

		while (at < gone->n && gone->r[at].last < first)
			at++;
		while (!over && at < gone->n && gone->r[at].first <= last) {
			if (gone->r[at].first > first)
				run_add(v, first, gone->r[at].first - 1);
			over = gone->r[at].last >= last;
			if (!over)
				first = gone->r[at++].last + 1;
		}
		if (!over)
			run_add(v, first, last);
	}
	free(old);
}

bool view_told_gone(struct view *v, struct set *ret_gone)
{
	uint32_t last = v->last_uid;
	size_t cap = v->n_runs + v->gone.n + 1;
	struct view_run *to = malloc(cap * sizeof(*to));

	if (to == NULL)
		return false;
	*ret_gone = v->gone;
	v->gone = (struct set){ 0 };
	runs_remove(v, ret_gone, to, cap);
	/* New uids are above all that ever were. */
	v->last_uid = last;
	set_subtract(&v->recent, ret_gone);
	return !v->recent.failed;
}

bool view_grow(struct view *v)
{
	for (size_t i = 0; i < v->fresh.n; i++)
		if (!run_add(v, v->fresh.r[i].first, v->fresh.r[i].last))
			return false;
	set_reset(&v->fresh);
	return true;
}
