#include "authd/pam/check.h"

#include "common/base/secret.h"

#include <security/pam_appl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Modules get the password where they ask for something that must not be seen, and nothing else. */
static int converse(
    int n, const struct pam_message **messages, struct pam_response **ret, void *password)
{
	struct pam_response *all;

	if (n <= 0 || n > PAM_MAX_NUM_MSG)
		return PAM_CONV_ERR;
	all = calloc((size_t)n, sizeof(*all));
	if (all == NULL)
		return PAM_BUF_ERR;
	for (int i = 0; i < n; i++) {
		if (messages[i]->msg_style == PAM_PROMPT_ECHO_ON) {
			free(all);
			return PAM_CONV_ERR;
		}
		if (messages[i]->msg_style == PAM_PROMPT_ECHO_OFF)
			all[i].resp = strdup(password);
	}
	*ret = all;
	return PAM_SUCCESS;
}

/* A wrong password is slowed down by who counts failures, not by a process that sleeps. */
static void no_delay(int status, unsigned usec, void *arg)
{
}

static enum line_status from_pam(int status)
{
	switch (status) {
	case PAM_SUCCESS:
		return LINE_OK;
	case PAM_USER_UNKNOWN:
		return LINE_UNKNOWN;
	case PAM_AUTH_ERR:
	case PAM_PERM_DENIED:
	case PAM_MAXTRIES:
	case PAM_ACCT_EXPIRED:
	case PAM_NEW_AUTHTOK_REQD:
	case PAM_AUTHTOK_EXPIRED:
	case PAM_CRED_INSUFFICIENT:
		return LINE_NO;
	default:
		return LINE_LATER;
	}
}

/* Modules build paths and command lines from it. */
static bool name_fit(const char *name)
{
	for (const char *c = name; *c != '\0'; c++)
		if (!ascii_alpha((uint8_t)*c) && !ascii_digit((uint8_t)*c) &&
		    strchr("._-", *c) == NULL)
			return false;
	return name[0] != '\0' && name[0] != '-' && name[0] != '.';
}

void check_and_exit(const struct pam_place *place, struct line_question *q)
{
	const struct pam_conv conv = { .conv = converse, .appdata_ptr = q->password };
	pam_handle_t *h = NULL;
	int r;

	if (!name_fit(q->name) || q->password[0] == '\0')
		_exit(LINE_NO);
	r = place->confdir != NULL
		? pam_start_confdir(place->service, q->name, &conv, place->confdir, &h)
		: pam_start(place->service, q->name, &conv, &h);
	if (r != PAM_SUCCESS)
		_exit(LINE_LATER);
	pam_set_item(h, PAM_FAIL_DELAY, (const void *)no_delay);
	if (strcmp(q->peer, "-") != 0)
		pam_set_item(h, PAM_RHOST, q->peer);
	r = pam_authenticate(h, PAM_SILENT | PAM_DISALLOW_NULL_AUTHTOK);
	if (r == PAM_SUCCESS)
		r = pam_acct_mgmt(h, PAM_SILENT | PAM_DISALLOW_NULL_AUTHTOK);
	secret_wipe(q->password, sizeof(q->password));
	pam_end(h, r);
	_exit(from_pam(r));
}
