/*
 * What a server answers to `gatehousectl check`: two bytes (which dialogue; how much comes at
 * once), then all that it ever says. Each dialogue ends, and one that fails has a reason.
 */
#include "ctl/check/check.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DIALOGUES = 5 }; /* POP3, IMAP; LMTP, submission, SMTP */

static struct slice answers;
static size_t at_once;
static int which;

ssize_t __wrap_recv(int fd, void *to, size_t n, int flags);

ssize_t __wrap_recv(int fd, void *to, size_t n, int flags)
{
	n = n < at_once ? n : at_once;
	n = n < answers.n ? n : answers.n;
	if (n > 0)
		memcpy(to, answers.p, n);
	answers = slice_from(answers, n);
	return (ssize_t)n;
}

/* What we say goes nowhere. */
static void open_net(struct net *n)
{
	*n =
	    (struct net){ .fd = open("/dev/null", O_WRONLY | O_CLOEXEC), .in = BUF_INIT(64 << 20) };
	assert(n->fd >= 0);
}

/* In place of ports.c: connected, and greeted. */
bool door_open(struct check *k, const struct place *p, struct net *n, const char **ret_step)
{
	open_net(n);
	*ret_step = "greeting";
	return net_want(n, "220");
}

const char *door_name(const struct conf_section *listener)
{
	return which == 2 ? "lmtp" : which == 3 ? "submission" : "smtp";
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct probe pr = {
		.account = "u1@example.test", .password = "pass\"word", .token = "tok"
	};
	const struct place place = { 0 };
	struct net n;
	bool good;

	if (size < 2)
		return 0;
	which = data[0] % DIALOGUES;
	at_once = data[1] == 0 ? SIZE_MAX : data[1];
	answers = slice_of(data + 2, size - 2);
	if (which < (int)fetcher_count) {
		open_net(&n);
		good = fetchers[which].fetch(&n, &pr);
		assert(!good || memmem(data, size, pr.token, strlen(pr.token)) != NULL);
	} else {
		good = mail_deliver(NULL, &place, &pr, &n) == NULL;
	}
	assert(good || n.why[0] != '\0');
	net_close(&n);
	return 0;
}
