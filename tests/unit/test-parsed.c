/* parsed: the core, the relay with readers of its own choice, and the program as master starts it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/ipc/chan.h"
#include "stored/parsed/parse_core.h"
#include "stored/parsed/reader.h"
#include "stored/parsed/relay.h"

#include <event2/event.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MESSAGE "From: a@b.example\r\nSubject: Re: hello\r\n\r\nbody\r\n"

/* ---- the core
 * ------------------------------------------------------------------------------------- */

static void core_wants_the_announced_size(void **state)
{
	struct parse_core c;
	struct buf out = BUF_INIT(FACTS_MAX), header = BUF_INIT(1 + FACTS_HEADER_MAX);
	struct slice m = SLICE(MESSAGE), kept;
	struct facts_view v;

	parse_core_init(&c);
	assert_int_equal(parse_core_begin(&c, 1, m.n), 0);
	assert_int_equal(parse_core_begin(&c, 1, m.n), PARSE_UNKNOWN);
	assert_int_equal(parse_core_data(&c, 2, m), PARSE_UNKNOWN);
	assert_int_equal(parse_core_data(&c, 1, slice_part(m, 0, 7)), 0);
	assert_int_equal(parse_core_begin(&c, 2, m.n), 0);
	assert_int_equal(parse_core_data(&c, 1, slice_from(m, 7)), 0);
	assert_int_equal(parse_core_end(&c, 1, &out, &header), 0);
	assert_int_equal(facts_view(buf_slice(&out), m.n, &v), 0);
	assert_true(slice_eq(v.key[FACTS_BASE_SUBJECT], SLICE("hello")));
	assert_int_equal(facts_header(buf_slice(&header), m.n, &kept), 0);
	assert_true(slice_eq(kept, slice_part(m, 0, v.body_start)));
	assert_int_equal(parse_core_end(&c, 1, &out, &header), PARSE_UNKNOWN);
	assert_int_equal(parse_core_end(&c, 2, &out, &header), PARSE_SIZE);
	assert_int_equal(parse_core_begin(&c, 3, 2), 0);
	assert_int_equal(parse_core_data(&c, 3, m), PARSE_SIZE);
	assert_int_equal(parse_core_end(&c, 3, &out, &header), PARSE_UNKNOWN);
	for (uint32_t i = 0; i < PARSED_JOBS_MAX; i++)
		assert_int_equal(parse_core_begin(&c, i, 0), 0);
	assert_int_equal(parse_core_begin(&c, 100, 0), PARSE_FULL);
	parse_core_fini(&c);
	buf_fini(&out);
	buf_fini(&header);
}

/* ---- the relay
 * ---------------------------------------------------------------------------------------- */

struct stage {
	struct event_base *base;
	struct relay *relay;
	struct ipc_chan *stored; /* our end */
	unsigned spawned;
	enum { GOOD, DIES, LIES } kind; /* of the readers */
	struct ipc_chan *liar;
	unsigned answers;
	uint32_t seq, status;
	char subject[64];
};

static void on_liar(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	struct ipc_parse_facts lie = { .seq = 999, .status = IPC_ST_OK };

	if (type == IPC_parse_end)
		ipc_send(c, IPC_parse_facts, &lie, NULL);
}

static void on_nothing(void *arg, struct ipc_chan *c, enum ipc_gone why)
{
}

static int spawn(void *arg, int take_fd)
{
	static const struct ipc_ops ops = { .on_msg = on_liar, .on_gone = on_nothing };
	struct stage *s = arg;

	s->spawned++;
	if (s->kind == LIES) {
		s->liar = ipc_chan_new(s->base, take_fd, IPC_CH_PARSE, false, &ops, s);
		return 0;
	}
	fflush(NULL);
	if (s->kind == GOOD && fork() == 0) {
		/* Other readers' channels must not stay open in this one. */
		close_range(3, (unsigned)take_fd - 1, 0);
		close_range((unsigned)take_fd + 1, ~0u, 0);
		ipc_child_init();
		_exit(reader_run(event_base_new(), take_fd));
	}
	close(take_fd);
	return 0;
}

static void on_answer(
    void *arg, struct ipc_chan *c, enum ipc_type type, const union ipc_any *m, int *fds)
{
	struct stage *s = arg;
	struct facts_view v;

	assert_int_equal(type, IPC_parse_facts);
	s->answers++;
	s->seq = m->parse_facts.seq;
	s->status = m->parse_facts.status;
	if (s->status != IPC_ST_OK)
		return;
	assert_int_equal(facts_view(m->parse_facts.facts, strlen(MESSAGE), &v), 0);
	snprintf(s->subject, sizeof(s->subject), "%.*s", SLICE_FMT(v.key[FACTS_BASE_SUBJECT]));
}

static const struct ipc_ops stored_ops = { .on_msg = on_answer, .on_gone = on_nothing };

static void stage_init(struct stage *s)
{
	int fds[2];

	*s = (struct stage){ .base = event_base_new() };
	assert_int_equal(ipc_pair(fds), 0);
	s->relay = relay_new(s->base, spawn, NULL, s);
	relay_set_stored(s->relay,
	    ipc_chan_new(s->base, fds[0], IPC_CH_PARSE, false, &relay_stored_ops, s->relay));
	s->stored = ipc_chan_new(s->base, fds[1], IPC_CH_PARSE, true, &stored_ops, s);
}

static void stage_fini(struct stage *s)
{
	relay_free(&s->relay);
	ipc_chan_free(&s->stored);
	ipc_chan_free(&s->liar);
	event_base_free(s->base);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

static void ask(struct ipc_chan *c, uint32_t seq, uint64_t account)
{
	struct slice m = SLICE(MESSAGE);

	ipc_send(c, IPC_parse_begin, &(struct ipc_parse_begin){ seq, account, m.n }, NULL);
	ipc_send(c, IPC_parse_data, &(struct ipc_parse_data){ seq, slice_part(m, 0, 9) }, NULL);
	ipc_send(c, IPC_parse_data, &(struct ipc_parse_data){ seq, slice_from(m, 9) }, NULL);
	ipc_send(c, IPC_parse_end, &(struct ipc_parse_end){ seq }, NULL);
}

static void run_until(struct stage *s, unsigned answers)
{
	struct timeval tv = { .tv_sec = 10 };

	event_base_loopexit(s->base, &tv);
	while (s->answers < answers && !event_base_got_exit(s->base))
		event_base_loop(s->base, EVLOOP_ONCE);
	assert_int_equal(s->answers, answers);
}

static void relay_gives_each_account_its_reader(void **state)
{
	struct stage s;

	stage_init(&s);
	ask(s.stored, 1, 7);
	ask(s.stored, 2, 7);
	ask(s.stored, 3, 8);
	run_until(&s, 3);
	assert_int_equal(s.status, IPC_ST_OK);
	assert_string_equal(s.subject, "hello");
	assert_int_equal(s.spawned, 2);
	assert_int_equal(relay_readers(s.relay), 2);
	stage_fini(&s);
}

static void relay_answers_for_a_reader_that_died(void **state)
{
	struct stage s;

	stage_init(&s);
	s.kind = DIES;
	ask(s.stored, 1, 7);
	run_until(&s, 1);
	assert_int_equal(s.status, IPC_ST_CORRUPT);
	assert_int_equal(relay_readers(s.relay), 0);
	s.kind = GOOD;
	ask(s.stored, 2, 7);
	run_until(&s, 2);
	assert_int_equal(s.seq, 2);
	assert_int_equal(s.status, IPC_ST_OK);
	stage_fini(&s);
}

static void relay_ends_a_reader_that_answers_for_others(void **state)
{
	struct stage s;

	stage_init(&s);
	s.kind = LIES;
	ask(s.stored, 1, 7);
	run_until(&s, 1);
	assert_int_equal(s.seq, 1);
	assert_int_equal(s.status, IPC_ST_CORRUPT);
	stage_fini(&s);
}

static void relay_says_later_when_all_are_busy(void **state)
{
	struct stage s;
	uint32_t seq = 0;

	stage_init(&s);
	/* Begun and not ended: every place is taken, by accounts of their own. */
	for (unsigned i = 0; i < PARSED_CHILDREN_MAX; i++)
		ipc_send(s.stored, IPC_parse_begin, &(struct ipc_parse_begin){ ++seq, i, 5 }, NULL);
	ask(s.stored, 1000, 5000);
	run_until(&s, 1);
	assert_int_equal(s.seq, 1000);
	assert_int_equal(s.status, IPC_ST_TRYLATER);
	assert_int_equal(relay_readers(s.relay), PARSED_CHILDREN_MAX);
	stage_fini(&s);
}

/* ---- the program
 * ------------------------------------------------------------------------------------------ */

/* `plain`: as an ordinary user, who gets a part of the sandbox. */
static pid_t start_program(int control, int log, bool plain)
{
	pid_t pid = fork();

	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);
		/* By descriptor: an ordinary user may not enter the folder that root built in. */
		int program = open(TEST_PARSED, O_PATH);
		char *argv[] = { (char *)"parsed", NULL };

		if (plain && geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
			_exit(9);
		dup2(control, 30);
		dup2(log, 31);
		for (int fd = 0; fd < 3; fd++)
			dup2(null, fd);
		dup2(30, 3);
		dup2(31, 4);
		close_range(5, ~0u, CLOSE_RANGE_CLOEXEC);
		/* A sanitizer's search for leaks traces its own process, which the sandbox denies.
		 */
		setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
		fexecve(program, argv, environ);
		_exit(8);
	}
	return pid;
}

static void expect(struct ipc_chan *c, enum ipc_type want, union ipc_any *ret)
{
	int fds[IPC_FDS_MAX];
	enum ipc_type type = IPC_NONE;

	assert_int_equal(ipc_recv_wait(c, 20000, &type, ret, fds), 0);
	if (type == IPC_ctl_failed)
		fail_msg("parsed: %.*s", SLICE_FMT(ret->ctl_failed.why));
	assert_int_equal(type, want);
}

/* An empty root directory, as master passes it to a process that starts as root. */
static void send_empty_dir(struct ipc_chan *c, char *path)
{
	int fd;

	assert_non_null(mkdtemp(path));
	assert_int_equal(chmod(path, 0755), 0);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	ipc_send(c, IPC_ctl_dir, &(struct ipc_ctl_dir){ SLICE("empty") }, &fd);
}

static void run_program(bool plain)
{
	static const struct ipc_ops ops = { .on_gone = on_nothing };
	int control[2], log[2], parse[2], status;
	char path[] = "/tmp/gatehouse-parsed.XXXXXX";
	struct ipc_chan *c, *stored;
	union ipc_any m;
	struct facts_view v;
	pid_t pid;

	assert_int_equal(ipc_pair(control), 0);
	assert_int_equal(ipc_pair(log), 0);
	assert_int_equal(ipc_pair(parse), 0);
	pid = start_program(control[1], log[1], plain);
	assert_true(pid > 0);
	close(control[1]);
	c = ipc_chan_new(NULL, control[0], IPC_CH_CONTROL, true, &ops, NULL);
	assert_int_equal(ipc_chan_hello(c, IPC_ROLE_MASTER, 5, IPC_ROLE_PARSED, IPC_IN_SETUP), 0);
	ipc_send(c, IPC_ctl_conf, &(struct ipc_ctl_conf){ SLICE("") }, NULL);
	if (!plain)
		send_empty_dir(c, path);
	ipc_send(c, IPC_ctl_go, &(struct ipc_ctl_go){}, NULL);
	expect(c, IPC_ctl_ready, &m);
	if (!plain) {
		rmdir(path);
		assert_int_equal(m.ctl_ready.missing.n, 0);
	}
	ipc_chan_set_state(c, IPC_IN_RUN);
	ipc_send(c, IPC_ctl_peer, &(struct ipc_ctl_peer){ IPC_ROLE_STORED, IPC_CH_PARSE, 0, 0 },
	    &parse[1]);
	stored = ipc_chan_new(NULL, parse[0], IPC_CH_PARSE, true, &ops, NULL);
	assert_int_equal(
	    ipc_chan_hello(stored, IPC_ROLE_STORED, 6, IPC_ROLE_PARSED, IPC_IN_RUN), 0);
	for (uint32_t i = 1; i <= 20; i++) {
		ask(stored, i, i % 3);
		expect(stored, IPC_parse_facts, &m);
		assert_int_equal(m.parse_facts.seq, i);
		assert_int_equal(m.parse_facts.status, IPC_ST_OK);
		assert_int_equal(facts_view(m.parse_facts.facts, strlen(MESSAGE), &v), 0);
		assert_true(slice_eq(v.key[FACTS_BASE_SUBJECT], SLICE("hello")));
	}
	ipc_send(c, IPC_ctl_stop, &(struct ipc_ctl_stop){ 1000 }, NULL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	ipc_chan_free(&stored);
	ipc_chan_free(&c);
	close(log[0]);
	close(log[1]);
}

static void program_parses_as_an_ordinary_user(void **state)
{
	run_program(true);
}

/* Where the suite is installed and the test runs as root. */
static void program_parses_in_the_whole_sandbox(void **state)
{
	if (geteuid() != 0 || getpwnam("gatehouse-parsed") == NULL) {
		print_message("not root, or no user gatehouse-parsed\n");
		skip();
	}
	run_program(false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(core_wants_the_announced_size),
		cmocka_unit_test(relay_gives_each_account_its_reader),
		cmocka_unit_test(relay_answers_for_a_reader_that_died),
		cmocka_unit_test(relay_ends_a_reader_that_answers_for_others),
		cmocka_unit_test(relay_says_later_when_all_are_busy),
		cmocka_unit_test(program_parses_as_an_ordinary_user),
		cmocka_unit_test(program_parses_in_the_whole_sandbox),
	};

	signal(SIGPIPE, SIG_IGN);
	alarm(100);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
