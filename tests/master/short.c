/*
 * short - calls of the supervisor that fail when a test says so, as on a machine that is out of
 * memory or descriptors.
 *
 * Linked into gatehouse-short in place of the calls themselves. While the file that SHORT_FILE
 * names exists, its first word is the call that fails, its second how many of those calls succeed
 * first.
 */
#include "common/ipc/chan.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool fails(const char *call)
{
	static int seen;
	static bool inside; /* fopen() may come here, too */
	const char *path = getenv("SHORT_FILE");
	char word[32] = "";
	int spared = 0;
	FILE *f;

	if (path == NULL || inside)
		return false;
	inside = true;
	f = fopen(path, "re");
	if (f == NULL)
		seen = 0;
	else if (fscanf(f, "%31s %d", word, &spared) < 1)
		word[0] = '\0';
	if (f != NULL)
		fclose(f);
	inside = false;
	return strcmp(word, call) == 0 && seen++ >= spared;
}

int __real_pidfd_open(pid_t pid, unsigned flags);
int __wrap_pidfd_open(pid_t pid, unsigned flags);
int __real_ipc_pair(int ret_fds[2]);
int __wrap_ipc_pair(int ret_fds[2]);
int __real_fcntl64(int fd, int op, long arg);
int __wrap_fcntl64(int fd, int op, ...);
struct event *__real_event_new(
    struct event_base *base, evutil_socket_t fd, short what, event_callback_fn fn, void *arg);
struct event *__wrap_event_new(
    struct event_base *base, evutil_socket_t fd, short what, event_callback_fn fn, void *arg);
int __real_event_add(struct event *ev, const struct timeval *tv);
int __wrap_event_add(struct event *ev, const struct timeval *tv);
struct ipc_chan *__real_ipc_chan_new(struct event_base *base, int take_fd, enum ipc_ch kind,
    bool upper, const struct ipc_ops *ops, void *arg);
struct ipc_chan *__wrap_ipc_chan_new(struct event_base *base, int take_fd, enum ipc_ch kind,
    bool upper, const struct ipc_ops *ops, void *arg);

int __wrap_pidfd_open(pid_t pid, unsigned flags)
{
	if (!fails("pidfd_open"))
		return __real_pidfd_open(pid, flags);
	errno = EMFILE;
	return -1;
}

int __wrap_ipc_pair(int ret_fds[2])
{
	return fails("ipc_pair") ? -EMFILE : __real_ipc_pair(ret_fds);
}

int __wrap_fcntl64(int fd, int op, ...)
{
	va_list args;
	long arg;

	va_start(args, op);
	arg = va_arg(args, long);
	va_end(args);
	/* Between fork and exec others are asked for, above a place. */
	if (op != F_DUPFD_CLOEXEC || arg != 0 || !fails("fcntl"))
		return __real_fcntl64(fd, op, arg);
	errno = EMFILE;
	return -1;
}

/* Timers, which have no descriptor, are not made to fail: without them the supervisor ends. */
struct event *__wrap_event_new(
    struct event_base *base, evutil_socket_t fd, short what, event_callback_fn fn, void *arg)
{
	return fd >= 0 && fails("event_new") ? NULL : __real_event_new(base, fd, what, fn, arg);
}

int __wrap_event_add(struct event *ev, const struct timeval *tv)
{
	return event_get_fd(ev) >= 0 && fails("event_add") ? -1 : __real_event_add(ev, tv);
}

struct ipc_chan *__wrap_ipc_chan_new(struct event_base *base, int take_fd, enum ipc_ch kind,
    bool upper, const struct ipc_ops *ops, void *arg)
{
	if (!fails("ipc_chan_new"))
		return __real_ipc_chan_new(base, take_fd, kind, upper, ops, arg);
	close(take_fd);
	return NULL;
}
