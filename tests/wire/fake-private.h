/* fake-private - what the driver's half and the servers' half of the fake share. */
#pragma once

#include "common/ipc/codec.h"
#include "tests/wire/fake.h"

enum { FAKE_MAIL_MAX = 4096, FAKE_HANDLES_MAX = 1100, FAKE_CHUNK = 1000 };

struct fake_msg {
	struct buf body;
	uint64_t size; /* as it is listed */
	uint32_t uid;
	bool gone;
};

struct fake_box {
	struct fake_msg *msgs;
	unsigned n;
};

struct fake_packet {
	struct fake_packet *next;
	enum front_peer from;
	size_t body_bytes; /* counts against the window */
	struct buf bytes;
};

struct fake {
	struct fake_conf conf;
	struct front_port port;
	struct front_facts facts;
	void *core;
	struct buf in, output;
	bool closed, not_reading, lost[FRONT_PEERS];
	uint32_t deadline_ms;
	size_t peak;
	struct fake_packet *head, **tail;
	struct fake_box box[FAKE_USERS + 1];

	/* servers */
	uint64_t account; /* whose rights an administrator's channels have; 0: all */
	unsigned refusals, step;
	struct buf typed; /* LOGIN's name */
	unsigned user;    /* of the session */
	int64_t window;
	int64_t post_window;
	uint32_t store_status;
	struct {
		char name[64];
		unsigned user;
		uint32_t status;
	} handles[FAKE_HANDLES_MAX];
	unsigned n_handles;
	struct buf post;
	uint32_t post_tag;
	uint32_t post_to[FAKE_HANDLES_MAX];
	unsigned n_post_to;
	bool post_open, post_together, sender_taken;
};

/* servers: a message of the core's. */
void fake_serve(struct fake *f, enum ipc_type type, const union ipc_any *m);
/* An administrator's channels; false: the message is none of theirs. */
void fake_admin_login(struct fake *f, struct slice name, struct slice data);
bool fake_admin_serve(struct fake *f, enum ipc_type type, const union ipc_any *m);
void fake_reply(struct fake *f, enum front_peer from, enum ipc_type type, const void *msg);
