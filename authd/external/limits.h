/* limits - what a helper may cost us, and what we ask of it. */
#pragma once

enum {
	LINE_MAX_BYTES = 4096,      /* of a helper's line, without its end */
	ASK_MAX_BYTES = 8192,       /* of ours: a password and a name, percent-encoded */
	NAME_BYTES = 400,           /* of an account */
	PASSWORD_BYTES = 1024,      /* a longer one is wrong */
	REAL_NAME_BYTES = 200,      /* setting RealName */
	QUESTIONS_MAX = 64,         /* under way at one helper */
	QUESTIONS_PER_NAME_MAX = 8, /* of these for one name: the others are for others */
	ANSWER_WAIT_MS = 20000,
	RETRY_FIRST_MS = 50, /* after a helper that is not there, doubled ... */
	RETRY_MAX_MS = 5000, /* ... up to this */
};
