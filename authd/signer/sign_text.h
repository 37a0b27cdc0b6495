/*
 * Decides whether a text is one that a TLS server signs in a handshake. A key that also signed
 * other texts would be an oracle: for another protocol, for mail (DKIM), for certificates.
 *
 * Invariant: the two shapes cannot be confused, since byte 64 is 'T' in one and 3 in the other;
 * and both pin every byte that is not a random number, a public point or a transcript hash.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum sign_text {
	SIGN_TEXT_OTHER = 0,
	SIGN_TEXT_TLS12, /* ServerKeyExchange with ECDHE, RFC 8422 section 5.4 */
	SIGN_TEXT_TLS13, /* server CertificateVerify, RFC 8446 section 4.4.3 */
};

enum sign_text sign_text_classify(const uint8_t *text, size_t n);
