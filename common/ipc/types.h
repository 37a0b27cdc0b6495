/*
 * types - the words that messages use: roles, channel kinds, states, statuses, flags, and the
 * structs made from schema.def. A protocol core includes this and nothing else of common/ipc.
 */
#pragma once

#include "common/base/slice.h"

enum ipc_role {
	IPC_ROLE_NONE,
	IPC_ROLE_MASTER,
	IPC_ROLE_LOGD,
	IPC_ROLE_SIGNER,
	IPC_ROLE_STORED,
	IPC_ROLE_AUTHD,
	IPC_ROLE_ROUTERD,
	IPC_ROLE_WORKER,
	IPC_ROLE_PARSED,
	IPC_ROLE_EXTERNAL,
	IPC_ROLE_POP3,
	IPC_ROLE_SMTP,
	IPC_ROLE_ADMIN,
	IPC_ROLE_IMAP,
	IPC_ROLE_METRICS,
	IPC_ROLE_PWD,
	IPC_ROLE_SOURCE,
	IPC_ROLES
};

/* Kinds of channel; the lower end is named first. */
enum ipc_ch {
	IPC_CH_ANY,
	IPC_CH_CONTROL,     /* every process, master */
	IPC_CH_ATTACH_LOG,  /* acceptor, logd */
	IPC_CH_ATTACH_SIGN, /* acceptor, signer */
	IPC_CH_ATTACH_AUTH, /* acceptor, authd */
	IPC_CH_ATTACH_RCPT, /* acceptor, routerd */
	IPC_CH_ATTACH_POST, /* acceptor, stored */
	IPC_CH_SIGN,        /* connection, signer */
	IPC_CH_DIALOGUE,    /* connection, authd */
	IPC_CH_RCPT,        /* connection, routerd */
	IPC_CH_POST,        /* connection, stored */
	IPC_CH_SESSION,     /* connection, stored */
	IPC_CH_WORK_POOL,   /* authd-worker, authd */
	IPC_CH_WORK,        /* one worker, authd */
	IPC_CH_AUTH_ROUTE,  /* routerd, authd */
	IPC_CH_AUTH_STORE,  /* authd, stored */
	IPC_CH_ROUTE_STORE, /* routerd, stored */
	IPC_CH_PARSE,       /* parsed, stored */
	IPC_CH_EXTERNAL,    /* stored-external, stored */
	IPC_CH_ADMIN_DIR,   /* admin connection, routerd */
	IPC_CH_ADMIN_AUTH,  /* admin connection, authd */
	IPC_CH_ADMIN_STORE, /* admin connection, stored */
	IPC_CH_COUNTS,      /* metrics connection, its acceptor */
	IPC_CH_DENSE,       /* a process for several connections, its acceptor */
	IPC_CH_PORT,        /* the reader of an import's source, gatehousectl */
	IPC_CH_SOURCE,      /* authd-external, authd */
	IPC_CHS
};

/* States of a channel, seen by the receiver; bits so that a message may be legal in several. */
enum ipc_state {
	IPC_IN_START = 1 << 0,    /* hello not yet seen */
	IPC_IN_SETUP = 1 << 1,    /* control: before ctl_ready */
	IPC_IN_RUN = 1 << 2,      /* normal work */
	IPC_IN_IDLE = 1 << 3,     /* dialogue: no mechanism under way */
	IPC_IN_DIALOGUE = 1 << 4, /* dialogue: a mechanism under way */
	IPC_IN_CLOSED = 1 << 5,   /* nothing is legal any more */
	IPC_IN_ANY = IPC_IN_SETUP | IPC_IN_RUN | IPC_IN_IDLE | IPC_IN_DIALOGUE,
};

enum {
	IPC_PACKET_MAX = 65536,
	IPC_FDS_MAX = 4,
	IPC_WINDOW_BYTES = 262144, /* body bytes in flight on a session or post channel */
	IPC_WINDOW_MIN = 32768,    /* of a session's: parts_are is not begun in less */
	IPC_WHO_MAX = 400, /* an administrator's name: a user of this machine or name@domain */
};

enum ipc_listen_flags {
	IPC_LISTEN_TLS = 1 << 0,   /* TLS from the first byte */
	IPC_LISTEN_PROXY = 1 << 1, /* a PROXY v2 header comes first */
	IPC_LISTEN_LMTP = 1 << 2,
	IPC_LISTEN_SUBMISSION = 1 << 3,
	IPC_LISTEN_PLAIN_LOGIN = 1 << 4, /* clear-text passwords without TLS (demo) */
	IPC_LISTEN_STARTTLS = 1 << 5,
};

enum ipc_conn_flags {
	IPC_CONN_TLS = 1 << 0,
	IPC_CONN_PROXIED = 1 << 1, /* peer and local are the proxy's claim */
	IPC_CONN_PLAIN_LOGIN = 1 << 2,
};

/* A connection's descriptors besides the client's. */
enum ipc_end {
	IPC_END_SIGN = 1,
	IPC_END_LOG,
	IPC_END_AUTH,
	IPC_END_RCPT,
	IPC_END_POST,
	IPC_END_COUNTS,
	IPC_ENDS
};

/* What facts_get asks for. */
enum ipc_facts_what { IPC_FACTS_ALL, IPC_FACTS_HEADER };

/* In post_begin.handles: the target has the fate of the one before it. */
#define IPC_HANDLE_JOINED 0x80000000u

/* What a reader of an import asks for, and what it tells. */
enum ipc_reader_wants { IPC_PORT_FILE = 1, IPC_PORT_NAMES, IPC_PORT_TEMP };
enum ipc_reader_tells { IPC_PORT_LEFT = 1, IPC_PORT_NOTE, IPC_PORT_FAILED };

enum ipc_key_what { IPC_KEY_CHAIN = 1, IPC_KEY_PRIVATE = 2 };

/* Answers of authentication. */
enum ipc_auth_status {
	IPC_AUTH_OK,
	IPC_AUTH_BAD,      /* name or password; the client is not told which */
	IPC_AUTH_ROUTE,    /* the Router's answer; `text` says what */
	IPC_AUTH_NOMECH,   /* mechanism unknown or not possible for this account */
	IPC_AUTH_SYNTAX,   /* the mechanism's message is malformed */
	IPC_AUTH_NEEDTLS,  /* clear-text password on a link without TLS */
	IPC_AUTH_TRYLATER, /* a server of ours is away or busy */
	IPC_AUTH_CANCELLED,
	IPC_AUTH_DISABLED, /* account or service switched off */
	IPC_AUTH_LIMIT,    /* too many failed logins of this account: later again */
};

/* Answers of routing. */
enum ipc_route_status {
	IPC_ROUTE_OK,
	IPC_ROUTE_UNKNOWN,  /* no such user */
	IPC_ROUTE_NOTLOCAL, /* leads to another module than local delivery */
	IPC_ROUTE_SYNTAX,
	IPC_ROUTE_LOOP,
	IPC_ROUTE_DISABLED,
	IPC_ROUTE_TRYLATER,
	IPC_ROUTE_OVERQUOTA, /* over quota by policy: temporary for mail */
	IPC_ROUTE_REFUSED,   /* special name "error" and the like */
	IPC_ROUTE_DISCARD,   /* accepted and dropped ("null") */
	IPC_ROUTE_OFF,       /* the service is switched off for now: temporary for mail */
	IPC_ROUTE_BOUNCED,   /* mail: nobody has the name; taken if the sender can have a report */
};

/* What goes with a login: of the link, and what the account's settings want of it. */
enum ipc_login_flags {
	IPC_LOGIN_ENCRYPTED = 1 << 0,   /* asked: the link is encrypted */
	IPC_LOGIN_SECURE_ONLY = 1 << 1, /* answered: no clear-text password on a link that is not */
	IPC_LOGIN_NO_PASSWORD = 1 << 2, /* the account's own password does not open it */
	IPC_LOGIN_HIDE = 1 << 3,        /* unknown names look like wrong passwords */
	IPC_LOGIN_SYS = 1 << 4,         /* the system's password opens it, too */
	IPC_LOGIN_EXT = 1 << 5,         /* and what the external helper says */
	IPC_LOGIN_MAKE = 1 << 6,        /* unknown, and the external helper may know it */
};

/* Who knows passwords besides authd. */
enum ipc_source { IPC_SOURCE_SYS = 1, IPC_SOURCE_EXT };

enum ipc_source_status {
	IPC_SOURCE_YES,
	IPC_SOURCE_NO,
	IPC_SOURCE_UNKNOWN,
	IPC_SOURCE_LATER,
};

/* Answers of the store. */
enum ipc_store_status {
	IPC_ST_OK,
	IPC_ST_NOTFOUND,
	IPC_ST_DENIED,
	IPC_ST_EXISTS,
	IPC_ST_OVERQUOTA,
	IPC_ST_FULL,     /* disk or map full: temporary */
	IPC_ST_TRYLATER, /* unknown outcome, shard reopening, I/O error: temporary */
	IPC_ST_CORRUPT,  /* this item is damaged */
	IPC_ST_TOOBIG,
	IPC_ST_BAD,    /* the request makes no sense */
	IPC_ST_LIMIT,  /* too many mailboxes, keywords, messages in one request */
	IPC_ST_CANNOT, /* against the rules: a name that cannot be, INBOX deleted, a directory
			  opened */
};

/* Answers to an administrator. */
enum ipc_dir_status {
	IPC_DIR_OK,
	IPC_DIR_NOTFOUND,
	IPC_DIR_EXISTS,
	IPC_DIR_DENIED,
	IPC_DIR_BAD,
	IPC_DIR_TRYLATER,
};

enum ipc_right_bit {
#define RIGHT(id, name, level, sentence) IPC_RIGHT_BIT_##id,
#include "common/ipc/rights.def"
	IPC_RIGHTS
};

enum ipc_right {
	IPC_RIGHT_NONE = 0,
#define RIGHT(id, name, level, sentence) IPC_RIGHT_##id = 1 << IPC_RIGHT_BIT_##id,
#include "common/ipc/rights.def"
};

/* What authd and stored ask routerd about an administrator that is an account: may he do it to that
 * one? */
enum ipc_may {
	IPC_MAY_SET_PASSWORD = 1,
	IPC_MAY_CHECK_PASSWORD,
	IPC_MAY_SEE_SESSIONS,
	IPC_MAY_END_SESSIONS,
	IPC_MAY_SEE_FIGURES,
	IPC_MAY_RESTORE,
	IPC_MAY_IMPERSONATE,
	IPC_MAY_PURGE,       /* deleted mail, and hold it */
	IPC_MAY_UPKEEP,      /* of the server alone */
	IPC_MAY_MAILBOXES,   /* open them, as if they were his own */
	IPC_MAY_HAVE_SECRET, /* nobody asks (0): is the target there, and stays? */
};

/* What upkeep_ask asks for. */
enum ipc_upkeep {
	IPC_UPKEEP_STATE = 1,
	IPC_UPKEEP_DAMAGED, /* what the last scrub found */
	IPC_UPKEEP_COMPACT,
	IPC_UPKEEP_SCRUB,
};

enum ipc_mbox_flags { IPC_MBOX_READONLY = 1 << 0, IPC_MBOX_EVENTS = 1 << 1 };

enum ipc_msg_flags {
	IPC_FLAG_SEEN = 1 << 0,
	IPC_FLAG_ANSWERED = 1 << 1,
	IPC_FLAG_FLAGGED = 1 << 2,
	IPC_FLAG_DELETED = 1 << 3,
	IPC_FLAG_DRAFT = 1 << 4,
	IPC_FLAG_RECENT =
	    1 << 5, /* in events of new messages only: this view is the first to know */
};

/* What a name of a mailbox is. */
enum ipc_attrs {
	IPC_ATTR_NOSELECT = 1 << 0,    /* a directory only */
	IPC_ATTR_NONEXISTENT = 1 << 1, /* only a subscription */
	IPC_ATTR_SUBSCRIBED = 1 << 2,
	/* RFC 6154 */
	IPC_ATTR_ALL = 1 << 8,
	IPC_ATTR_ARCHIVE = 1 << 9,
	IPC_ATTR_DRAFTS = 1 << 10,
	IPC_ATTR_FLAGGED = 1 << 11,
	IPC_ATTR_JUNK = 1 << 12,
	IPC_ATTR_SENT = 1 << 13,
	IPC_ATTR_TRASH = 1 << 14,
	IPC_ATTR_SPECIAL = 0x7f00,
};

enum ipc_status_want { IPC_STATUS_RECENT = 1 << 0, IPC_STATUS_DELETED = 1 << 1 };

/* Rows of messages and of events, in one packet with their sets of keywords. */
enum { IPC_ROWS_BYTES_MAX = 56000, IPC_SETS_BYTES_MAX = 8192 };

/* Numbers by which stored finds a message's thread, u64 each (common/mail/threadid.h). */
enum { IPC_THREAD_NUMBERS = 6 };

enum { IPC_ROW_BYTES = 64, IPC_EVENT_BYTES = 32, IPC_KEYWORDS_MAX = 4096 };

enum { IPC_LOST_BYTES = 40 };

/* What is asked about messages that were expunged. */
enum ipc_lost_what {
	IPC_LOST_LIST = 1,
	IPC_LOST_COUNT,
	IPC_LOST_RESTORE,
	IPC_LOST_PURGE,   /* what was expunged before `until` goes for good */
	IPC_LOST_HOLD,    /* nothing is purged */
	IPC_LOST_RELEASE, /* any more */
};

enum ipc_quota_kind { IPC_QUOTA_OCTETS, IPC_QUOTA_MESSAGES };

enum ipc_flags_op { IPC_FLAGS_SET, IPC_FLAGS_ADD, IPC_FLAGS_REMOVE };

enum ipc_event_what { IPC_EV_NEW = 1, IPC_EV_FLAGS = 2, IPC_EV_EXPUNGED = 3 };

/* Why a session ends. */
enum ipc_bye {
	IPC_BYE_STOP = 1,
	IPC_BYE_KICKED,
	IPC_BYE_IDENTITY,
	IPC_BYE_STORE,
	IPC_BYE_PROTOCOL
};

enum ipc_type {
	IPC_NONE,
#define MSG(name, channel, direction, when, fds) IPC_##name,
#include "common/ipc/schema.def"
	IPC_TYPES
};

#define IPC_CTYPE_U32   uint32_t
#define IPC_CTYPE_U64   uint64_t
#define IPC_CTYPE_I64   int64_t
#define IPC_CTYPE_BYTES struct slice
#define IPC_CTYPE_TEXT  struct slice

/* struct ipc_hello { struct slice schema; uint32_t role; ... } and so on. */
#define MSG(name, channel, direction, when, fds) struct ipc_##name {
#define FIELD(name, field, kind, max)            IPC_CTYPE_##kind field;
#define END(name)         \
	char ipc_end_[0]; \
	}                 \
	;
#include "common/ipc/schema.def"

union ipc_any {
#define MSG(name, channel, direction, when, fds) struct ipc_##name name;
#include "common/ipc/schema.def"
};
