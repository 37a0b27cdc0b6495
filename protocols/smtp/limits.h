/*
 * limits - what a mail sender can make us hold and how long it may take.
 */
#pragma once

/* A command line with its CR LF: RFC 5321 4.5.3.1.4 with the extensions' additions, and more. */
#define SMTP_LINE_MAX 4096
/* The name in LHLO. */
#define SMTP_HELLO_MAX 255

/* Unless configured otherwise. */
#define SMTP_RCPTS_MAX 1000
#define SMTP_HOPS_MAX  50
#define SMTP_SIZE_MAX  (50ull << 20)
/* Of one post_begin: 4096 bytes of handles. */
#define SMTP_HANDLES_MAX 1024

/* Recipients that may be waiting for routerd at one time. */
#define SMTP_PENDING_MAX 64
/* One post_data. */
#define SMTP_CHUNK_MAX 61440
/* A trace header: two addresses, two names, an address, a date. */
#define SMTP_TRACE_MAX 4096
/* A reply kept until those before it are answered. */
#define SMTP_REPLY_MAX 512

/* RFC 5321 4.5.3.2.7. */
#define SMTP_IDLE_MS 300000
/* For routerd's answer, and for stored's: the sender waits ten minutes for that (4.5.3.2.6). */
#define SMTP_ROUTE_MS 60000
#define SMTP_STORE_MS 540000

/* Commands refused in a row before we hang up. */
#define SMTP_ERRORS_MAX 20
