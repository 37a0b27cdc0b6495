/*
 * store-look - what a stopped store holds, for tests that make thousands of stores.
 *
 * For each line of standard input, an engine's spec and the directory of a store: the store is
 * opened and closed as stored does it (shards that are wanted and not there are made, a tail is
 * cut, the log replayed, the index written), and read without the engine, the index compared with
 * the log. Lines, one fact each, then "exit N" (0, or what the child ended with):
 *
 *     box ACCOUNT ID UIDVALIDITY UIDNEXT MODSEQ NAME     a mailbox; its messages follow
 *     msg UID MODSEQ THREAD LOST X-ID SHA256 FLAGS WORDS its number, the sum of what begins there;
 *                                                        LOST: it can be restored
 *     dir ACCOUNT NAME, sub ACCOUNT NAME                 a name that only holds others, a
 *                                                        subscription
 *     facts OWN LENT NONE                                messages with facts or a kept header of
 *                                                        their own, by a loan, without
 *     shards N                                           the store has so many
 *     lost|doubt|note: ...                               what is wrong, in salvage's words
 *
 * Invariant: a store that kills its reader kills a child, and is told as one that did.
 */
#include "common/base/buf.h"
#include "common/base/log.h"
#include "common/engine/engine.h"
#include "store-shared.h"
#include "stored/salvage/open.h"
#include "stored/salvage/walk.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BODY_MAX = 8 << 20 };

static struct buf body = BUF_INIT(BODY_MAX);
static struct shared shared;
static struct raw *raw;

/* Also what salvage has no use for. */
static bool keep_all(void *arg, struct slice group, struct slice key)
{
	return true;
}

static int on_mbox(void *arg, struct sv_mbox *b)
{
	(void)arg;
	shared_begin(&shared, raw, b);
	if (!b->deleted)
		printf("box %llu %llu %u %u %llu %.*s\n", (unsigned long long)b->account->id,
		    (unsigned long long)b->id, sv_mbox_validity(b), b->head.uidnext,
		    (unsigned long long)b->head.modseq, SLICE_FMT(b->name));
	return 0;
}

static int on_begin(void *arg, const struct sv_msg *m)
{
	(void)arg;
	(void)m;
	buf_reset(&body);
	return 0;
}

static int on_bytes(void *arg, struct slice s)
{
	(void)arg;
	buf_put(&body, s);
	return 0;
}

static void print_sum(struct slice s)
{
	uint8_t sum[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	if (EVP_Digest(s.p, s.n, sum, &n, EVP_sha256(), NULL) != 1)
		exit(3);
	for (unsigned i = 0; i < n; i++)
		printf("%02x", sum[i]);
}

static void print_words(const struct sv_msg *m)
{
	for (unsigned i = 0; i < m->mbox->keywords.n; i++)
		if (keyset_has(m->keywords, i))
			printf(" %.*s", SLICE_FMT(keywords_at(&m->mbox->keywords, i)));
}

/* Fields of a trace may stand before what was sent. */
static int on_end(void *arg, const struct sv_msg *m, bool whole)
{
	static const char field[] = "X-Id: ";
	struct slice all = buf_slice(&body);
	const uint8_t *p = memmem(all.p, all.n, field, sizeof(field) - 1);
	const char *why = whole ? shared_look(&shared, raw, m, all) : NULL;

	(void)arg;
	if (why != NULL)
		printf("lost: mailbox %llu, uid %u: %s\n", (unsigned long long)m->mbox->id, m->uid,
		    why);
	if (!whole || m->mbox->deleted)
		return 0;
	printf("msg %u %llu %llu %d ", m->uid, (unsigned long long)m->modseq,
	    (unsigned long long)m->rec.thread, m->expunged);
	if (p == NULL) {
		printf("0 - ");
	} else {
		struct slice sent = slice_from(all, (size_t)(p - all.p));

		printf("%llu ", strtoull((const char *)p + sizeof(field) - 1, NULL, 10));
		print_sum(sent);
	}
	printf(" %u", m->flags);
	print_words(m);
	putchar('\n');
	return 0;
}

struct named_rows {
	const char *word;
	uint64_t account;
};

static int on_name(void *arg, uint64_t id, struct slice name)
{
	const struct named_rows *r = arg;

	(void)id;
	printf("%s %llu %.*s\n", r->word, (unsigned long long)r->account, SLICE_FMT(name));
	return 0;
}

static int tell(int fd)
{
	const struct sink s = { .expunged = true,
		.mbox_begin = on_mbox,
		.begin = on_begin,
		.bytes = on_bytes,
		.end = on_end };
	struct names names = { 0 };
	struct report rep;
	struct model m;
	int rc;

	report_init(&rep, "look", false, true);
	rc = open_raw(fd, "store", NULL, keep_all, &rep, &raw);
	if (rc != 0)
		return rc;
	rc = model_load(&m, raw, &names, &rep);
	if (rc == 0)
		rc = walk_messages(&m, &s, &rep);
	for (size_t i = 0; i < m.n && rc == 0; i++) {
		uint64_t id = m.accounts[i]->id;

		rc = model_each_name(&m, id, REC_DIR, on_name, &(struct named_rows){ "dir", id });
		if (rc == 0)
			rc = model_each_name(
			    &m, id, REC_SUB, on_name, &(struct named_rows){ "sub", id });
	}
	printf("facts %llu %llu %llu\n", (unsigned long long)shared.own,
	    (unsigned long long)shared.lent, (unsigned long long)shared.none);
	shared_fini(&shared);
	model_fini(&m);
	raw_close(&raw);
	return rc;
}

static void shards_tell(const struct engine *e)
{
	printf("shards %u\n", engine_shards(e));
	for (unsigned k = 0; k < engine_shards(e); k++)
		if (engine_shard_away(e, k) != NULL)
			printf("note: shard %u is away: %s\n", k, engine_shard_away(e, k));
}

/* The child's exit status. */
static int look(const char *spec, const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;
	struct engine_stats st;
	struct engine *e;

	if (fd < 0) {
		printf("note: %s cannot be opened\n", dir);
		return 2;
	}
	rc = engine_open(spec, fd, NULL, &e);
	if (rc != 0) {
		printf("note: the store is refused: %s\n", engine_rc_name(rc));
		return 1;
	}
	engine_stats(e, &st);
	if (st.index_rebuilds > 0)
		printf("note: the index is no good, and was made anew\n");
	shards_tell(e);
	engine_close(&e);
	return tell(fd) != 0 ? 1 : 0;
}

int main(void)
{
	char line[4096];

	log_init(2, false, LOG_ERR);
	while (fgets(line, sizeof(line), stdin) != NULL) {
		char *dir = strchr(line, ' ');
		int status;
		pid_t pid;

		if (dir == NULL)
			return 2;
		*dir++ = '\0';
		dir[strcspn(dir, "\n")] = '\0';
		fflush(stdout);
		pid = fork();
		if (pid == 0) {
			int rc = look(line, dir);

			fflush(stdout);
			_exit(rc);
		}
		if (pid < 0 || waitpid(pid, &status, 0) != pid)
			return 3;
		printf(
		    "exit %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
		fflush(stdout);
	}
	return 0;
}
