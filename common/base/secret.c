#include "common/base/secret.h"

#include <errno.h>
#include <sys/mman.h>

int secret_init(struct secret *s, struct slice from)
{
	void *p;

	*s = (struct secret){ 0 };
	if (from.n > SECRET_MAX)
		return 1;
	p = mmap(NULL, SECRET_MAX, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return -ENOMEM;
	/* Best effort: a filter may refuse madvise, and then dumps are off for the whole process.
	 */
	(void)madvise(p, SECRET_MAX, MADV_DONTDUMP);
	if (from.n > 0)
		memcpy(p, from.p, from.n);
	*s = (struct secret){ p, from.n };
	return 0;
}

void secret_fini(struct secret *s)
{
	if (s->p != NULL) {
		secret_wipe(s->p, SECRET_MAX);
		munmap(s->p, SECRET_MAX);
	}
	*s = (struct secret){ 0 };
}

bool secret_eq(struct slice a, struct slice b)
{
	uint8_t diff = a.n != b.n;

	for (size_t i = 0; i < a.n; i++)
		diff |= (uint8_t)(a.p[i] ^ (b.n > 0 ? b.p[i % b.n] : 0xff));
	return diff == 0;
}

void secret_wipe(void *p, size_t n)
{
	if (n > 0)
		explicit_bzero(p, n);
}
