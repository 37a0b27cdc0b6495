/* Whose index a process died of: noted before each way into LMDB, told by the handler of the
 * signals that end it. */
#include "common/engine/engine.h"
#include "common/engine/lmdb/guard.h"

#include <signal.h>
#include <unistd.h>

static const int blamed_signals[] = { SIGSEGV, SIGBUS, SIGABRT };
enum { BLAMED_SIGNALS = sizeof(blamed_signals) / sizeof(*blamed_signals) };
static struct sigaction before[BLAMED_SIGNALS];
static _Thread_local struct guard *volatile read_now;

void guard_reads(struct guard *g)
{
	read_now = g;
}

/* Whatever would have happened without us happens next, at the same place. */
static void on_death(int sig, siginfo_t *si, void *context)
{
	const struct guard *g = read_now;

	if (g != NULL && g->fd >= 0 && pwrite(g->fd, g->blame, sizeof(g->blame), 0) < 0)
		read_now = NULL; /* then nobody is blamed */
	for (int i = 0; i < BLAMED_SIGNALS; i++)
		if (blamed_signals[i] == sig)
			(void)sigaction(sig, &before[i], NULL);
	if (si->si_code <= 0) /* somebody sent it: it does not come again by itself */
		(void)raise(sig);
}

void engine_blame_signals(void)
{
	struct sigaction a = { .sa_sigaction = on_death, .sa_flags = SA_SIGINFO | SA_ONSTACK };

	sigemptyset(&a.sa_mask);
	for (int i = 0; i < BLAMED_SIGNALS; i++)
		(void)sigaction(blamed_signals[i], &a, &before[i]);
}
