/* limits - what one connection may cost authd. */
#pragma once

enum {
	ATTEMPTS_MAX = 3,         /* on one dialogue channel; one grant ends it, too */
	WORKERS_MAX = 128,        /* dialogues with a worker at a time; more are told "try later" */
	DIALOGUE_STEP_MS = 60000, /* the client's time for one response */
	PEER_WAIT_MS = 8000,      /* routerd's and stored's time for an answer */
	ADMIN_OPS_MAX = 20000,    /* requests of one administrator under way */
	SECRET_STORED_MAX = 4096,
};
