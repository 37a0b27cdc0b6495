/*
 * bind - a listening TCP socket, made by this process or asked for from one that has the network.
 *
 * Under systemd the master has no network: it asks the program of main.c, which systemd starts for
 * each connection to its socket. Invariant: what passes is an address one way and a descriptor or
 * an error number the other way; neither end reads anything else.
 */
#pragma once

#include "common/base/addr.h"

/* A socket that listens on `a`, non-blocking and close-on-exec: 0 or -errno. */
int bind_tcp(const struct addr *a, int *ret_fd);

/* Connects to whoever binds for us at the Unix socket `path`: 0 or -errno. */
int bind_asker_open(const char *path, int *ret_asker_fd);

/* As bind_tcp(), by the other end of `asker_fd`; -ETIMEDOUT when it does not answer. */
int bind_ask(int asker_fd, const struct addr *a, int *ret_fd);

/* Answers one request that came on `fd`: 0, 1 when nobody asks any more, or -errno. */
int bind_answer(int fd);
