/*
 * groups - connections that outlive their acceptor.
 *
 * Every program is the leader of a process group; what it forks stays in the group. When the leader
 * dies its connections go on, as our children (we are their subreaper), and the group's number
 * cannot be given to anybody else while one of them is not reaped. So a group in the list may be
 * signalled safely, and leaves the list when waitid() knows no member any more.
 */
#include "master/master.h"

#include "common/base/log.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

void groups_init(struct master *m)
{
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0)
		log_ev(LOG_WARNING, "proc.fail", kv_s("name", "master"), kv_s("why", "subreaper"),
		    kv_err("err", errno));
}

/* True while the group has a member that is not reaped. */
static bool reap(pid_t group)
{
	siginfo_t si;

	for (;;) {
		si.si_pid = 0;
		if (waitid(P_PGID, (id_t)group, &si, WEXITED | WNOHANG) != 0)
			return errno == EINTR;
		if (si.si_pid == 0)
			return true;
	}
}

void groups_reap(struct master *m)
{
	size_t kept = 0;

	for (size_t i = 0; i < m->n_groups; i++)
		if (reap(m->groups[i]))
			m->groups[kept++] = m->groups[i];
	m->n_groups = kept;
}

void groups_add(struct master *m, pid_t group)
{
	groups_reap(m);
	if (!reap(group))
		return;
	if (m->n_groups == GROUPS_MAX) {
		/* An acceptor that dies this often is under attack: the oldest connections go. */
		kill(-m->groups[0], SIGKILL);
		for (size_t i = 1; i < m->n_groups; i++)
			m->groups[i - 1] = m->groups[i];
		m->n_groups--;
	}
	m->groups[m->n_groups++] = group;
}

void groups_kill(struct master *m)
{
	groups_reap(m);
	for (size_t i = 0; i < m->n_groups; i++)
		kill(-m->groups[i], SIGKILL);
}
