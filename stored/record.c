#include "stored/record.h"

#include "common/base/wire.h"

#include <assert.h>

/* The second version of a header counts what can be restored. */
enum { HEAD_VERSION = 2, HEAD_BYTES_1 = 64 };
/* That of a message has its thread. */
enum { MSG_VERSION = 2, MSG_BYTES_1 = 64 };

struct rec_key key_group_store(void)
{
	return (struct rec_key){ { 's' }, 1 };
}

static struct rec_key key_num(uint8_t k, uint64_t id)
{
	struct rec_key key = { { k }, 9 };

	wire_store_u64be(key.p + 1, id);
	return key;
}

struct rec_key key_group_root(uint64_t account)
{
	return key_num('r', account);
}

struct rec_key key_group_mbox(uint64_t mbox)
{
	return key_num('m', mbox);
}

struct rec_key key_group_threads(uint64_t account)
{
	return key_num('c', account);
}

struct rec_key key_kind(enum record_kind k)
{
	return (struct rec_key){ { (uint8_t)k }, 1 };
}

struct rec_key key_kind_end(enum record_kind k)
{
	return (struct rec_key){ { (uint8_t)(k + 1) }, 1 };
}

struct rec_key key_u32(enum record_kind k, uint32_t uid)
{
	struct rec_key key = { { (uint8_t)k }, 5 };

	wire_store_u32be(key.p + 1, uid);
	return key;
}

struct rec_key key_u64(enum record_kind k, uint64_t id)
{
	return key_num((uint8_t)k, id);
}

struct rec_key key_keywords(unsigned row)
{
	return row == 0 ? key_kind(REC_KEYWORDS) : key_u32(REC_KEYWORDS, row);
}

struct rec_key key_gone(uint64_t modseq, uint32_t first_uid)
{
	struct rec_key key = key_num(REC_GONE, modseq);

	wire_store_u32be(key.p + 9, first_uid);
	key.n = 13;
	return key;
}

struct rec_key key_run(uint64_t modseq, uint32_t first_uid)
{
	struct rec_key key = key_gone(modseq, first_uid);

	key.p[0] = REC_RUN;
	return key;
}

struct rec_key key_facts(uint32_t uid, enum facts_source source)
{
	struct rec_key key = key_u32(REC_FACTS, uid);

	key.p[key.n++] = (uint8_t)source;
	return key;
}

struct rec_key key_thread(uint32_t generation, uint64_t number)
{
	struct rec_key key = key_u32(REC_THREAD, generation);

	wire_store_u64be(key.p + key.n, number);
	key.n += 8;
	return key;
}

struct rec_key key_after(struct slice key)
{
	struct rec_key next = { .n = (uint8_t)(key.n + 1) };

	assert(key.n < RECORD_KEY_MAX);
	memcpy(next.p, key.p, key.n);
	return next;
}

int key_get_u32(struct slice key, enum record_kind k, uint32_t *ret_uid)
{
	if (key.n != 5 || key.p[0] != k)
		return 1;
	*ret_uid = wire_load_u32be(key.p + 1);
	return 0;
}

int key_get_u64(struct slice key, enum record_kind k, uint64_t *ret_id)
{
	if (key.n != 9 || key.p[0] != k)
		return 1;
	*ret_id = wire_load_u64be(key.p + 1);
	return 0;
}

void head_pack(const struct mbox_head *h, uint8_t out[RECORD_HEAD_BYTES])
{
	memset(out, 0, RECORD_HEAD_BYTES);
	out[0] = HEAD_VERSION;
	out[1] = (uint8_t)h->kind;
	out[2] = h->loans;
	wire_store_u32(out + 4, h->uidvalidity);
	wire_store_u32(out + 8, h->uidnext);
	wire_store_u32(out + 12, h->exists);
	wire_store_u32(out + 16, h->unseen);
	wire_store_u32(out + 20, h->recent_from);
	wire_store_u64(out + 24, h->bytes);
	wire_store_u64(out + 32, h->modseq);
	wire_store_u64(out + 40, h->account);
	wire_store_u64(out + 48, h->gone_floor);
	wire_store_u32(out + 56, h->keywords);
	wire_store_u32(out + 60, h->gone_rows);
	wire_store_u64(out + 64, h->lost_bytes);
	wire_store_u32(out + 72, h->lost);
	wire_store_u32(out + 76, h->staged);
}

int head_unpack(struct slice v, struct mbox_head *ret)
{
	bool old = v.n == HEAD_BYTES_1 && v.p[0] == 1;

	if (!old && (v.n != RECORD_HEAD_BYTES || v.p[0] != HEAD_VERSION))
		return 1;
	if (v.p[1] > MBOX_EXTERNAL)
		return 1;
	*ret = (struct mbox_head){ .kind = v.p[1],
		.uidvalidity = wire_load_u32(v.p + 4),
		.uidnext = wire_load_u32(v.p + 8),
		.exists = wire_load_u32(v.p + 12),
		.unseen = wire_load_u32(v.p + 16),
		.bytes = wire_load_u64(v.p + 24),
		.modseq = wire_load_u64(v.p + 32),
		.account = wire_load_u64(v.p + 40),
		.gone_floor = wire_load_u64(v.p + 48),
		.recent_from = wire_load_u32(v.p + 20),
		.keywords = wire_load_u32(v.p + 56),
		.gone_rows = wire_load_u32(v.p + 60) };
	if (!old) {
		ret->loans = (v.p[2] & 1) != 0;
		ret->lost_bytes = wire_load_u64(v.p + 64);
		ret->lost = wire_load_u32(v.p + 72);
		ret->staged = wire_load_u32(v.p + 76);
	}
	return ret->uidnext == 0;
}

/* Bytes 2 and 3 of a row count the keywords that follow its fixed part. */
static size_t more_pack(struct keyset k, uint8_t *out, size_t at)
{
	out[2] = (uint8_t)(k.more.n / 2);
	out[3] = (uint8_t)(k.more.n / 2 >> 8);
	if (k.more.n > 0)
		memcpy(out + at, k.more.p, k.more.n);
	return at + k.more.n;
}

static bool more_unpack(struct slice v, size_t at, uint64_t bits, struct keyset *ret)
{
	if (v.n < at || v.n - at != 2 * (size_t)(v.p[2] | v.p[3] << 8))
		return false;
	*ret = (struct keyset){ bits, slice_from(v, at) };
	return ret->more.n == 0 || keyset_is_good(*ret, KEYSET_NUMBERS_MAX);
}

size_t msg_pack(const struct msg_rec *m, uint8_t out[RECORD_MSG_MAX])
{
	memset(out, 0, RECORD_MSG_BYTES);
	out[0] = MSG_VERSION;
	wire_store_u32(out + 4, m->flags);
	wire_store_u64(out + 8, m->size);
	wire_store_u64(out + 16, m->modseq);
	wire_store_u64(out + 24, m->id);
	wire_store_u64(out + 32, m->sum);
	wire_store_u64(out + 40, (uint64_t)m->date);
	wire_store_u64(out + 48, (uint64_t)m->saved);
	wire_store_u64(out + 56, m->keywords.bits);
	wire_store_u64(out + 64, m->thread);
	return more_pack(m->keywords, out, RECORD_MSG_BYTES);
}

int msg_unpack(struct slice v, struct msg_rec *ret)
{
	bool old = v.n > 0 && v.p[0] == 1;
	size_t fixed = old ? MSG_BYTES_1 : RECORD_MSG_BYTES;
	struct keyset keywords;

	if (v.n < fixed || (!old && v.p[0] != MSG_VERSION) ||
	    !more_unpack(v, fixed, wire_load_u64(v.p + 56), &keywords))
		return 1;
	*ret = (struct msg_rec){ .flags = wire_load_u32(v.p + 4),
		.size = wire_load_u64(v.p + 8),
		.modseq = wire_load_u64(v.p + 16),
		.id = wire_load_u64(v.p + 24),
		.sum = wire_load_u64(v.p + 32),
		.date = (int64_t)wire_load_u64(v.p + 40),
		.saved = (int64_t)wire_load_u64(v.p + 48),
		.thread = old ? 0 : wire_load_u64(v.p + 64),
		.keywords = keywords };
	return 0;
}

size_t flags_pack(const struct flags_rec *f, uint8_t out[RECORD_FLAGS_MAX])
{
	memset(out, 0, RECORD_FLAGS_BYTES);
	out[0] = RECORD_VERSION;
	wire_store_u32(out + 4, f->flags);
	wire_store_u64(out + 8, f->modseq);
	wire_store_u64(out + 16, f->keywords.bits);
	return more_pack(f->keywords, out, RECORD_FLAGS_BYTES);
}

int flags_unpack(struct slice v, struct flags_rec *ret)
{
	struct keyset keywords;

	if (v.n < RECORD_FLAGS_BYTES || v.p[0] != RECORD_VERSION ||
	    !more_unpack(v, RECORD_FLAGS_BYTES, wire_load_u64(v.p + 16), &keywords))
		return 1;
	*ret = (struct flags_rec){ wire_load_u32(v.p + 4), keywords, wire_load_u64(v.p + 8) };
	return 0;
}

void root_pack(const struct root_rec *r, uint8_t out[RECORD_ROOT_BYTES])
{
	memset(out, 0, RECORD_ROOT_BYTES);
	out[0] = RECORD_VERSION;
	out[1] = r->hold;
	wire_store_u32(out + 4, r->next_uidvalidity);
	wire_store_u64(out + 8, r->account);
	wire_store_u64(out + 16, (uint64_t)r->created);
}

int root_unpack(struct slice v, struct root_rec *ret)
{
	if (v.n != RECORD_ROOT_BYTES || v.p[0] != RECORD_VERSION || v.p[1] > 1)
		return 1;
	*ret = (struct root_rec){ .next_uidvalidity = wire_load_u32(v.p + 4),
		.account = wire_load_u64(v.p + 8),
		.created = (int64_t)wire_load_u64(v.p + 16),
		.hold = v.p[1] != 0 };
	return 0;
}

static void mbox_head_bytes(const struct mbox_rec *m, uint8_t *out)
{
	out[0] = RECORD_VERSION;
	out[1] = (uint8_t)m->kind;
	out[2] = (uint8_t)m->attrs;
	out[3] = (uint8_t)(m->attrs >> 8);
	wire_store_u32(out + 4, m->uidvalidity);
}

size_t mbox_pack(const struct mbox_rec *m, uint8_t *out)
{
	mbox_head_bytes(m, out);
	memcpy(out + RECORD_MBOX_BYTES, m->name.p, m->name.n);
	return RECORD_MBOX_BYTES + m->name.n;
}

int mbox_unpack(struct slice v, struct mbox_rec *ret)
{
	if (v.n <= RECORD_MBOX_BYTES || v.p[0] != RECORD_VERSION || v.p[1] > MBOX_EXTERNAL)
		return 1;
	*ret = (struct mbox_rec){ .kind = v.p[1],
		.attrs = (uint32_t)(v.p[2] | v.p[3] << 8),
		.uidvalidity = wire_load_u32(v.p + 4),
		.name = slice_from(v, RECORD_MBOX_BYTES) };
	return 0;
}

size_t name_pack(struct slice name, uint8_t *out)
{
	memset(out, 0, RECORD_NAME_BYTES);
	out[0] = RECORD_VERSION;
	memcpy(out + RECORD_NAME_BYTES, name.p, name.n);
	return RECORD_NAME_BYTES + name.n;
}

int name_unpack(struct slice v, struct slice *ret_name)
{
	if (v.n <= RECORD_NAME_BYTES || v.p[0] != RECORD_VERSION)
		return 1;
	*ret_name = slice_from(v, RECORD_NAME_BYTES);
	return 0;
}

void run_pack(const struct run_rec *r, uint8_t out[RECORD_RUN_BYTES])
{
	memset(out, 0, RECORD_RUN_BYTES);
	out[0] = RECORD_VERSION;
	wire_store_u32(out + 4, r->last);
	wire_store_u32(out + 8, r->n);
	wire_store_u64(out + 16, r->bytes);
	wire_store_u64(out + 24, (uint64_t)r->when);
}

int run_unpack(struct slice key, struct slice v, struct run_rec *ret)
{
	if (key.n != 13 || key.p[0] != REC_RUN || v.n != RECORD_RUN_BYTES ||
	    v.p[0] != RECORD_VERSION)
		return 1;
	*ret = (struct run_rec){ .modseq = wire_load_u64be(key.p + 1),
		.first = wire_load_u32be(key.p + 9),
		.last = wire_load_u32(v.p + 4),
		.n = wire_load_u32(v.p + 8),
		.bytes = wire_load_u64(v.p + 16),
		.when = (int64_t)wire_load_u64(v.p + 24) };
	return ret->first == 0 || ret->last < ret->first || ret->last == UINT32_MAX;
}

size_t lost_pack(const struct lost_rec *l, uint8_t *out)
{
	mbox_head_bytes(&l->mbox, out);
	wire_store_u64(out + RECORD_MBOX_BYTES, (uint64_t)l->when);
	memcpy(out + RECORD_LOST_BYTES, l->mbox.name.p, l->mbox.name.n);
	return RECORD_LOST_BYTES + l->mbox.name.n;
}

int lost_unpack(struct slice v, struct lost_rec *ret)
{
	struct lost_rec l;

	if (v.n <= RECORD_LOST_BYTES || mbox_unpack(v, &l.mbox) != 0)
		return 1;
	l.when = (int64_t)wire_load_u64(v.p + RECORD_MBOX_BYTES);
	l.mbox.name = slice_from(v, RECORD_LOST_BYTES);
	*ret = l;
	return 0;
}

void thread_row_pack(uint64_t thread, uint8_t out[RECORD_THREAD_BYTES])
{
	out[0] = RECORD_VERSION;
	wire_store_u64(out + 1, thread);
}

int thread_row_unpack(struct slice v, uint64_t *ret_thread)
{
	if (v.n != RECORD_THREAD_BYTES || v.p[0] != RECORD_VERSION)
		return 1;
	*ret_thread = wire_load_u64(v.p + 1);
	return *ret_thread == 0;
}

void threads_pack(const struct threads_rec *t, uint8_t out[RECORD_THREADS_BYTES])
{
	memset(out, 0, RECORD_THREADS_BYTES);
	out[0] = RECORD_VERSION;
	wire_store_u32(out + 4, t->generation);
	wire_store_u32(out + 8, t->rows);
}

int threads_unpack(struct slice v, struct threads_rec *ret)
{
	if (v.n != RECORD_THREADS_BYTES || v.p[0] != RECORD_VERSION)
		return 1;
	*ret = (struct threads_rec){ wire_load_u32(v.p + 4), wire_load_u32(v.p + 8) };
	return ret->generation == 0;
}

void allow_pack(const struct allow_rec *a, uint8_t out[RECORD_ALLOW_BYTES])
{
	memset(out, 0, RECORD_ALLOW_BYTES);
	out[0] = RECORD_VERSION;
	wire_store_u32(out + 4, a->day);
	wire_store_u32(out + 8, a->n);
}

int allow_unpack(struct slice v, struct allow_rec *ret)
{
	if (v.n != RECORD_ALLOW_BYTES || v.p[0] != RECORD_VERSION)
		return 1;
	*ret = (struct allow_rec){ wire_load_u32(v.p + 4), wire_load_u32(v.p + 8) };
	return 0;
}
