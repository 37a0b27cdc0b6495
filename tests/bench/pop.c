#include "pop.h"

#include <stdio.h>

enum pop_answer pop_login_line(
    struct pop *p, const struct load_opt *o, const uint8_t *line, size_t n)
{
	if (n < 3 || line[0] != '+') {
		fprintf(stderr, "login stage %d answered %.*s", (int)p->stage, (int)n,
		    (const char *)line);
		return POP_REFUSED;
	}
	switch (p->stage) {
	case POP_GREETING:
		conn_printf(p->conn, "USER %s%d%s\r\n", o->user_prefix, p->account, o->user_suffix);
		p->stage = POP_USER;
		return POP_GOES_ON;
	case POP_USER:
		conn_printf(p->conn, "PASS %s\r\n", o->password);
		p->stage = POP_PASS;
		return POP_GOES_ON;
	default:
		p->stage = POP_IN;
		return POP_LOGGED_IN;
	}
}
