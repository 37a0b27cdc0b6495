/*
 * host - what the domain part of an address says about the way there. Pure.
 *
 *     name  name:port  [192.0.2.1]  [192.0.2.1]:port  [IPv6:2001:db8::1]  192.0.2.1
 *
 * each also with a suffix: .via (or ._via) and .smtp, before which the port may also stand as a
 * last label of digits; .local and .domain, before which only a name stands.
 */
#pragma once

#include "common/base/addr.h"

enum host_suffix { HOST_PLAIN, HOST_LOCAL, HOST_DOMAIN, HOST_VIA, HOST_SMTP };

struct host {
	enum host_suffix suffix;
	struct slice name; /* without brackets, port and suffix */
	struct addr ip;    /* family 0: a name */
	uint16_t port;     /* 0: none was given */
};

/* `domain` in lower case. 0, or 1 when it is none of these forms. */
int host_parse(struct slice domain, struct host *ret);
