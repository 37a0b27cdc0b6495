/*
 * signer-run - certificates and a running signer for the tests of TLS.
 *
 * The signer reads its keys after it was forked, so the test itself never has one in memory unless
 * it reads the file on purpose.
 */
#pragma once

#include "common/base/slice.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct ipc_chan;

struct signer_run {
	pid_t pid;
	struct ipc_chan *attach;
};

/* A new directory with ca.pem, cert.pem and key.pem of KIND for NAMES (by scripts/lib/demo-ca; both
 * are words for the shell). Free with test_dir_remove, which sets NULL. */
char *test_dir_make(const char *kind, const char *names);
void test_dir_remove(char **dir);

/* The file NAME in DIR, as a heap block. */
struct slice test_file_read(const char *dir, const char *name);

/* Starts a signer with the keys of the N directories. */
void signer_run_start(struct signer_run *run, char *const *dirs, size_t n);

/* A new channel of a connection: the connection's end, ready for tls_remote_use. */
int signer_run_channel(struct signer_run *run);

/* Closes the attach channel and waits for the signer to end, which it does once all channels of
 * connections are closed. Returns its exit status. */
int signer_run_stop(struct signer_run *run);
