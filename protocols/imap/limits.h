/*
 * limits - what an IMAP client can make us hold and how long it may take.
 */
#pragma once

/* A line of a command with its CR LF (RFC 7162 4 asks for 8192 octets, of sets of uids). */
#define IMAP_LINE_MAX 65000
/* A command with all its literals; of APPEND without the messages. */
#define IMAP_COMMAND_MAX (256 * 1024)
/* The same before the login. A first response may come with AUTHENTICATE (12288 octets). */
#define IMAP_LOGIN_LINE_MAX    12544
#define IMAP_LOGIN_COMMAND_MAX (16 * 1024)
#define IMAP_LOGIN_LITERAL_MAX 1024
/* One literal that is gathered. */
#define IMAP_LITERAL_MAX (128 * 1024)
/* Octets of refused non-synchronizing literals that are read and thrown away, of one command. */
#define IMAP_SKIP_MAX (128 * 1024 * 1024)
#define IMAP_TAG_MAX  128
/* Name and password of LOGIN. */
#define IMAP_NAME_MAX 1000
/* Name of a mailbox, UTF-8, as messages carry it. */
#define IMAP_MBOX_MAX 1024
/* Keys of one SEARCH. */
#define IMAP_SEARCH_KEYS_MAX 1000
/* Octets of a message asked for at once in a search; gaps that are read rather than asked around.
 */
#define IMAP_SEARCH_GAP_MAX 16384
/* Pieces of bodies asked for ahead. */
#define IMAP_SEARCH_ASKS_MAX 32
/* What SORT and THREAD keep of all messages: rows and strings. */
#define IMAP_SORT_BYTES_MAX (512u * 1024 * 1024)
/* Lists in lists in one command. */
#define IMAP_DEPTH_MAX 64
/* Keywords named in one command; a name; all of them, as stored takes them. */
#define IMAP_FLAGS_MAX    2000
#define IMAP_KEYWORD_MAX  128
#define IMAP_KEYWORDS_MAX 57344
/* Memory of one command besides its text. */
#define IMAP_ARENA_MAX (4 * 1024 * 1024)

/* Ranges in a COPYUID; a longer one is left out (RFC 4315 3 lets it). */
#define IMAP_COPYUID_RANGES 20000
/* The answer to a command: tag, codes with sets of uids. */
#define IMAP_REPLY_MAX (1024 * 1024)
/* Ranges of a set in one request to stored (57344 octets). */
#define IMAP_PAIRS_MAX 7168
/* Changes of flags that are remembered one by one; more are asked for when they are told. */
#define IMAP_CHANGES_MAX 4096
/* Numbers in the path of a section; structures are 32 parts deep, messages inside count once. */
#define IMAP_PATH_MAX 64
/* Longer strings are written as literals: clients bound their lines, not their literals. */
#define IMAP_QUOTED_MAX 1024
/* Runs of uids: of a view and of a set. */
#define IMAP_RUNS_MAX 4000000
/* Octets of their sets of keywords in one answer. */
#define IMAP_SETS_MAX 8192
/* Rows asked for in one mbox_scan. */
#define IMAP_SCAN_ROWS 1000
/* A message of APPEND: default. */
#define IMAP_APPEND_MAX (64 * 1024 * 1024)
/* One piece of a message on its way to stored. */
#define IMAP_CHUNK_MAX 61440
/* Messages of one APPEND. */
#define IMAP_APPEND_MSGS_MAX 1000
/* stored is given credit in pieces of at least this. */
#define IMAP_CREDIT_STEP (96 * 1024)

/* RFC 3501 5.4: at least 30 minutes. */
#define IMAP_IDLE_MS  1860000
#define IMAP_LOGIN_MS 180000
/* For an answer of another process. */
#define IMAP_ANSWER_MS 60000
/* Time before the answer to a failed login, times the number of failures. */
#define IMAP_FAIL_MS 1000

#define IMAP_LOGINS_MAX 3
/* Commands answered by BAD in a row before we hang up. */
#define IMAP_ERRORS_MAX 20

/* Items of one FETCH; names of header fields in one item. */
#define IMAP_ITEMS_MAX 128
#define IMAP_NAMES_MAX 256
/* Messages whose facts or bodies are under way in a FETCH, and questions for them. */
#define IMAP_FETCH_SLOTS 256
#define IMAP_FETCH_ASKS  512
/* New facts are asked for when so many slots are free. */
#define IMAP_FETCH_BATCH 64
/* Octets of bodies asked for ahead: the window. */
#define IMAP_FETCH_AHEAD (256 * 1024)
/* Pieces up to this are asked for many at a time, larger ones one by one. */
#define IMAP_FETCH_PIECE (24 * 1024)
/* Decoded octets or header fields that are held to be counted; more are read twice. */
#define IMAP_FETCH_HOLD (128 * 1024)
/* Of administrators' alerts that wait to be told: as much as stored sends at once. */
#define IMAP_ALERTS_MAX 57344
/* Messages after which their \Seen is stored. */
#define IMAP_FETCH_SEEN 256
