/*
 * addr - an address of a connection's end, in the form in which messages carry it.
 *
 * Packed form: family (4, 6, or 1 for a Unix socket), address (4, 16 or 0 bytes), port (2, big
 * endian; absent for Unix). An IPv4 address that came in mapped into IPv6 is stored as IPv4.
 */
#pragma once

#include "common/base/buf.h"

#include <sys/socket.h>

enum { ADDR_PACKED_MAX = 19, ADDR_TEXT_MAX = 56 };

struct addr {
	uint8_t family; /* 4, 6, 1; 0 when unknown */
	uint8_t ip[16];
	uint16_t port;
};

/* From what accept() or getsockname() gave; an unknown family gives family 0. */
struct addr addr_from_sockaddr(const struct sockaddr *sa, socklen_t len);

/* Fills `ss` and returns its length; 0 for a family that cannot be bound. */
socklen_t addr_to_sockaddr(const struct addr *a, struct sockaddr_storage *ss);

void addr_pack(const struct addr *a, struct buf *out);
int addr_unpack(struct slice s, struct addr *ret); /* 0, or 1 when malformed */

/* "192.0.2.1", "2001:db8::1" without brackets: 0, or 1 when it is neither. Port stays 0. */
int addr_parse_ip(struct slice text, struct addr *ret);

/* IP text without port; "local" for a Unix socket. `out` has ADDR_TEXT_MAX bytes. */
const char *addr_ip_text(const struct addr *a, char *out);

/* Same family and same bytes; ports are not looked at. */
bool addr_same_ip(const struct addr *a, const struct addr *b);
