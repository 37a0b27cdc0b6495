/*
 * keycheck - looks whether certificates and private keys belong together, says so, and ends. The
 * master starts it before a start or a reload takes new ones.
 *
 * Holds:    3 a pipe for what is wrong, 4 an empty directory (as root), from 5 on a certificate's
 *           chain and its key by turns; the arguments are the certificates' names.
 * May:      read these files, in the sandbox of the signer and as its user.
 * May not:  open a path, make a socket, fork, exec.
 * Trusts:   master.  Distrusts: what is in the files, a little: an administrator put it there.
 * If taken: the intruder has the keys, but nobody to tell.
 */
#include "authd/keycheck/check.h"
#include "common/base/io.h"
#include "common/base/log.h"
#include "common/sandbox/sandbox.h"
#include "common/tls/tls_ctx.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <openssl/rand.h>

enum { ANSWER_FD = 3, EMPTY_FD = 4, FIRST_FD = 5, ERRORS_BYTES = 65536 };

/* What libraries read from files, and memory for keys, before the sandbox. */
static int warm_up(size_t n_keys)
{
	struct tls_ctx *ctx = NULL;
	bool locked;
	int r = signer_heap_init(n_keys, &locked);

	RAND_poll();
	if (r == 0)
		r = tls_ctx_new(&ctx);
	tls_ctx_free(&ctx);
	return r;
}

static int check_all(char **names, size_t n, struct buf *errors)
{
	struct signer_keys *keys;
	int r = signer_keys_new(&keys), wrong = 0;

	for (size_t i = 0; i < n && r >= 0; i++) {
		int fd = FIRST_FD + 2 * (int)i;

		r = check_pair(keys, names[i], fd, fd + 1, errors);
		wrong |= r > 0;
	}
	if (r < 0)
		buf_printf(errors, "the certificates could not be looked at: %s\n", strerror(-r));
	signer_keys_free(&keys);
	return r < 0 || wrong;
}

int main(int argc, char **argv)
{
	struct sandbox_env env = { .root_fd = geteuid() == 0 ? EMPTY_FD : -1 };
	struct buf errors = BUF_INIT(ERRORS_BYTES);
	struct stat st;
	int r;

	if (argc < 2 || fstat(ANSWER_FD, &st) != 0 || !S_ISFIFO(st.st_mode)) {
		fprintf(stderr, "keycheck is started by gatehouse, not by hand\n");
		return 2;
	}
	log_init(STDERR_FILENO, false, LOG_ERR);
	if (warm_up((size_t)argc - 1) != 0 || sandbox_enter(&sandbox_rows[PROC_SIGNER], &env) != 0)
		return 3;
	r = check_all(argv + 1, (size_t)argc - 1, &errors);
	if (io_write_all(ANSWER_FD, buf_slice(&errors)) != 0)
		r = 3;
	buf_fini(&errors);
	return r;
}
