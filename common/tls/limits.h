/* Limits of TLS in the front-ends. Rows may be raised with a reason; the tests use the names. */
#pragma once

#define TLS_KEY_REF_BYTES    32    /* SHA-256 of the SubjectPublicKeyInfo */
#define TLS_SIGN_TEXT_BYTES  2048  /* same as sign_ask.text in common/ipc/schema.def */
#define TLS_SIG_BYTES        1024  /* same as sign_reply.sig: RSA-8192 */
#define TLS_SIGNER_WAIT_MS   5000  /* how long a child waits for one signature */
#define TLS_PEM_BYTES        65536 /* one certificate file with its chain */
#define TLS_CHAIN_CERTS      8     /* certificates in one file, the server's own included */
#define TLS_TRY_CERTS        15 /* trial handshakes on one channel: 16 signatures with the extra */
#define TLS_CERTS            4096  /* certificates in one acceptor */
#define TLS_NAMES            16384 /* names in the SNI table */
#define TLS_NAME_BYTES       253   /* one host name, RFC 1035 section 2.3.4 less the root */
#define TLS_PUBLIC_KEY_BYTES 1056  /* modulus of RSA-8192 and an exponent */
#define TLS_EXPORTER_BYTES   32    /* RFC 9266 section 4.2 */
#define TLS_END_POINT_BYTES  64    /* the longest hash of RFC 5929 section 4.1 */
