/*
 * objects-model - what the directory must hold, told in the plainest way: arrays and searches.
 */
#pragma once

#include "common/base/buf.h"

enum { MODEL_DOMAINS = 4, MODEL_OBJECTS = 120, MODEL_MEMBERS = 4 };

enum model_kind { M_NONE, M_ACCOUNT, M_ALIAS, M_FORWARDER, M_GROUP, M_LIST };
enum model_state { M_ACTIVE, M_CREATING, M_DELETING };

struct model_object {
	enum model_kind kind;
	enum model_state state;
	int domain;
	char name[24];
	unsigned long long id; /* of an account */
	bool suspended;
	int owner; /* of an alias or list */
	char address[80];
	bool closed;                   /* group: EmailDisabled */
	int members[MODEL_MEMBERS], n; /* group: accounts, by place; -1: one that has gone */
};

struct model {
	struct {
		bool there, suspended;
		char name[32];
	} domains[MODEL_DOMAINS];
	struct model_object objects[MODEL_OBJECTS];
};

/* A place or -1. */
int model_find(const struct model *m, int domain, const char *name);
int model_add(struct model *m, enum model_kind kind, int domain, const char *name);
/* With its aliases; members of groups become -1. */
void model_remove(struct model *m, int object);
bool model_owns_lists(const struct model *m, int object);

void model_full_name(const struct model *m, const struct model_object *o, char out[64]);

/* What domain_info, objects, account_info and group_get must say, a line for each row. */
void model_put(const struct model *m, struct buf *out);
