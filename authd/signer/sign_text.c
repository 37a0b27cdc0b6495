#include "authd/signer/sign_text.h"

#include <stdbool.h>
#include <string.h>

#define RANDOMS_BYTES 64 /* client random, server random */
#define CURVE_NAMED   3  /* ECCurveType named_curve */

static const char tls13_context[] = "TLS 1.3, server CertificateVerify"; /* its NUL belongs to it */

/* 64 spaces, the context string, NUL, transcript hash of SHA-256 or SHA-384. */
static bool is_tls13(const uint8_t *text, size_t n)
{
	const size_t head = 64 + sizeof(tls13_context);

	if (n != head + 32 && n != head + 48)
		return false;
	for (size_t i = 0; i < 64; i++) {
		if (text[i] != ' ')
			return false;
	}
	return memcmp(text + 64, tls13_context, sizeof(tls13_context)) == 0;
}

/* Two randoms, then curve type, group and a point that fits the group and fills the rest. */
static bool is_tls12(const uint8_t *text, size_t n)
{
	static const struct {
		unsigned int group, point_bytes;
		int form; /* first byte of the point, -1: any */
	} groups[] = {
		{ 23, 65, 4 },  /* secp256r1, uncompressed */
		{ 24, 97, 4 },  /* secp384r1, uncompressed */
		{ 29, 32, -1 }, /* x25519 */
	};
	const uint8_t *params = text + RANDOMS_BYTES;
	unsigned int group;

	if (n < RANDOMS_BYTES + 5 || params[0] != CURVE_NAMED)
		return false;
	group = (unsigned int)params[1] << 8 | params[2];
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		if (groups[i].group == group)
			return params[3] == groups[i].point_bytes &&
			       n == RANDOMS_BYTES + 4 + groups[i].point_bytes &&
			       (groups[i].form < 0 || params[4] == groups[i].form);
	}
	return false;
}

enum sign_text sign_text_classify(const uint8_t *text, size_t n)
{
	if (is_tls13(text, n))
		return SIGN_TEXT_TLS13;
	return is_tls12(text, n) ? SIGN_TEXT_TLS12 : SIGN_TEXT_OTHER;
}
