/*
 * proxy - the header that a proxy puts before a connection (PROXY protocol, version 2, binary form)
 * and that names the addresses of the connection that the proxy took. Pure; who may send one is the
 * acceptor's business.
 */
#pragma once

#include "common/base/addr.h"

enum { PROXY_PREFIX_BYTES = 16 };

struct proxy_header {
	bool
	    none; /* the proxy speaks for itself, or does not say: the connection's own addresses */
	struct addr peer, local;
};

enum proxy_answer {
	PROXY_DONE = 0, /* `in` is the whole header */
	PROXY_MORE = 1, /* *ret_bytes in all are needed before more can be said */
	PROXY_BAD = 2,  /* no such header, or one of more than `max` bytes */
};

/* `in`: what has come, never more than was asked for, at first PROXY_PREFIX_BYTES. */
enum proxy_answer proxy_parse(
    struct slice in, size_t max, struct proxy_header *ret, size_t *ret_bytes);
