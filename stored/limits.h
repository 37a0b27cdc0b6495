/* Limits of stored; docs/store.md says what they mean to the other processes. */
#pragma once

#include <stdint.h>

enum {
	/* a connection's post channel */
	POST_TARGETS_MAX = 4096,     /* accounts that one connection may post to */
	POST_ACTIVE_MAX = 16,        /* messages under way on one channel */
	POST_CREDIT_STEP = 64 << 10, /* credit is given back in pieces of at least this */
	POST_UNATTACHED_S = 300,     /* targets of a connection that never came are forgotten */
	POST_UNATTACHED_MAX = 20000, /* connections with targets and without a channel */
	POST_CONNS_MAX = 40000,      /* all of them: descriptors are left for sessions */
	/* a session */
	SESSION_HANDLES_MAX = 64,           /* mailboxes open at once */
	SESSION_REQUESTS_MAX = 1024,        /* unanswered requests */
	SESSION_CHANGE_BYTES_MAX = 1 << 20, /* uid lists of requests that wait */
	SESSION_QUEUE_HIGH = 256 << 10,     /* unsent bytes at which answers wait for the reader */
	FEED_OWN_MAX = 256, /* changes of its own that a slow reader is told of as such */
	SESSION_PUMP_NS =
	    20 * 1000 * 1000, /* of work on one session's questions until others have a turn */
	SESSION_BAD_MAX = 32, /* senseless requests until the session ends */
	SESSIONS_PER_ACCOUNT_MAX = 1000,
	SESSION_GUESTS_MAX = 32,        /* accounts of others that it uses */
	SESSION_STASH_MAX = 4 << 20,    /* answers that wait for a slow reader's events */
	APPEND_MSGS_MAX = 1000,         /* messages of one append */
	APPEND_BUFFERED_MAX = 16 << 20, /* their bytes in the engine's memory */
	APPEND_FACTS_MAX = 4 << 20,     /* their facts that are kept */
	COPY_MSGS_MAX = 2000000,        /* messages of one copy: 112 bytes each meanwhile */
	COPY_PORTION = 4096,            /* messages of a move's batch, or of a large copy's */
	COPY_CROSSES = 3072,            /* of a move's into another shard */
	COPY_WHOLE = 16384,             /* a copy of more than these goes in portions */
	COPY_BODIES_MAX = 16 << 20,     /* bytes of bodies that go to another shard in one batch */
	COPY_KEYWORDS_MAX = 4 << 20,    /* bytes of keywords beyond the bits in one batch */
	COPY_FACTS_MAX = 12 << 20,      /* bytes of facts in one batch */
	COPY_LENDS = 64,                /* a copy of so many messages shares facts and headers */
	ACCOUNT_DEAD_MAX = 400000,      /* expunged messages that views of an account still see */
	SESSION_DEAD_MAX = 400,         /* of these, for one session, when there are more */
	LOST_MBOXES_MAX = 1000,         /* deleted mailboxes of an account that can be restored */
	LOST_ROWS_MAX = 10000,          /* messages in one list of what can be restored */
	LOST_DEAD_MAX = 200000,         /* a purge waits while views still see more */
	LOST_PURGE_RUNS = 1024,         /* runs in one batch of a purge */
	LOST_SWEEP_ACCOUNTS = 20,       /* looked at in one tick for what is too old */
	LOST_SWEEP_S = 3600,            /* from one such round to the next, at least */
	RESTORES_PER_DAY = 1000,        /* where routerd does not say */
	POLICY_AGE_MS = 60000,          /* after which routerd is asked again */
	GONE_KEEP_MAX = 50000,          /* rows of history after which it is cut */
	GONE_ROWS_MAX = 1 << 18, /* of the history in one answer; beyond, all that is not there */
	/* the store */
	STORE_SHARDS_MAX = 16,
	STORE_DISPATCH_MAX = 256, /* engine answers handled in one turn of the loop */
	STORE_TICK_MS = 1000,
	STORE_IDLE_ACCOUNTS_MAX = 20000, /* accounts kept in memory without a user */
	STORE_IDLE_ROWS_MAX = 2 << 20,   /* and messages in their indexes */
	STORE_ID_BLOCK = 1 << 20,        /* ids reserved at once */
	ACCOUNT_MBOXES_MAX = 20000,
	MBOX_NAME_MAX = 1024,
	TREE_LEVELS_MAX = 64,
	TREE_OPS_MAX = 1024,       /* changes of one account's names that wait */
	SHARD_REST_MS = 60000,     /* one that refused an account is asked again */
	INTENT_RETRY_MS = 60000,   /* from one try to carry out what was left to the next */
	LOAD_PAGES_MAX = 4,        /* scans of an index being loaded in one turn of the loop */
	LOAD_PAUSE_MS = 2,         /* from what is told early to the rest, if nobody asks */
	EARLY_MESSAGES_MIN = 2048, /* a smaller mailbox is loaded as soon as looked at */
	EARLY_GONE_MAX = 4096,     /* rows of history that are read for it */
	EARLY_WINDOW_MIN = 512,    /* newest messages in which the first unseen one is looked for */
	EARLY_WINDOW_MAX = 8192,
	CHANGE_ROWS_MAX = 16384, /* messages in one batch of a flag change or an expunge */
	/* an account's index of threads */
	THREADS_ROWS = 16384,     /* of a generation; there are two */
	THREADS_BATCH = 1024,     /* written at once */
	THREADS_FLUSH_MS = 100,   /* what no delivery carried waits for so long */
	THREADS_NOTES_MAX = 4096, /* that wait for it; of more nothing is kept */
	/* facts by parsed */
	PARSE_QUEUE_MAX = 4096,
	PARSE_TRIES_MAX = 2,
	PARSE_HEADERS_MAX = 32,         /* to be kept from now on, at once; */
	PARSE_HEADERS_BYTES = 8 << 20,  /* of messages with so many bytes, or one */
	PARSE_BAD_MAX = 1024,           /* messages without facts that are remembered */
	PARSE_WINDOW_BYTES = 512 << 10, /* unsent bytes towards parsed */
	/* administrators */
	ADMIN_CHANNELS_MAX = 64,
	ADMIN_QUEUE_MAX = 32 << 20, /* a list of all sessions */
};

#define STORE_BODY_MAX ((uint64_t)2 << 30)
#define PARSE_BODY_MAX ((uint64_t)64 << 20)
#define STORE_UID_MAX  0xfffffff0u
