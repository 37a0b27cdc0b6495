/*
 * limits - what one connection can make a front-end hold, and how long it may take over it.
 */
#pragma once

/* Bytes read from the client and not yet understood. More than any line limit of a core. */
#define FRONT_IN_MAX (64 * 1024)
/* The first read; it doubles while reads fill it. */
#define FRONT_READ_FIRST 4096
/* For a TLS handshake. */
#define FRONT_TLS_MS 60000
/* For the client to read what is left when the core is done. */
#define FRONT_CLOSE_MS 30000
/* Output at which a core takes no further command and gives stored no further credit. */
#define FRONT_OUT_HIGH (128 * 1024)
/* Output below which it goes on. */
#define FRONT_OUT_LOW (48 * 1024)
/* Bound of the output buffer: the mark above, a whole window of stored's, both dot-stuffed. */
#define FRONT_OUT_MAX (2 * 1024 * 1024)
/* Output buffers above this are given back when they are empty. */
#define FRONT_OUT_KEEP (64 * 1024)
/* Unsent output is moved to the front of its buffer only past this. */
#define FRONT_OUT_SHIFT (256 * 1024)

/* Compression (RFC 4978): text per piece, before and after, and how hard it is tried. */
#define FRONT_ZIP_IN    16384
#define FRONT_ZIP_OUT   20480
#define FRONT_ZIP_LEVEL 4

/* A text of another process's in a reply to the client. */
#define FRONT_TEXT_MAX 255

/* One response of a SASL exchange, base64 (RFC 4954 4 asks for 12288). */
#define FRONT_SASL_LINE_MAX 12290
#define FRONT_SASL_MAX      8192

/* Silence after which the kernel asks whether the client is there: less than the five minutes after
 * which many a translator of addresses forgets a connection, which IDLE leaves silent for 29. */
#define FRONT_KEEP_ALIVE_S 240

/* Connections accepted per wake-up of a listener, and the pause when descriptors are short. */
#define FRONT_ACCEPT_TURN 16
#define FRONT_PAUSE_MS    200
/* A PROXY header, how long it may take, and how many may be awaited at a time. */
#define FRONT_PROXY_MAX     2048
#define FRONT_PROXY_MS      10000
#define FRONT_PROXY_WAITING 1024
/* A certificate chain; certificates tried at the start. */
#define FRONT_PEM_MAX     (256 * 1024)
#define FRONT_TLS_TRY_MAX 16
/* Dense: connections of a process before another processor gets a process of its own. */
#define FRONT_DENSE_BUSY 8
/* Free pieces of the acceptor's heap up to this are taken out of use before the first fork. */
#define FRONT_HEAP_PIECE_MAX (32 * 1024)
