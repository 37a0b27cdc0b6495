/*
 * io - the system calls on descriptors that everybody needs, with EINTR and short counts handled
 * here and nowhere else. An fd is -1 or owned.
 */
#pragma once

#include "common/base/slice.h"

#include <sys/types.h>

/* Closes and sets -1; an fd of -1 is left alone. errno is kept. */
void fd_close(int *fd);

int fd_nonblock(int fd);         /* 0 or -errno */
int fd_cloexec(int fd, bool on); /* 0 or -errno */

/* All of `s`, or -errno. */
int io_write_all(int fd, struct slice s);
int io_pwrite_all(int fd, struct slice s, off_t off);

/* Exactly `n` bytes: 0; end of file before that: 1; or -errno. */
int io_read_all(int fd, void *p, size_t n);
int io_pread_all(int fd, void *p, size_t n, off_t off);

/* What is left of the file, at most `max` bytes, into a new heap block owned by the caller: 0,
 * 1 when it is larger, or -errno. */
int io_slurp(int fd, size_t max, uint8_t **ret_p, size_t *ret_n);
