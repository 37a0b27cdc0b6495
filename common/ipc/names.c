#include "common/ipc/chan.h"

static const char *const ch_names[IPC_CHS] = {
	[IPC_CH_ANY] = "any",
	[IPC_CH_CONTROL] = "control",
	[IPC_CH_ATTACH_LOG] = "attach-log",
	[IPC_CH_ATTACH_SIGN] = "attach-sign",
	[IPC_CH_ATTACH_AUTH] = "attach-auth",
	[IPC_CH_ATTACH_RCPT] = "attach-rcpt",
	[IPC_CH_ATTACH_POST] = "attach-post",
	[IPC_CH_SIGN] = "sign",
	[IPC_CH_DIALOGUE] = "dialogue",
	[IPC_CH_RCPT] = "rcpt",
	[IPC_CH_POST] = "post",
	[IPC_CH_SESSION] = "session",
	[IPC_CH_WORK_POOL] = "work-pool",
	[IPC_CH_WORK] = "work",
	[IPC_CH_AUTH_ROUTE] = "auth-route",
	[IPC_CH_AUTH_STORE] = "auth-store",
	[IPC_CH_ROUTE_STORE] = "route-store",
	[IPC_CH_PARSE] = "parse",
	[IPC_CH_EXTERNAL] = "external",
	[IPC_CH_ADMIN_DIR] = "admin-dir",
	[IPC_CH_ADMIN_AUTH] = "admin-auth",
	[IPC_CH_ADMIN_STORE] = "admin-store",
	[IPC_CH_COUNTS] = "counts",
	[IPC_CH_DENSE] = "dense",
	[IPC_CH_PORT] = "port",
	[IPC_CH_SOURCE] = "source",
};

static const char *const role_names[IPC_ROLES] = {
	[IPC_ROLE_NONE] = "none",
	[IPC_ROLE_MASTER] = "master",
	[IPC_ROLE_LOGD] = "logd",
	[IPC_ROLE_SIGNER] = "signer",
	[IPC_ROLE_STORED] = "stored",
	[IPC_ROLE_AUTHD] = "authd",
	[IPC_ROLE_ROUTERD] = "routerd",
	[IPC_ROLE_WORKER] = "authd-worker",
	[IPC_ROLE_PARSED] = "parsed",
	[IPC_ROLE_EXTERNAL] = "stored-external",
	[IPC_ROLE_POP3] = "pop3",
	[IPC_ROLE_SMTP] = "smtp",
	[IPC_ROLE_ADMIN] = "admin",
	[IPC_ROLE_IMAP] = "imap",
	[IPC_ROLE_METRICS] = "metrics",
	[IPC_ROLE_PWD] = "pwd",
	[IPC_ROLE_SOURCE] = "authd-external",
};

const char *ipc_ch_name(enum ipc_ch kind)
{
	return kind < IPC_CHS ? ch_names[kind] : "unknown";
}

const char *ipc_role_name(enum ipc_role role)
{
	return role < IPC_ROLES ? role_names[role] : "unknown";
}
