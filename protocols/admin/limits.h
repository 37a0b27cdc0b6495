/* limits - what one administration connection may cost. */
#pragma once

enum {
	/* One command with its data: the Router's table as a string is the longest. Whoever logged
	 * in by the PWD port need not be an administrator. */
	ADMIN_LINE_MAX = 12 << 20,
	PWD_COMMAND_MAX = 1200 << 10,
	ADMIN_CHUNK =
	    32
	    << 10, /* what waits for its end is taken over from this on; less than FRONT_IN_MAX */
	ADMIN_WORDS_MAX = 16,
	IPC_ASK_MAX = 61440, /* arguments of one question to routerd: of dir_ask.args */
	ADMIN_PIPELINE_MAX =
	    256, /* commands under way at a time, where their order does not matter */
	ADMIN_ALIASES_MAX = 64,      /* of those, SetAccountAliases, whose names are compared */
	ADMIN_COMPARED_MAX = 64,     /* names in one of them; one with more is worked on alone */
	ADMIN_OUT_MAX = 16 << 20,    /* one reply; a listing of several hundred thousand names */
	ADMIN_MEM_MAX = 36 << 20,    /* what a command's parsed data may take */
	PWD_MEM_MAX = 4 << 20,       /* the same, of who logged in */
	CHECKED_PASSWORD_MIN = 8,    /* of a new password, where CHECK asks for a good one */
	IDENTITY_ADDRESSES_MAX = 32, /* in one From */

	/* ---- the PWD port ---- */
	PWD_LINE_MAX = 1024,       /* a command before the login, with its line end */
	PWD_AUTH_LINE_MAX = 12544, /* of AUTH: a mechanism's first response may come with it */
	PWD_NAME_MAX = 1000,       /* name or password of USER, PASS, NEWPASS */
	PWD_PIPELINE_MAX = 8,      /* as ADMIN_PIPELINE_MAX, for who logged in */
	PWD_LOGINS_MAX = 3,        /* failed logins on a connection */
	PWD_ERRORS_MAX = 20,       /* commands refused in a row before the login */
	PWD_FAIL_MS = 1000, /* before a failed login is answered, times the number of failures */
	PWD_LOGIN_MS = 180000,
};
