#include "common/front/proxy.h"

static const uint8_t signature[12] = { 0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49,
	0x54, 0x0a };

/* An address as it stands there, through addr's own form, which knows of mapped ones. */
static struct addr address(uint8_t family, const uint8_t *ip, const uint8_t *port)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	struct addr a = { .family = family, .port = (uint16_t)(port[0] << 8 | port[1]) };

	if (family == 6 && memcmp(ip, mapped, sizeof(mapped)) == 0) {
		a.family = 4;
		ip += sizeof(mapped);
	}
	memcpy(a.ip, ip, a.family == 4 ? 4 : 16);
	return a;
}

static enum proxy_answer addresses(struct slice body, uint8_t what, struct proxy_header *ret)
{
	size_t n = what == 0x11 ? 4 : 16;
	const uint8_t *p = body.p;

	if ((what != 0x11 && what != 0x21) || body.n < n * 2 + 4)
		return PROXY_BAD;
	*ret = (struct proxy_header){ .peer = address(n == 4 ? 4 : 6, p, p + 2 * n),
		.local = address(n == 4 ? 4 : 6, p + n, p + 2 * n + 2) };
	return PROXY_DONE;
}

enum proxy_answer proxy_parse(
    struct slice in, size_t max, struct proxy_header *ret, size_t *ret_bytes)
{
	size_t seen = in.n < sizeof(signature) ? in.n : sizeof(signature), total;

	*ret_bytes = PROXY_PREFIX_BYTES;
	/* Who sends something else is not kept waiting for the rest of it. */
	if (seen > 0 && memcmp(in.p, signature, seen) != 0)
		return PROXY_BAD;
	if (in.n < PROXY_PREFIX_BYTES)
		return PROXY_MORE;
	total = PROXY_PREFIX_BYTES + (size_t)(in.p[14] << 8 | in.p[15]);
	*ret_bytes = total;
	if (total > max || (in.p[12] != 0x20 && in.p[12] != 0x21))
		return PROXY_BAD;
	if (in.n < total)
		return PROXY_MORE;
	*ret = (struct proxy_header){ .none = true };
	if (in.p[12] == 0x20 || in.p[13] == 0)
		return PROXY_DONE; /* LOCAL, or of no family: the rest is skipped */
	return addresses(slice_from(in, PROXY_PREFIX_BYTES), in.p[13], ret);
}
