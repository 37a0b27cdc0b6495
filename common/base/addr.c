#include "common/base/addr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/un.h>

static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

struct addr addr_from_sockaddr(const struct sockaddr *sa, socklen_t len)
{
	struct addr a = { 0 };

	if (len >= sizeof(sa->sa_family) && sa->sa_family == AF_UNIX)
		a.family = 1;
	if (len >= sizeof(struct sockaddr_in) && sa->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)sa;

		a.family = 4;
		a.port = ntohs(in->sin_port);
		memcpy(a.ip, &in->sin_addr, 4);
	}
	if (len >= sizeof(struct sockaddr_in6) && sa->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const void *)sa;
		const uint8_t *ip = in6->sin6_addr.s6_addr;
		bool is4 = memcmp(ip, mapped, sizeof(mapped)) == 0;

		a.family = is4 ? 4 : 6;
		a.port = ntohs(in6->sin6_port);
		memcpy(a.ip, is4 ? ip + 12 : ip, is4 ? 4 : 16);
	}
	return a;
}

socklen_t addr_to_sockaddr(const struct addr *a, struct sockaddr_storage *ss)
{
	struct sockaddr_in *in = (void *)ss;
	struct sockaddr_in6 *in6 = (void *)ss;

	memset(ss, 0, sizeof(*ss));
	if (a->family == 4) {
		in->sin_family = AF_INET;
		in->sin_port = htons(a->port);
		memcpy(&in->sin_addr, a->ip, 4);
		return sizeof(*in);
	}
	if (a->family == 6) {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(a->port);
		memcpy(&in6->sin6_addr, a->ip, 16);
		return sizeof(*in6);
	}
	return 0;
}

static size_t ip_bytes(uint8_t family)
{
	return family == 4 ? 4 : family == 6 ? 16 : 0;
}

void addr_pack(const struct addr *a, struct buf *out)
{
	buf_putc(out, a->family);
	buf_put(out, slice_of(a->ip, ip_bytes(a->family)));
	if (a->family == 4 || a->family == 6) {
		buf_putc(out, (uint8_t)(a->port >> 8));
		buf_putc(out, (uint8_t)a->port);
	}
}

int addr_unpack(struct slice s, struct addr *ret)
{
	struct addr a = { 0 };
	size_t n;

	if (s.n == 0)
		return 1;
	a.family = s.p[0];
	n = ip_bytes(a.family);
	if (n == 0) {
		if (s.n != 1 || a.family > 1)
			return 1;
	} else {
		if (s.n != 1 + n + 2)
			return 1;
		memcpy(a.ip, s.p + 1, n);
		a.port = (uint16_t)(s.p[1 + n] << 8 | s.p[2 + n]);
	}
	*ret = a;
	return 0;
}

int addr_parse_ip(struct slice text, struct addr *ret)
{
	char tmp[ADDR_TEXT_MAX];
	struct addr a = { 0 };

	if (text.n == 0 || text.n >= sizeof(tmp) || slice_find(text, 0) >= 0)
		return 1;
	memcpy(tmp, text.p, text.n);
	tmp[text.n] = '\0';
	if (inet_pton(AF_INET, tmp, a.ip) == 1)
		a.family = 4;
	else if (inet_pton(AF_INET6, tmp, a.ip) == 1)
		a.family = 6;
	else
		return 1;
	if (a.family == 6 && memcmp(a.ip, mapped, sizeof(mapped)) == 0) {
		memmove(a.ip, a.ip + 12, 4);
		memset(a.ip + 4, 0, 12);
		a.family = 4;
	}
	*ret = a;
	return 0;
}

const char *addr_ip_text(const struct addr *a, char *out)
{
	if (a->family == 4)
		inet_ntop(AF_INET, a->ip, out, ADDR_TEXT_MAX);
	else if (a->family == 6)
		inet_ntop(AF_INET6, a->ip, out, ADDR_TEXT_MAX);
	else
		snprintf(out, ADDR_TEXT_MAX, "%s", a->family == 1 ? "local" : "unknown");
	return out;
}

bool addr_same_ip(const struct addr *a, const struct addr *b)
{
	return a->family == b->family && memcmp(a->ip, b->ip, ip_bytes(a->family)) == 0;
}
