/* limits - what one connection may cost authd. */
#pragma once

enum {
	ATTEMPTS_MAX = 3,         /* on one dialogue channel; one grant ends it, too */
	STARTS_MAX = 32,          /* on one dialogue channel, with those that do not count */
	DIALOGUES_MAX = 30000,    /* dialogue channels by one acceptor */
	WORKERS_MAX = 128,        /* dialogues with a worker at a time; more are told "try later" */
	WORKER_STEP_MS = 20000,   /* a worker's time for one answer */
	CLIENT_SAFE_MS = 2000,    /* a client that waits longer may lose its worker to another */
	DIALOGUE_STEP_MS = 60000, /* the client's time for one response */
	PEER_WAIT_MS = 8000,      /* routerd's and stored's time for an answer */
	MAKE_WAITERS_MAX = 200,   /* logins and mails that wait for one new account */
	MAKINGS_MAX = 256,        /* names that a helper is asked about at a time */
	MAKE_PER_S = 10,          /* questions about unknown names of one domain, in a second */
	MAKE_DOMAINS_MAX = 1000,  /* domains whose questions are counted */
	MAKE_FAIL_MAX = 10,       /* wrong passwords of an unknown name ... */
	MAKE_FAIL_S = 60,         /* ... in this time; then it is nobody's */
	SOURCE_WAIT_MS = 25000,   /* authd-external's: a helper's time, and some more */
	ADMIN_OPS_MAX = 20000,    /* requests of one administrator under way */
	MAY_OPS_MAX = 8,          /* of one who logged in with a password */
	NEW_WORKERS_MAX =
	    32, /* workers that hash new accounts' passwords; others wait for theirs */
	CHANGE_COUNTS = 1024, /* of changed passwords; accounts far apart share one */
	FAILURES_MAX = 20000, /* accounts with failed logins that are remembered */
	SECRET_STORED_MAX = 4096,
	SECRETS_TAGS_MAX = 8, /* tagged passwords of an account: each costs a wrong one a hash */
	SECRETS_TAG_BYTES = 32,
	SECRET_TAGGED_MAX = 1280,     /* what is stored for one of them */
	SECRETS_TAGGED_BYTES = 12288, /* of work_secret.tagged */
};
