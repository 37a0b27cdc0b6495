/* What one channel or one operator can make the signer hold or do. */
#pragma once

#define SIGNER_SIGNATURES     16    /* per channel: one connection needs one, a trial run a few */
#define SIGNER_REFUSALS       4     /* per channel, then it is closed */
#define SIGNER_CHANNELS       65536 /* open at once */
#define SIGNER_QUEUE_BYTES    4096  /* replies that a peer may leave unread */
#define SIGNER_KEYS           4096
#define SIGNER_OLD_KEYS_MS    60000 /* after a reload: handshakes with old certificates end */
#define SIGNER_PEM_BYTES      16384
#define SIGNER_HEAP_BYTES     65536 /* locked memory to work in ... */
#define SIGNER_HEAP_KEY_BYTES 4096  /* ... and for each key: RSA-4096 takes 3 KiB */
#define SIGNER_HEAP_MIN_BYTES 16
#define SIGNER_RSA_MIN_BITS   2048
#define SIGNER_RSA_MAX_BITS   4096 /* more costs a client nothing and us 10 ms and up */
