/*
 * The environment of socket activation: lines "LISTEN_...=value", of which those of no such name
 * are left out; "self" is our own pid. Sockets lie where systemd would put them. Whatever it says,
 * the start goes on or is refused with a sentence, and what was taken listens.
 */
#include "common/base/io.h"
#include "master/master.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { FIRST = 3, SOCKETS = 6, SPARE_FROM = 40 };

static int spare[SOCKETS], theirs[SOCKETS]; /* what the fuzzer has at those places */

/* Listening, listening, bound only, a pair's end, a pipe; one place stays empty. */
static void spare_make(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int pair[2], fds[SOCKETS];

	for (int i = 0; i < 3; i++) {
		fds[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		/* Without a name the kernel gives it one of its own. */
		assert(
		    fds[i] >= 0 && bind(fds[i], (struct sockaddr *)&sun, sizeof(sa_family_t)) == 0);
		assert(i == 2 || listen(fds[i], 1) == 0);
	}
	assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	fds[3] = pair[0];
	assert(pipe2(pair, O_CLOEXEC) == 0);
	fds[4] = pair[0];
	fds[5] = -1;
	for (int i = 0; i < SOCKETS; i++) {
		spare[i] = fds[i] < 0 ? -1 : fcntl(fds[i], F_DUPFD_CLOEXEC, SPARE_FROM);
		fd_close(&fds[i]);
	}
}

static void put(int from, int place)
{
	close(place);
	if (from >= 0)
		assert(dup2(from, place) == place);
}

static void places_fill(void)
{
	for (int i = 0; i < SOCKETS; i++) {
		theirs[i] = fcntl(FIRST + i, F_DUPFD_CLOEXEC, SPARE_FROM);
		put(spare[i], FIRST + i);
	}
}

static void places_give_back(void)
{
	for (int i = 0; i < SOCKETS; i++) {
		put(theirs[i], FIRST + i);
		fd_close(&theirs[i]);
	}
}

static void env_set(struct slice text)
{
	static const char *const names[] = { "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES" };

	for (size_t i = 0; i < 3; i++)
		unsetenv(names[i]);
	while (text.n > 0) {
		struct slice value = slice_take(&text, '\n'), name = slice_take(&value, '=');
		char *s = strndup((const char *)value.p, value.n);

		assert(s != NULL || value.n == 0);
		for (size_t i = 0; i < 3 && s != NULL; i++)
			if (slice_eq(name, slice_str(names[i])))
				setenv(names[i], s, 1);
		free(s);
	}
	if (getenv("LISTEN_PID") != NULL && strcmp(getenv("LISTEN_PID"), "self") == 0) {
		char pid[32];

		snprintf(pid, sizeof(pid), "%d", (int)getpid());
		setenv("LISTEN_PID", pid, 1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct buf why = BUF_INIT(4096);
	struct sockets s = { 0 };
	struct listeners none = { 0 };
	int r;

	if (spare[0] == 0)
		spare_make();
	places_fill();
	env_set(slice_of(data, n));
	r = passed_open(&s, &why);
	assert((r == 0) == (why.n == 0));
	assert(s.n_passed <= SOCKETS);
	for (size_t i = 0; i < s.n_passed; i++) {
		assert(s.passed[i].fd == FIRST + (int)i);
		assert(s.passed[i].fd < FIRST + 2); /* no other listens */
	}
	/* No listener is for any of them. */
	assert((passed_check(&s, &none, &why) == 0) == (s.n_passed == 0));
	passed_fini(&s);
	places_give_back();
	buf_fini(&why);
	return 0;
}
