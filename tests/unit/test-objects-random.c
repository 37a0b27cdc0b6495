/*
 * Random changes of all kinds of objects against a plain model, while the disk is full now and then
 * and peers come and go: what was answered OK is so, what was answered "try later" is as before or
 * as asked for, nothing else changes, and a restart changes no answer.
 */
#include "tests/unit/routerd-rig.h"

#include "tests/unit/objects-model.h"

#include <stdio.h>
#include <stdlib.h>

enum { ROUNDS = 120, CHANGES_A_ROUND = 50, NAMES = 12 };

static struct {
	struct model now;
	unsigned long long seed, last_id;
	bool faults, stored, authd; /* there are some; they are there */
	unsigned done, put_off, refused;
} w;

static unsigned rnd(unsigned n)
{
	w.seed = w.seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(w.seed >> 33) % n;
}

static void name_made(char out[24])
{
	unsigned n = rnd(NAMES + 1);

	if (n == NAMES)
		snprintf(out, 24, "postmaster");
	else
		snprintf(out, 24, "n%u", n);
}

/* name@domain, maybe of a domain that is not there. */
static void name_full(int domain, const char *name, char out[64])
{
	snprintf(out, 64, "%s@%s", name, w.now.domains[domain].name);
}

/* ---- what the directory says ---- */

static void put_account_or_group(struct buf *out, const char *row, const char *domain)
{
	char kind[16], name[32], full[80];

	assert_int_equal(sscanf(row, "%15s %31s", kind, name), 2);
	snprintf(full, sizeof(full), "%s@%s", name, domain);
	if (strcmp(kind, "account") == 0)
		assert_int_equal(ask(account_info, full), IPC_DIR_OK);
	else if (strcmp(kind, "group") == 0)
		assert_int_equal(ask(group_get, full), IPC_DIR_OK);
	else
		return;
	buf_puts(out, buf_cstr(&rig.data));
	buf_putc(out, '\n');
}

/* All pages of a domain, three rows each. */
static void put_pages(struct buf *out, const char *domain)
{
	char cookie[32] = "", page[4096], *rest, *item;

	do {
		assert_int_equal(ask(objects, domain, "", "3", cookie), IPC_DIR_OK);
		snprintf(page, sizeof(page), "%s", buf_cstr(&rig.data));
		rest = page;
		snprintf(cookie, sizeof(cookie), "%s", strsep(&rest, "|"));
		for (int i = 0; (item = strsep(&rest, "|")) != NULL; i++) {
			if (i < 5) /* numbers */
				continue;
			buf_printf(out, "%s\n", item);
			put_account_or_group(out, item, domain);
		}
	} while (cookie[0] != '\0');
}

static void put_actual(struct buf *out)
{
	for (int d = 0; d < MODEL_DOMAINS; d++) {
		if (!w.now.domains[d].there)
			continue;
		assert_int_equal(ask(domain_info, w.now.domains[d].name), IPC_DIR_OK);
		buf_puts(out, strchr(buf_cstr(&rig.data), '|') + 1);
		buf_putc(out, '\n');
		put_pages(out, w.now.domains[d].name);
	}
}

/* Where every name leads, for mail and for logins. */
static void put_routes(struct buf *out)
{
	static const char *const modes[] = { "mail", "access" };
	char name[24], full[64];

	for (int d = 0; d < MODEL_DOMAINS; d++) {
		for (int i = 0; i < NAMES * 2; i++) {
			snprintf(name, sizeof(name), "n%d", i / 2);
			name_full(d, name, full);
			assert_int_equal(ask(route, full, modes[i % 2]), IPC_DIR_OK);
			buf_printf(out, "%s %s: %s\n", full, modes[i % 2], buf_cstr(&rig.data));
		}
	}
}

static void compare(void)
{
	struct buf model = BUF_INIT(1 << 20), actual = BUF_INIT(1 << 20);

	model_put(&w.now, &model);
	put_actual(&actual);
	assert_string_equal(buf_cstr(&actual), buf_cstr(&model));
	buf_fini(&model);
	buf_fini(&actual);
}

/* ---- one change ---- */

/* The answer to what the model would allow: true when it is done. */
static bool answered(uint32_t status, bool allowed, uint32_t refusal)
{
	if (!allowed) {
		/* Whoever is being changed is not looked at further. */
		if (status != IPC_DIR_TRYLATER)
			assert_int_equal(status, refusal);
		w.refused++;
		return false;
	}
	if (status == IPC_DIR_TRYLATER) {
		assert_true(w.faults || !w.stored || !w.authd);
		w.put_off++;
		return false;
	}
	assert_int_equal(status, IPC_DIR_OK);
	w.done++;
	return true;
}

/* What an account that was put off is now. */
static int state_of(const char *full)
{
	if (ask(account_info, full) == IPC_DIR_NOTFOUND)
		return -1;
	return strstr(buf_cstr(&rig.data), "|creating|") != NULL   ? M_CREATING
	       : strstr(buf_cstr(&rig.data), "|deleting|") != NULL ? M_DELETING
								   : M_ACTIVE;
}

static bool usable(int o, enum model_kind kind)
{
	return o >= 0 && w.now.objects[o].kind == kind && w.now.objects[o].state == M_ACTIVE;
}

static void note_id(int o, const char *full)
{
	if (ask(account_info, full) != IPC_DIR_OK)
		fail_msg("%s is not there", full);
	w.now.objects[o].id = strtoull(buf_cstr(&rig.data), NULL, 10);
	assert_true(w.now.objects[o].id > w.last_id);
	w.last_id = w.now.objects[o].id;
}

static void create_account(int d, const char *name, const char *full)
{
	bool there = w.now.domains[d].there, free_name = model_find(&w.now, d, name) < 0;
	bool made = answered(ask(account_create, full), there && free_name,
	    there ? IPC_DIR_EXISTS : IPC_DIR_NOTFOUND);
	int state = M_ACTIVE;

	if (!there || !free_name)
		return;
	if (!made)
		state = state_of(full);
	if (state < 0)
		return;
	w.now.objects[model_add(&w.now, M_ACCOUNT, d, name)].state = (enum model_state)state;
	note_id(model_find(&w.now, d, name), full);
}

static void delete_account(int d, const char *name, const char *full)
{
	int o = model_find(&w.now, d, name);
	bool stays;

	if (o >= 0 && w.now.objects[o].kind == M_ALIAS)
		return; /* its account would go */
	stays =
	    o >= 0 && (model_owns_lists(&w.now, o) || (d == 0 && strcmp(name, "postmaster") == 0));
	if (answered(ask(account_delete, full), usable(o, M_ACCOUNT) && !stays,
		stays ? IPC_DIR_BAD : IPC_DIR_NOTFOUND)) {
		model_remove(&w.now, o);
	} else if (usable(o, M_ACCOUNT) && !stays) {
		int state = state_of(full);

		assert_true(state >= 0);
		w.now.objects[o].state = (enum model_state)state;
	}
}

/* Another kind of object of this name, or the end of one. */
static void other_object(int d, const char *name, const char *full)
{
	int o = model_find(&w.now, d, name), owner = model_find(&w.now, d, "n1");
	bool there = w.now.domains[d].there;
	uint32_t refusal = there ? IPC_DIR_EXISTS : IPC_DIR_NOTFOUND;
	char owner_name[64];

	switch (rnd(6)) {
	case 0:
		if (answered(
			ask(forwarder_create, full, "n2@remote.example"), there && o < 0, refusal))
			strcpy(w.now.objects[model_add(&w.now, M_FORWARDER, d, name)].address,
			    "n2@remote.example");
		break;
	case 1:
		if (answered(ask(group_create, full), there && o < 0, refusal))
			model_add(&w.now, M_GROUP, d, name);
		break;
	case 2:
		if (!usable(owner, M_ACCOUNT))
			break;
		name_full(d, "n1", owner_name);
		if (answered(ask(list_create, full, owner_name), there && o < 0, refusal)) {
			o = model_add(&w.now, M_LIST, d, name);
			w.now.objects[o].owner = owner;
		}
		break;
	case 3:
		if (answered(ask(forwarder_delete, full), usable(o, M_FORWARDER), IPC_DIR_NOTFOUND))
			model_remove(&w.now, o);
		break;
	case 4:
		if (answered(ask(group_delete, full), usable(o, M_GROUP), IPC_DIR_NOTFOUND))
			model_remove(&w.now, o);
		break;
	default:
		if (answered(ask(list_delete, full), usable(o, M_LIST), IPC_DIR_NOTFOUND))
			model_remove(&w.now, o);
		break;
	}
}

static void set_group(int d, const char *name, const char *full)
{
	const char *args[3 + 2 * MODEL_MEMBERS + 1] = { full, "EmailDisabled",
		rnd(2) ? "YES" : "no" };
	char members[MODEL_MEMBERS][64];
	int o = model_find(&w.now, d, name), places[MODEL_MEMBERS], n = 0;

	for (int i = 0; i < MODEL_MEMBERS; i++) {
		char member[24];
		int at, md = (int)rnd(MODEL_DOMAINS);

		name_made(member);
		at = model_find(&w.now, md, member);
		if (!usable(at, M_ACCOUNT))
			continue;
		name_full(md, member, members[n]);
		args[3 + 2 * n] = "Members";
		args[4 + 2 * n] = members[n];
		places[n++] = at;
	}
	if (!answered(rig_ask(VERB_group_set, args), usable(o, M_GROUP), IPC_DIR_NOTFOUND))
		return;
	w.now.objects[o].closed = args[2][0] == 'Y';
	w.now.objects[o].n = n;
	memcpy(w.now.objects[o].members, places, sizeof(places));
}

static void rename_any(int d, const char *name, const char *full)
{
	static const uint32_t verbs[] = { [M_ACCOUNT] = VERB_account_rename,
		[M_FORWARDER] = VERB_forwarder_rename,
		[M_GROUP] = VERB_group_rename,
		[M_LIST] = VERB_list_rename };
	int o = model_find(&w.now, d, name), to = (int)rnd(MODEL_DOMAINS);
	char new_name[24], new_full[64];
	bool there = w.now.domains[to].there, free_name, stays;

	if (o < 0 || w.now.objects[o].kind == M_ALIAS ||
	    (d == 0 && strcmp(name, "postmaster") == 0))
		return;
	name_made(new_name);
	name_full(to, new_name, new_full);
	free_name = there && model_find(&w.now, to, new_name) < 0;
	stays = to != d && (w.now.objects[o].kind == M_LIST || model_owns_lists(&w.now, o));
	if (!answered(rig_ask(verbs[w.now.objects[o].kind],
			  (const char *const[]){ full, new_full, NULL }),
		usable(o, w.now.objects[o].kind) && free_name && !stays,
		free_name ? IPC_DIR_BAD
		: there   ? IPC_DIR_EXISTS
			  : IPC_DIR_NOTFOUND))
		return;
	if (to != d)
		for (int i = 0; i < MODEL_OBJECTS; i++)
			if (w.now.objects[i].kind == M_ALIAS && w.now.objects[i].owner == o)
				model_remove(&w.now, i);
	w.now.objects[o].domain = to;
	strcpy(w.now.objects[o].name, new_name);
}

/* One alias in place of all others, or none. */
static void set_aliases(int d, const char *name, const char *full)
{
	int o = model_find(&w.now, d, name), taken;
	char alias[24];

	if (o >= 0 && w.now.objects[o].kind == M_ALIAS)
		return;
	name_made(alias);
	taken = model_find(&w.now, d, alias);
	if (taken >= 0 && w.now.objects[taken].kind == M_ALIAS && w.now.objects[taken].owner == o)
		taken = -1;
	if (!answered(ask(account_set_aliases, full, alias), usable(o, M_ACCOUNT) && taken < 0,
		usable(o, M_ACCOUNT) ? IPC_DIR_EXISTS : IPC_DIR_NOTFOUND))
		return;
	for (int i = 0; i < MODEL_OBJECTS; i++)
		if (w.now.objects[i].kind == M_ALIAS && w.now.objects[i].owner == o)
			model_remove(&w.now, i);
	w.now.objects[model_add(&w.now, M_ALIAS, d, alias)].owner = o;
}

static void suspend_account(int d, const char *name, const char *full)
{
	int o = model_find(&w.now, d, name);
	bool yes = rnd(2) != 0;

	if (o >= 0 &&
	    (w.now.objects[o].kind == M_ALIAS || (d == 0 && strcmp(name, "postmaster") == 0)))
		return;
	if (answered(yes ? ask(settings_update, "account", full, "Suspended", "YES")
			 : ask(settings_update, "account", full, "Suspended", "NO"),
		usable(o, M_ACCOUNT), IPC_DIR_NOTFOUND))
		w.now.objects[o].suspended = yes;
}

static void change_domain(int d)
{
	char name[32];
	bool there = w.now.domains[d].there, empty = true, yes = rnd(2) != 0;

	snprintf(name, sizeof(name), "%c%d.example", (char)('a' + rnd(3)), d);
	for (int i = 0; i < MODEL_OBJECTS; i++)
		empty &= w.now.objects[i].kind == M_NONE || w.now.objects[i].domain != d;
	switch (rnd(3)) {
	case 0:
		if (there && answered(ask(domain_rename, w.now.domains[d].name, name), true, 0))
			strcpy(w.now.domains[d].name, name);
		break;
	case 1:
		if (!there || d == 0)
			break;
		if (answered(yes ? ask(domain_suspend, w.now.domains[d].name)
				 : ask(domain_resume, w.now.domains[d].name),
			true, 0))
			w.now.domains[d].suspended = yes;
		break;
	default:
		if (!there) {
			strcpy(w.now.domains[d].name, name);
			w.now.domains[d].suspended = false;
			w.now.domains[d].there = answered(ask(domain_create, name), true, 0);
		} else if (answered(ask(domain_delete, w.now.domains[d].name), d != 0 && empty,
			       IPC_DIR_BAD)) {
			w.now.domains[d].there = false;
		}
		break;
	}
}

static void change(void)
{
	static void (*const changes[])(int, const char *, const char *) = { create_account,
		create_account, create_account, delete_account, other_object, other_object,
		set_group, rename_any, rename_any, rename_any, set_aliases, suspend_account };
	unsigned which = rnd(sizeof(changes) / sizeof(changes[0]) + 1);
	int d = (int)rnd(MODEL_DOMAINS);
	char name[24], full[64];

	name_made(name);
	name_full(d, name, full);
	if (which < sizeof(changes) / sizeof(changes[0]))
		changes[which](d, name, full);
	else
		change_domain(d);
}

/* ---- what goes wrong meanwhile ---- */

static void trouble(void)
{
	w.faults = rnd(3) == 0;
	assert_int_equal(engine_faults_set(rig.engine, &(struct engine_faults){ .seed = w.seed,
							   .full = w.faults ? 1 + rnd(3) : 0 }),
	    0);
	if (w.stored && rnd(4) == 0) {
		rig_lose_stored();
		w.stored = false;
	}
	if (w.authd && rnd(4) == 0) {
		rig_lose_authd();
		w.authd = false;
	}
}

/* All is well again: what was put off half way is finished. */
static void recover(void)
{
	assert_int_equal(engine_faults_set(rig.engine, &(struct engine_faults){ 0 }), 0);
	rig_lose_stored();
	rig_lose_authd();
	rig_connect_stored();
	rig_connect_authd();
	rig_spin();
	w.faults = false;
	w.stored = w.authd = true;
	for (int i = 0; i < MODEL_OBJECTS; i++) {
		struct model_object *o = &w.now.objects[i];

		if (o->kind != M_ACCOUNT)
			continue;
		if (o->state == M_DELETING)
			model_remove(&w.now, i);
		else
			o->state = M_ACTIVE;
	}
}

static void rounds(unsigned long long seed)
{
	struct buf before = BUF_INIT(1 << 20), after = BUF_INIT(1 << 20);

	memset(&w, 0, sizeof(w));
	w.seed = seed;
	w.stored = w.authd = true;
	for (int d = 0; d < MODEL_DOMAINS; d++)
		snprintf(w.now.domains[d].name, sizeof(w.now.domains[d].name), "a%d.example", d);
	strcpy(w.now.domains[0].name, "company.com");
	w.now.domains[0].there = true;
	note_id(model_add(&w.now, M_ACCOUNT, 0, "postmaster"), "postmaster");
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < CHANGES_A_ROUND; i++) {
			if (i % 10 == 9)
				trouble();
			change();
		}
		recover();
		compare();
		buf_reset(&before);
		put_routes(&before);
		rig_restart();
		compare();
		buf_reset(&after);
		put_routes(&after);
		assert_string_equal(buf_cstr(&after), buf_cstr(&before));
	}
	printf("# seed %llu: %u changes done, %u put off, %u refused\n", seed, w.done, w.put_off,
	    w.refused);
	assert_true(w.done > 100 && w.put_off > 100 && w.refused > 100);
	buf_fini(&before);
	buf_fini(&after);
}

static void the_directory_is_as_the_model(void **state)
{
	rounds(1);
}

static void another_run(void **state)
{
	rounds(20260404);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    the_directory_is_as_the_model, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(another_run, rig_setup, rig_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
