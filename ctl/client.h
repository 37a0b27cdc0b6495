/*
 * client - gatehousectl's end of the administration socket: lines out, replies in.
 *
 * Invariant: replies come in the order of the commands, one line each (the connection is in INLINE
 * mode), so that many commands may be on their way at a time.
 */
#pragma once

#include "common/data/data.h"

struct client {
	int fd;
	int passed; /* a descriptor that came with the reply handed out last, or -1; owned here */
	struct buf in;
	size_t used;      /* of `in`, by the line handed out last */
	struct arena mem; /* of the reply handed out last */
};

struct reply {
	unsigned code;           /* 200, 201, 501 */
	struct slice text;       /* words of 200 and 501 */
	const struct data *data; /* of 201 */
};

/* Connects and reads the greeting. 0, or 1 after having said on stderr what is wrong and what to
 * do. */
int client_open(struct client *c, const char *path);
void client_close(struct client *c);

/* Sends one line (without its end). 0, or 1 after a message. */
int client_send(struct client *c, struct slice line);
/* The next reply; it lives until the next call. 0, or 1 after a message. */
int client_recv(struct client *c, struct reply *ret);
/* Both. */
int client_ask(struct client *c, struct slice line, struct reply *ret);
