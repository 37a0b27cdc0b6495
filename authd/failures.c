/* failures - failed logins of accounts, counted for as long as their settings say. */
#include "authd/authd.h"

#include "authd/limits.h"
#include "common/base/clock.h"

#include <stdlib.h>

/* From the first failure on for the account's period; in the order in which they began. */
struct failure {
	uint64_t account;
	unsigned n;
	int64_t until_ms;
	UT_hash_handle hh;
};

static void forget(struct authd *a, struct failure *f)
{
	HASH_DEL(a->failures, f);
	free(f);
}

static struct failure *find(struct authd *a, uint64_t account)
{
	struct failure *f = NULL;

	HASH_FIND(hh, a->failures, &account, sizeof(account), f);
	if (f == NULL || f->until_ms > clock_mono_ms())
		return f;
	forget(a, f);
	return NULL;
}

bool failures_over(struct authd *a, uint64_t account, unsigned most)
{
	struct failure *f = most > 0 ? find(a, account) : NULL;

	return f != NULL && f->n >= most;
}

void failures_add(struct authd *a, uint64_t account, unsigned period_s)
{
	struct failure *f = find(a, account);

	if (f != NULL) {
		f->n++;
		return;
	}
	/* Beyond memory's bound the oldest is forgotten: it is the first of the table. */
	if (HASH_COUNT(a->failures) >= FAILURES_MAX)
		forget(a, a->failures);
	f = period_s > 0 ? calloc(1, sizeof(*f)) : NULL;
	if (f == NULL)
		return;
	*f = (struct failure){
		.account = account, .n = 1, .until_ms = clock_mono_ms() + (int64_t)period_s * 1000
	};
	HASH_ADD(hh, a->failures, account, sizeof(f->account), f);
}

void failures_fini(struct authd *a)
{
	while (a->failures != NULL)
		forget(a, a->failures);
}
