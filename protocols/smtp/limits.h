/*
 * limits - what a mail sender can make us hold and how long it may take.
 */
#pragma once

/* A command line with its CR LF: RFC 5321 4.5.3.1.4 with the extensions' additions, and more. */
#define SMTP_LINE_MAX 4096
/* The name in LHLO, EHLO, HELO. */
#define SMTP_HELLO_MAX 255
/* RFC 3461 4.4, 4.2: ENVID, ORCPT. */
#define SMTP_ENVID_MAX 100
#define SMTP_ORCPT_MAX 500

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
/* Of these, fields that name the recipients who are one account. */
#define SMTP_ORIGINALS_MAX 1024
/* Date and Message-ID. */
#define SMTP_MISSING_MAX 512
/* A header longer than this is passed on as it is, whatever it lacks. */
#define SMTP_HEAD_MAX (64 * 1024)
/* What a report says of its recipients in fields, and of those who do not exist in words. */
#define SMTP_REPORT_MAX (48 * 1024)
#define SMTP_NAMES_MAX  (8 * 1024)
/* Of a message that comes back with a report of failure: of all of it, of its header. */
#define SMTP_RETURN_MAX      (256 * 1024)
#define SMTP_RETURN_HEAD_MAX (32 * 1024)
/* A report with all of that. */
#define SMTP_SENDING_MAX (SMTP_REPORT_MAX + SMTP_NAMES_MAX + SMTP_RETURN_MAX + 8 * 1024)
/* What one takes mostly: whose mailbox has no room for that gets none. */
#define SMTP_REPORT_LIKELY 8192
/* A reply kept until those before it are answered. */
#define SMTP_REPLY_MAX 512

/* RFC 5321 4.5.3.2.7. */
#define SMTP_IDLE_MS 300000
/* For routerd's answer, and for stored's: the sender waits ten minutes for that (4.5.3.2.6). */
#define SMTP_ROUTE_MS 60000
#define SMTP_STORE_MS 540000
/* For authd's answer, and before that to a failed login goes out, times the number of failures. */
#define SMTP_AUTH_MS 60000
#define SMTP_FAIL_MS 1000

#define SMTP_LOGINS_MAX 3
/*
 * Commands refused before we hang up: in a row in LMTP, where a mail server of ours is the client;
 * else since the last message that was taken.
 */
#define SMTP_ERRORS_MAX 20
/* Recipients refused for good, since the last message that was taken; not in LMTP. */
#define SMTP_RCPTS_REFUSED_MAX 100
