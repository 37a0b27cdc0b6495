#include "common/front/front.h"
#include "common/front/sasl.h"

unsigned front_mechs(const struct conf *c)
{
	return (conf_has_word(c, CONF_auth_mechanisms, "PLAIN") ? SASL_PLAIN : 0) |
	       (conf_has_word(c, CONF_auth_mechanisms, "LOGIN") ? SASL_LOGIN : 0) |
	       (conf_has_word(c, CONF_auth_mechanisms, "APOP") ? SASL_APOP : 0) |
	       (conf_has_word(c, CONF_auth_mechanisms, "SCRAM-SHA-256") ? SASL_SCRAM_SHA_256 : 0);
}
