#pragma once
/*
 * pop - the first steps of a POP3 dialogue, shared by three kinds of load.
 *
 * Invariant: pop_login_line() answers POP_IN exactly once, after +OK to PASS.
 */
#include "load.h"

enum pop_stage { POP_GREETING, POP_USER, POP_PASS, POP_IN, POP_QUIT };
enum pop_answer { POP_GOES_ON, POP_LOGGED_IN, POP_REFUSED };

struct pop {
	struct conn *conn;
	enum pop_stage stage;
	int account;
	double began_s;
};

/* Takes one reply line of the login dialogue and sends the next command. */
enum pop_answer pop_login_line(
    struct pop *p, const struct load_opt *o, const uint8_t *line, size_t n);
