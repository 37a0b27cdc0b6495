/* What was done, in the order in which it was done, for tests/crash/paper.py. */
#include "tests/crash/faultdisk.h"

#include <dlfcn.h>
#include <execinfo.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void fd_trace_lock(void)
{
	pthread_mutex_lock(&lock);
}

void fd_trace_unlock(void)
{
	pthread_mutex_unlock(&lock);
}

void fd_trace(enum fd_event what, uint32_t flag, uint64_t ino, uint64_t at, const void *p, size_t n)
{
	struct fd_event_head h = { what, flag, ino, at, n };
	uint64_t to = fd_board->trace_n, end = to + sizeof(h) + (n + 7) / 8 * 8;
	uint8_t *base = (uint8_t *)fd_board + FD_TRACE_AT;

	if (fd_board->trace_max == 0)
		return;
	if (end > fd_board->trace_max)
		_exit(90); /* half a trace would look like a loss */
	memcpy(base + to, &h, sizeof(h));
	if (n > 0)
		memcpy(base + to + sizeof(h), p, n);
	fd_board->trace_n = end;
}

static uint32_t site_number(const struct fd_site *s)
{
	uint64_t n = fd_board->n_sites;

	for (uint64_t i = 0; i < n; i++)
		if (memcmp(&fd_board->site[i], s, sizeof(*s)) == 0)
			return (uint32_t)i;
	if (n == FD_SITES)
		_exit(91);
	fd_board->site[n] = *s;
	fd_board->n_sites = n + 1;
	return (uint32_t)n;
}

uint32_t fd_trace_site(void)
{
	void *frame[16];
	Dl_info own, in, program = { 0 };
	struct fd_site s = { 0 };
	int n = backtrace(frame, 16);
	bool first = true;

	dladdr((void *)(uintptr_t)fd_trace_site, &own);
	for (int i = 0; i < n; i++) {
		const char *name;

		if (dladdr(frame[i], &in) == 0 || in.dli_fbase == own.dli_fbase)
			continue;
		name = strrchr(in.dli_fname, '/') != NULL ? strrchr(in.dli_fname, '/') + 1
							  : in.dli_fname;
		if (strstr(name, ".so") == NULL) {
			program = in;
			s.program = (uint64_t)((uint8_t *)frame[i] - (uint8_t *)program.dli_fbase);
			break;
		}
		if (first) {
			s.direct = (uint64_t)((uint8_t *)frame[i] - (uint8_t *)in.dli_fbase);
			strncpy(s.library, name, sizeof(s.library) - 1);
		}
		first = false;
	}
	return site_number(&s);
}
