/*
 * bind - makes listening sockets for the master, which under systemd has no network of its own.
 *
 * Holds:    0 a connection of the master; while it answers, one new socket.
 * May:      bind TCP ports, also those below 1024 (the one capability that its unit gives it).
 * May not:  everything else that systemd/gatehouse-bind@.service takes away: files, other users.
 * Trusts:   who may open its socket, which is root alone.  Distrusts: nobody else can reach it.
 * If taken: the intruder can listen on free ports of the machine.
 */
#include "master/bind/bind.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct stat st;
	int r;

	if (argc > 1 && strcmp(argv[1], "--version") == 0) {
		printf("bind %s\n", GH_VERSION);
		return 0;
	}
	if (fstat(STDIN_FILENO, &st) != 0 || !S_ISSOCK(st.st_mode)) {
		fprintf(stderr, "bind is started by gatehouse-bind.socket, not by hand\n");
		return 2;
	}
	do
		r = bind_answer(STDIN_FILENO);
	while (r == 0);
	if (r < 0)
		fprintf(stderr, "bind: %s\n", strerror(-r));
	return r < 0;
}
