/*
 * limits - what a POP3 client can make us hold and how long it may take.
 */
#pragma once

/* A command line with its CR LF. RFC 2449 4 asks for 255; names and passwords may be longer. */
#define POP3_LINE_MAX 1024
/* A mechanism's first response may come with the AUTH command. */
#define POP3_AUTH_LINE_MAX 12544
/* Name and password of USER and PASS. */
#define POP3_NAME_MAX 1000

/* Messages shown of one mailbox; the rest appears in the next session. */
#define POP3_MESSAGES_MAX 2000000
/* Messages asked for in one mbox_scan. */
#define POP3_SCAN_ROWS 1500
/* Pairs of uids in one msg_expunge (61440 bytes). */
#define POP3_EXPUNGE_PAIRS 7000

/* Bodies asked for before the client asks for them: messages, and bytes of all together. */
#define POP3_AHEAD_MAX   32
#define POP3_AHEAD_BYTES (128 * 1024)
/* stored is given credit in pieces of at least this. */
#define POP3_CREDIT_STEP (32 * 1024)
/* TOP reads a message in pieces: the first, which is what lies under one sum at the begin of a long
 * one, and those after it. */
#define POP3_TOP_FIRST (8 * 1024)
#define POP3_TOP_NEXT  (64 * 1024)

/* RFC 1939 3 wants at least ten minutes between commands after the login. */
#define POP3_IDLE_MS  600000
#define POP3_LOGIN_MS 180000
/* For an answer of another process. */
#define POP3_ANSWER_MS 60000
/* Time before the answer to a failed login, times the number of failures. */
#define POP3_FAIL_MS 1000

#define POP3_LOGINS_MAX 3
/* Commands refused in a row before we hang up. */
#define POP3_ERRORS_MAX 20
